"""Takes one intake's batches over from its queue, for a courier of this node to deliver.

==========  ========================================================================================
away        nothing is asked for: no session, no such need, or the collector takes nothing of it
taking      the broker delivers, up to ``prefetch`` batches that are not acknowledged
ending      no more are asked for; what is on its way still comes
==========  ========================================================================================

How much: while the courier is parked and waits, nothing, and what it holds goes back to the queue; when its next
attempt is due, and while its requests fail, one batch; else as many as the bytes allow (``ConsumerMemory``).

A channel that is lost takes with it the right to acknowledge: what waits then is forgotten, as the broker gives it to
another; what is in flight is settled as its answer says, and may come twice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.accounting import Ledger
from bridge.cluster.broker import (
    BrokerError,
    Channel,
    QueueMismatch,
    QueueTerms,
)
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.message import (
    ForeignMessage,
    ReceivedBatch,
    TakenBatch,
    batch_of,
)
from bridge.deliver.context import OutcomeStore
from bridge.deliver.courier import Courier
from bridge.spool import Batch
from bridge.util.alarms import AlarmSink

FEWEST, MOST = 2, 256
"Batches that an intake may hold."
LONGEST = 600.0
"Seconds for which a batch may wait here: a broker ends a consumer that acknowledges nothing for 30 minutes."
MOST_CLEAN = 4096
TRY_AGAIN = 2.0
"Seconds after a queue could not be consumed from."

log = Logger(namespace="fleet")


class ConsumerMemory:
    """How many bytes of batches that were taken over this node holds, of all intakes."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.held = 0
        self.consumers = 1
        "Among whom the bound is shared."

    def prefetch(self, usual: float) -> int:
        """How many batches of a usual size one intake may have."""
        return max(FEWEST, min(MOST, int(self.bound / max(1, self.consumers) / usual)))

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be held."""
        return self.held + size <= self.bound


@dataclass(frozen=True, slots=True)
class ConsumerContext:
    """What all takers of a node share. ``wall`` is in seconds since the epoch."""

    clock: IReactorTime
    wall: Callable[[], float]
    link: BrokerConnection
    terms: QueueTerms
    queue_of: Callable[[str], str]
    consumer_memory: ConsumerMemory
    ledger: Ledger
    store: OutcomeStore
    alarms: AlarmSink
    aside: Callable[[str, str, bytes, int], "defer.Deferred[object]"]
    "Puts the body of a message that is not ours in quarantine: intake, name, body, events; fires when it is on disk."
    exact: set[int]
    "Sequences of batches here whose times stay exact."


@dataclass(slots=True, eq=False)
class Lease:
    """The right to acknowledge one batch."""

    channel: Channel
    tag: object
    since: float


class Consumer:
    """One intake's. ``courier`` delivers what is taken."""

    def __init__(self, courier: Courier, table: ConsumerContext) -> None:
        self.trouble: str | None = None
        self._courier = courier
        self._table = table
        self._queue = table.queue_of(courier.name)
        self._channel: Channel | None = None
        self._tag: str | None = None
        self._prefetch = 0
        self._busy = False
        self._not_before = float("-inf")
        self._usual = float(table.consumer_memory.bound)
        "Bytes of a batch, lately; nothing is known at first."
        self._has_taken = False
        self._here: dict[TakenBatch, Lease] = {}
        self._unwanted: list[Lease] = []
        "Came when there was no room, and goes back."
        self._clean: dict[str, None] = {}
        "Batches that went back, the newest last."
        self._stopped = False

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """away, taking or ending"""
        if self._tag is not None:
            return "taking"
        return "ending" if self._here else "away"

    @property
    def here(self) -> int:
        """Batches that are not settled."""
        return len(self._here)

    # --- what it is told ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Called several times a second: ask for more, or less."""
        now = self._table.clock.seconds()
        if self._busy or self._stopped:
            return
        wanted = self._wanted()
        if self._tag is not None:
            if not wanted or self._unwanted or self._is_other(wanted):
                self._end()
            else:
                self._let_go(now)
        else:
            self._let_go(now)
            if wanted and self._table.link.is_up and now >= self._not_before:
                self._begin(wanted)

    def acknowledged(self, batch: TakenBatch) -> None:
        """It is settled: the queue may forget it."""
        lease = self._here.pop(batch, None)
        if lease is not None:
            self._less(batch)
            lease.channel.acknowledge(lease.tag)

    def stop(self) -> None:
        """Take no more, and give back what is not in flight."""
        self._stopped = True
        if self._tag is not None and not self._busy:
            self._end()
        elif self._tag is None:
            self._give_back(list(self._here))

    def close(self) -> None:
        """The end: what is in flight still is the next one's."""
        if self._channel is not None:
            self._channel.close()

    # --- how much ----------------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        """Batches to hold at most; 0: none."""
        if self._takes_nothing:
            return 0
        courier = self._courier
        if courier.parked is not None or courier.state == "backing-off":
            return 1
        consumer_memory = self._table.consumer_memory
        # Some room more than none, or it would have to stop again at once.
        if self._here and not consumer_memory.has_room(
            int(self._usual) + (0 if self._tag else consumer_memory.bound // 8)
        ):
            return 0
        return consumer_memory.prefetch(self._usual)

    @property
    def _takes_nothing(self) -> bool:
        """Whether the collector takes nothing of this intake for now."""
        courier = self._courier
        return courier.retired or (courier.parked is not None and courier.next_attempt_in is not None)

    def _is_other(self, wanted: int) -> bool:
        """Whether it is worth asking anew."""
        return wanted * 2 <= self._prefetch or wanted >= self._prefetch * 2

    # --- the consumer ------------------------------------------------------------------------------------------------

    def _begin(self, prefetch: int) -> None:
        self._busy = True

        def ended(result: object) -> None:
            self._busy = False
            if isinstance(result, Failure):
                log.failure("defect while taking from a queue", result)

        defer.ensureDeferred(self._consume(prefetch)).addBoth(ended)

    async def _consume(self, prefetch: int) -> None:
        link = self._table.link
        try:
            channel = self._channel
            if channel is None or not channel.open:
                channel = await link.channel()
                try:
                    await channel.declare(self._queue, self._table.terms)
                except QueueMismatch as error:
                    # The giver says so, where there is one.
                    log.warn("queue {queue} is used as it is: {why}", queue=self._queue, why=error)
                    channel = await link.channel()
                    await channel.look(self._queue)
                self._channel = channel
                opened = channel
                opened.on_closed(lambda reason: self._lost(opened, reason))
            source = channel
            self._tag = await channel.consume(
                self._queue, prefetch=prefetch, got=lambda received: self._got(source, received)
            )
            self._prefetch = prefetch
            self.trouble = None
        except BrokerError as error:
            self.trouble = str(error)
            self._not_before = self._table.clock.seconds() + TRY_AGAIN

    def _end(self) -> None:
        """Ask for no more; ``look`` asks anew, where something is wanted. Only then does anything go back: it would be
        delivered here again."""
        assert self._channel is not None and self._tag is not None
        tag, self._tag = self._tag, None
        self._busy = True

        def ended(result: object) -> None:
            self._busy = False
            unwanted, self._unwanted = self._unwanted, []
            for lease in unwanted:
                lease.channel.give_back(lease.tag)
            if self._stopped:
                self._give_back(list(self._here))
            else:
                self._let_go(self._table.clock.seconds())

        self._channel.cancel(tag).addBoth(ended)

    def _lost(self, channel: Channel, reason: str) -> None:
        if channel is self._channel:
            self._channel = self._tag = None
            self._unwanted.clear()
            self.trouble = reason
            self._not_before = self._table.clock.seconds() + 0.1
        self._forget_lost()

    # --- the batches -------------------------------------------------------------------------------------------------

    def _got(self, channel: Channel, received: ReceivedBatch) -> None:
        table, name = self._table, self._courier.name
        now, size = table.clock.seconds(), len(received.body)
        if self._stopped or (self._here and not table.consumer_memory.has_room(size)):
            # Delivered before it could be asked for less. Its lines are not kept.
            self._unwanted.append(Lease(channel, received.lease, now))
            self._usual = max(self._usual, float(size))
            if self._tag is not None and not self._busy:
                self._end()
            return
        try:
            batch = batch_of(received, intake=name, queue=self._queue, sealed=now)
        except ForeignMessage as error:
            self._not_ours(channel, received, str(error))
            return
        if batch.origin in self._clean:
            del self._clean[batch.origin]
            batch.doubtful = False
        # By the time of its reception: after an outage the news come first here too.
        batch.sealed = now - max(0.0, table.wall() - batch.sequence / 1_000_000)
        self._usual = 0.9 * self._usual + 0.1 * size if self._has_taken else float(size)
        self._has_taken = True
        self._here[batch] = Lease(channel, received.lease, now)
        batch.lease = self
        table.consumer_memory.held += size
        if "exact" in received.headers:
            table.exact.add(batch.sequence)
        table.ledger.take_over(name, batch.count)
        if batch.doubtful:
            # Another has had it, and has not said what became of it.
            table.ledger.may_be_double(name, batch.count)
        self._courier.add(batch)

    def _not_ours(self, channel: Channel, received: ReceivedBatch, why: str) -> None:
        """It cannot be delivered; it would come again for ever."""
        table, name = self._table, self._courier.name
        said = received.headers.get("count")
        events = said if isinstance(said, int) and said > 0 else max(1, received.body.count(b"\n"))
        table.alarms.on("damaged", name, f"queue {self._queue}: a message was moved to quarantine: {why}")

        def kept(nothing: object) -> None:
            table.ledger.take_over(name, events)
            table.ledger.quarantine(name, events)
            channel.acknowledge(received.lease)

        def failed(failure: Failure) -> None:
            # It stays in the queue, and in no account of ours.
            log.failure("cannot put a message aside", failure)
            channel.give_back(received.lease)

        label = re.sub("[^A-Za-z0-9.-]", "_", str(received.headers.get("batch", "message")))[:100]
        table.aside(name, label, received.body, events).addCallbacks(kept, failed)

    def _let_go(self, now: float) -> None:
        """What the collector does not take goes back, and what has waited too long."""
        if self._takes_nothing:
            self._give_back(list(self._here))
        else:
            self._give_back([batch for batch, lease in self._here.items() if now - lease.since > LONGEST])
        self._forget_lost()

    def _give_back(self, batches: list[TakenBatch]) -> None:
        if batches:
            self._courier.pardon()
        for batch in self._courier.withdraw(batches):
            assert isinstance(batch, TakenBatch)
            lease = self._here.pop(batch)
            self._less(batch)
            self._table.ledger.hand_over(self._courier.name, batch.unacknowledged)
            if not batch.doubtful:
                self._remember(batch.origin)
            lease.channel.give_back(lease.tag)

    def _remember(self, origin: str) -> None:
        """It went back, and the collector has not taken it: when it comes again, it is no possible duplicate."""
        self._clean[origin] = None
        if len(self._clean) > MOST_CLEAN:
            del self._clean[next(iter(self._clean))]

    def _forget_lost(self) -> None:
        """Of a closed channel: the broker has given them to another."""
        lost = [batch for batch, lease in self._here.items() if not lease.channel.open]
        for batch in self._courier.withdraw(lost) if lost else ():
            assert isinstance(batch, TakenBatch)
            del self._here[batch]
            self._less(batch)
            self._table.ledger.hand_over(self._courier.name, batch.unacknowledged)

    def _less(self, batch: TakenBatch) -> None:
        self._table.consumer_memory.held -= batch.size
        self._table.exact.discard(batch.sequence)


def release(batches: list[Batch]) -> None:
    """Acknowledge settled batches; on the reactor."""
    for batch in batches:
        if isinstance(batch, TakenBatch) and isinstance(batch.lease, Consumer):
            batch.lease.acknowledged(batch)
