"""Presents one intake of a node with a shared backlog as a single courier to the rest of the gateway.

Combines the batches in this node's spool with the batches taken over from the queue. Has the interface of the courier
of a node without a shared backlog.
"""

from collections.abc import Callable, Iterator, Mapping

from bridge.cluster.publisher import Publisher
from bridge.deliver.cause import Cause
from bridge.deliver.courier import Courier
from bridge.deliver.response_handler import Answered
from bridge.spool import Batch, Pack

_WORST_FIRST = ("parked", "backing-off", "delivering", "idle")


class BacklogView:
    """Combined state of one intake. ``own`` has the batches of this node's spool, ``taken`` those from the queue. What
    is not described means the same as for one courier."""

    def __init__(self, own: Courier, taken: Courier | None, publisher: Publisher | None, *, alone: bool) -> None:
        self.name = own.name
        self._own = own
        self._taken = taken
        self._publisher = None if alone else publisher
        "None also while this node delivers the batches of its spool itself."
        self._couriers = (own,) if taken is None else (own, taken)

    @property
    def state(self) -> str:
        """State of the intake (idle, delivering, backing-off or parked): the worst state of its parts."""
        states = {courier.state for courier in self._couriers if courier is not self._own or self._own_posts}
        if self._publisher is not None:
            waits = self._own.waiting_events > 0
            states.add("backing-off" if waits and self._publisher.stuck else "delivering" if waits else "idle")
        return next(state for state in _WORST_FIRST if state in states)

    @property
    def _own_posts(self) -> bool:
        """True if the own courier posts the batches of the spool."""
        return self._publisher is None or self._own.retired

    @property
    def parked(self) -> str | None:
        """Reason why the intake is parked; None if it is not."""
        return next((courier.parked for courier in self._couriers if courier.parked is not None), None)

    @property
    def retired(self) -> bool:
        return self._own.retired

    @property
    def last_error(self) -> str | None:
        """Last delivery error; None since the last success."""
        taken = self._taken.last_error if self._taken is not None else None
        publisher = self._publisher if self._own.waiting_events else None
        published = publisher.unavailable_reason if publisher is not None else None
        own = self._own.last_error if self._own_posts else self._own.unreadable_text
        return taken or own or published

    @property
    def last_cause(self) -> Cause | None:
        """Cause of ``last_error``, if it is known."""
        if self._taken is not None and self._taken.last_error:
            return self._taken.last_cause
        if self._own_posts or self._own.unreadable_text is not None:
            return self._own.last_cause
        return None if self.last_error is None else Cause.BROKER

    @property
    def failing_seconds(self) -> float | None:
        """Seconds since the first failure of a request; None since one was accepted."""
        found = [courier.failing_seconds for courier in self._couriers]
        return max((seconds for seconds in found if seconds is not None), default=None)

    @property
    def server(self) -> str:
        """Host and port of the first URL of the requests."""
        return self._own.server

    @property
    def next_attempt_in(self) -> float | None:
        waits = [courier.next_attempt_in for courier in self._couriers]
        if self._publisher is not None:
            waits.append(self._publisher.next_attempt_in)
        return min((wait for wait in waits if wait is not None), default=None)

    @property
    def waiting_events(self) -> int:
        return sum(courier.waiting_events for courier in self._couriers)

    @property
    def waiting_bytes(self) -> int:
        return sum(courier.waiting_bytes for courier in self._couriers)

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of the batches that wait in the spool."""
        return self._own.waiting_disk

    @property
    def oldest_sequence(self) -> int | None:
        found = [courier.oldest_sequence for courier in self._couriers]
        return min((sequence for sequence in found if sequence is not None), default=None)

    @property
    def learned_body_limit(self) -> int | None:
        found = [courier.learned_body_limit for courier in self._couriers]
        return min((limit for limit in found if limit is not None), default=None)

    @property
    def late_after(self) -> float:
        return self._own.late_after

    @property
    def delivered(self) -> int:
        return sum(courier.delivered for courier in self._couriers)

    @property
    def delivered_bytes(self) -> int:
        return sum(courier.delivered_bytes for courier in self._couriers)

    @property
    def unconfirmed(self) -> int:
        return sum(courier.unconfirmed for courier in self._couriers)

    @property
    def last_answer(self) -> Answered | None:
        return _latest(courier.last_answer for courier in self._couriers)

    @property
    def last_acceptance(self) -> Answered | None:
        return _latest(courier.last_acceptance for courier in self._couriers)

    @property
    def requests(self) -> dict[str, int]:
        return {outcome: sum(courier.requests[outcome] for courier in self._couriers) for outcome in self._own.requests}

    def drop_oldest(self) -> Batch | Pack | None:
        """Forgets and returns the oldest batch or pack of the spool that has no events in flight."""
        return self._own.drop_oldest()


class BacklogViews(Mapping[str, BacklogView]):
    """Views of all intakes by name. Each access builds a new view."""

    def __init__(self, couriers: Mapping[str, Courier], view: Callable[[str], BacklogView]) -> None:
        self._couriers = couriers
        self._view = view

    def __getitem__(self, name: str) -> BacklogView:
        return self._view(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._couriers))

    def __len__(self) -> int:
        return len(self._couriers)


def _latest(answers: Iterator[Answered | None]) -> Answered | None:
    return max((answer for answer in answers if answer is not None), key=lambda answer: answer.at, default=None)
