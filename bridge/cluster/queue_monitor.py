"""What is in the shared queues, and how many couriers take from them.

A courier shows itself by consuming from a queue that never holds anything, ``PREFIX:couriers:EXIT``: how many consume
from it, the broker knows, and forgets those whose connection has ended. Couriers of one *exit*, one address as the
collector sees it, share its request rate. While nobody can be asked, what was last known holds.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.cluster.broker import (
    BrokerError,
    Channel,
    QueueDepth,
    QueueMissing,
    QueueTerms,
)
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.message import ReceivedBatch

EVERY = 5.0
"Seconds between two rounds."
ANSWER_WITHIN = 10.0
"Seconds after which a broker that does not say what is in a queue is given up."

T = TypeVar("T")

log = Logger(namespace="fleet")


class QueueMonitor:
    """One node's. ``queues`` gives the queues to ask about; ``counted`` is told of another number of couriers."""

    def __init__(
        self,
        link: BrokerConnection,
        *,
        clock: IReactorTime,
        presence: str,
        takes: bool,
        queues: Callable[[], list[str]],
        counted: Callable[[int], None],
    ) -> None:
        self.couriers = 1
        "Of this exit, this one included; at least 1."
        self.depths: dict[str, QueueDepth] = {}
        "By queue, as last seen."
        self._link = link
        self._clock = clock
        self._presence = presence
        self._takes = takes
        self._queues = queues
        self._counted = counted
        self._shown: Channel | None = None
        self._asking: Channel | None = None
        self._busy = False
        self._last = float("-inf")

    def came_up(self) -> None:
        """There is another session."""
        self._shown = self._asking = None
        self._last = float("-inf")

    def look(self) -> None:
        """Called several times a second."""
        now = self._clock.seconds()
        if self._busy or not self._link.is_up or now - self._last < EVERY:
            return
        self._busy, self._last = True, now

        def ended(result: object) -> None:
            self._busy = False
            if isinstance(result, Failure):
                log.failure("defect in a census of the queues", result)

        defer.ensureDeferred(self._round()).addBoth(ended)

    async def _round(self) -> None:
        try:
            if self._shown is None or not self._shown.open:
                self._shown = await self._appear()
            alive = await self._depth(self._presence)
            queues = self._queues()
            for gone in self.depths.keys() - set(queues):
                del self.depths[gone]
            for queue in queues:
                try:
                    self.depths[queue] = await self._depth(queue)
                except QueueMissing:
                    self.depths.pop(queue, None)
        except BrokerError as error:
            # The channel is gone, or its session; the next round has another.
            log.debug("the queues cannot be asked: {why}", why=error)
            return
        couriers = max(1, alive.consumers)
        if couriers != self.couriers:
            self.couriers = couriers
            self._counted(couriers)

    async def _appear(self) -> Channel:
        channel = await self._in_time(self._link.channel())
        await self._in_time(channel.declare(self._presence, QueueTerms(max_bytes=1)))
        if self._takes:

            def got(received: ReceivedBatch) -> None:
                channel.give_back(received.lease)

            await self._in_time(channel.consume(self._presence, prefetch=1, got=got))
        return channel

    async def _depth(self, queue: str) -> QueueDepth:
        # One of its own: a queue that is not there closes it.
        if self._asking is None or not self._asking.open:
            self._asking = await self._in_time(self._link.channel())
        return await self._in_time(self._asking.look(queue))

    async def _in_time(self, asked: "defer.Deferred[T]") -> T:
        try:
            return await asked.addTimeout(ANSWER_WITHIN, self._clock)
        except defer.TimeoutError:
            self._link.abort(f"it has not said within {ANSWER_WITHIN:g} s what is in a queue")
            raise BrokerError("no answer") from None
