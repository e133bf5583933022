"""One intake of a node that shares its backlog, as the rest of the bridge sees it: what waits here, in the spool and
taken over, and how it goes on. It looks like the courier that a node without a share has."""

from collections.abc import Callable, Iterator, Mapping

from bridge.cluster.publisher import Publisher
from bridge.deliver.courier import Courier
from bridge.deliver.response_handler import Answered
from bridge.spool import Batch, Pack

_BY_WEIGHT = ("parked", "backing-off", "delivering", "idle")


class BacklogView:
    """``own`` has the batches of this node's spool, ``taken`` those from the queue."""

    def __init__(self, own: Courier, taken: Courier | None, publisher: Publisher | None, *, alone: bool) -> None:
        self.name = own.name
        self._own = own
        self._taken = taken
        self._publisher = None if alone else publisher
        "None also where this node delivers its own batches itself."
        self._couriers = (own,) if taken is None else (own, taken)

    @property
    def state(self) -> str:
        """idle, delivering, backing-off or parked: the worst of its parts"""
        states = {courier.state for courier in self._couriers if courier is not self._own or self._posts}
        if self._publisher is not None:
            waits = self._own.waiting_events > 0
            states.add("backing-off" if waits and self._publisher.stuck else "delivering" if waits else "idle")
        return next(state for state in _BY_WEIGHT if state in states)

    @property
    def _posts(self) -> bool:
        """Whether the own courier posts what waits in the spool."""
        return self._publisher is None or self._own.retired

    @property
    def parked(self) -> str | None:
        """Why, while it is."""
        return next((courier.parked for courier in self._couriers if courier.parked is not None), None)

    @property
    def retired(self) -> bool:
        """It is not in the configuration."""
        return self._own.retired

    @property
    def last_error(self) -> str | None:
        """What went wrong last; None since it went well."""
        taken = self._taken.last_error if self._taken is not None else None
        given = self._publisher.why if self._publisher is not None and self._own.waiting_events else None
        own = self._own.last_error if self._posts else None
        return taken or own or given

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        waits = [courier.next_attempt_in for courier in self._couriers]
        if self._publisher is not None:
            waits.append(self._publisher.next_attempt_in)
        return min((wait for wait in waits if wait is not None), default=None)

    @property
    def waiting_events(self) -> int:
        """Sealed events here that are not settled."""
        return sum(courier.waiting_events for courier in self._couriers)

    @property
    def waiting_bytes(self) -> int:
        """Their bytes, as lines."""
        return sum(courier.waiting_bytes for courier in self._couriers)

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of what waits in the spool."""
        return self._own.waiting_disk

    @property
    def oldest_sequence(self) -> int | None:
        """The sequence of what has waited longest."""
        found = [courier.oldest_sequence for courier in self._couriers]
        return min((sequence for sequence in found if sequence is not None), default=None)

    @property
    def delivered(self) -> int:
        """Events that the collector has taken from this node."""
        return sum(courier.delivered for courier in self._couriers)

    @property
    def delivered_bytes(self) -> int:
        """Of accepted requests, as text."""
        return sum(courier.delivered_bytes for courier in self._couriers)

    @property
    def unconfirmed(self) -> int:
        """Delivered events that the collector took without naming them."""
        return sum(courier.unconfirmed for courier in self._couriers)

    @property
    def last_answer(self) -> Answered | None:
        """What the collector said last."""
        return _latest(courier.last_answer for courier in self._couriers)

    @property
    def last_acceptance(self) -> Answered | None:
        """When it last took events, and which."""
        return _latest(courier.last_acceptance for courier in self._couriers)

    @property
    def requests(self) -> dict[str, int]:
        """Requests by their outcome."""
        return {outcome: sum(courier.requests[outcome] for courier in self._couriers) for outcome in self._own.requests}

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch of the spool, or pack, of which nothing is in flight."""
        return self._own.drop_oldest()


class BacklogViews(Mapping[str, BacklogView]):
    """Those of all intakes; made when they are asked for."""

    def __init__(self, names: Callable[[], Iterator[str]], view: Callable[[str], BacklogView]) -> None:
        self._names = names
        self._view = view

    def __getitem__(self, name: str) -> BacklogView:
        return self._view(name)

    def __iter__(self) -> Iterator[str]:
        return self._names()

    def __len__(self) -> int:
        return sum(1 for name in self._names())


def _latest(found: Iterator[Answered | None]) -> Answered | None:
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)
