"""Passes the events of HTTPS requests to the pipeline, and answers when they are on disk."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery, EventRow
from bridge.collector.refusal import Refusal
from bridge.config import Config, Listener
from bridge.host.waiting import reported
from bridge.ingest.peers import Peer
from bridge.ingest.requests import Slice, TimedEvent
from bridge.listen.listener import ListenerContext
from bridge.spool.batch import OpenBatch
from bridge.spool.budget import Full
from bridge.syslog.timestamps import milliseconds
from bridge.util.counts import counted

RETRY_AFTER = "10"
"Value of the ``Retry-After`` header, in seconds."
SLICE_EVENTS = 500
"Events that are parsed, routed and grouped at once."


class IntakeKeys(Keys):
    """Maps the keys of a configuration's intakes to their names. A request may also have no key."""

    def __init__(self, config: Config) -> None:
        super().__init__(frozenset(), optional=True)
        self.change(config)

    def change(self, config: Config) -> None:
        """Replaces the keys by those of another configuration. If two intakes share a key, it selects the first."""
        intakes: dict[str, str] = {}
        for name, intake in config.intakes.items():
            intakes.setdefault(intake.intake_key.reveal(), name)
        self._intakes: Mapping[str, str] = intakes
        self.replace(intakes.keys())

    def intake_of(self, key: str) -> str | None:
        """Returns the intake of a key that was checked before, or None if the request has no key.

        Raises Refusal (401) if the key was replaced since.
        """
        if key and key not in self._intakes:
            self.checked(key)
        return self._intakes[key] if key else None


class RequestSink:
    """Takes the events of HTTPS requests to one listener."""

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float], *,
        accepted: Callable[[str], None] = lambda client: None,
    ) -> None:  # fmt: skip
        """``accepted`` is called with the address of each client whose events were stored."""
        self.listener = listener
        self.listener_context = listener_context
        self.requests = 0
        self._keys = keys
        self._wall = wall
        self._accepted = accepted

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        self.listener, self.listener_context = listener, listener_context

    def accept(self, delivery: Delivery) -> "defer.Deferred[None]":
        """Takes a request's events; the result fires when they are on disk.

        Fails with Refusal if there is no room or the sender exceeds its rate limit, which takes nothing, or if a write
        fails, which may leave some events in the spool (``bridge.ingest.requests``).
        """
        # Two steps, so that nothing holds the events during the commits: many requests wait for one.
        return defer.Deferred.fromCoroutine(self._take(delivery)).addCallback(_all_committed)

    async def _take(self, delivery: Delivery) -> list["defer.Deferred[None]"]:
        """Returns the commits of a request's events."""
        self.requests += 1
        count = delivery.content.count
        peer = self.listener_context.peer(self.listener.name, delivery.client)
        self._check_limit(peer, count)

        def slices() -> Iterator[Slice]:
            for rows in delivery.content.slices(SLICE_EVENTS):
                yield self._by_intake(rows)

        commits: list[defer.Deferred[None]] = []

        def commit(files: Sequence[OpenBatch]) -> None:
            commits.append(reported(lambda done: self.listener_context.commit(files, done)))

        taken = await self.listener_context.pipeline.take_request(peer, slices, delivery.pace, commit)
        delivery.pace.end()
        if isinstance(taken, Full):
            why = "the spool cannot be written" if taken.reason == "spool_write_failed" else "no room for these events"
            text = f"{why}, none was taken; send them again later"
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        # Quarantined frames are in none of the files.
        commit(())
        if taken.lost:
            defer.DeferredList(commits, consumeErrors=True)
            text = (
                f"{taken.lost} of {counted(count, 'event')} could not be stored; send the request again."
                " The events that were stored may arrive twice"
            )
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        self._accepted(delivery.client)
        return commits

    def _by_intake(self, rows: list[EventRow]) -> Slice:
        by_intake: dict[str | None, list[TimedEvent]] = {}
        for row in rows:
            event = row.event, _milliseconds(row.event_timestamp)
            by_intake.setdefault(self._keys.intake_of(row.intake_key), []).append(event)
        return by_intake

    def _check_limit(self, peer: Peer, events: int) -> None:
        """Enforces the ``rate_limit`` of a source with status 429. The client can retry, so nothing is dropped."""
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None and (wait := peer.bucket.borrow(events, int(self._wall() * 1000))):
            raise Refusal(
                429, f"this sender's limit of {peer.bucket.rate} events per second is exceeded; send again later",
                headers={"Retry-After": str(math.ceil(wait))},
            )  # fmt: skip


def _all_committed(commits: list["defer.Deferred[None]"]) -> "defer.Deferred[None]":
    """Returns a Deferred that fires when all commits are done. Fails with Refusal if one has failed."""

    def check(results: Iterable[tuple[bool, object]]) -> None:
        for _, result in results:
            if isinstance(result, Failure):
                _refuse_unsynced(result)

    return defer.DeferredList(commits, consumeErrors=True).addCallback(check)


def _refuse_unsynced(failure: Failure) -> None:
    """Raises Refusal for a failed commit. The disk budget reports the error once, for all senders."""
    if not isinstance(failure.value, OSError):
        failure.raiseException()
    text = f"the events could not be synced to disk ({failure.value.strerror}); send them again"
    raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    # RFC 3339 allows leap seconds (:60), which datetime cannot represent.
    return milliseconds(datetime.fromisoformat(text.upper().replace(":60", ":59").replace(" ", "T")))
