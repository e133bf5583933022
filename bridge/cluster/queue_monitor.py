"""Polls the depth of the shared queues and the number of couriers that consume from them.

A courier announces itself by consuming from a queue that is always empty, ``PREFIX:couriers:GROUP``. The broker
knows the number of its consumers and removes those whose connection has ended. Couriers of one *egress group*, one
source address as the collector sees it, share the request rate. The last known values apply while no broker answers.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bridge.cluster.broker import BrokerError, Channel, QueueDepth, QueueMissing
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.single_job import SingleJob
from bridge.cluster.terms import ClusterTerms

EVERY = 5.0
"Seconds between two polls."

log = Logger(namespace="fleet")


class QueueMonitor:
    """Monitors the queues of one node. ``queues`` returns the queues to poll. ``on_courier_count`` is called when the
    number of couriers changes."""

    def __init__(
        self, connection: BrokerConnection, terms: ClusterTerms, *,
        clock: IReactorTime, queues: Callable[[], list[str]], on_courier_count: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.couriers = 1
        "Couriers of this egress group, including this one; at least 1."
        self.depths: dict[str, QueueDepth] = {}
        "Last known depth by queue."
        self._connection = connection
        self._clock = clock
        self._terms = terms
        self._queues = queues
        self._on_courier_count = on_courier_count
        self._presence_channel: Channel | None = None
        self._inspect_channel: Channel | None = None
        self._job = SingleJob("polling the queues")
        self._last_poll = float("-inf")

    def session_opened(self) -> None:
        """Opens new channels and polls at once, as the connection has a new session."""
        self._presence_channel = self._inspect_channel = None
        self._last_poll = float("-inf")

    def look(self) -> None:
        """Starts a poll if one is due. Called several times a second."""
        now = self._clock.seconds()
        if self._job.busy or not self._connection.is_connected or now - self._last_poll < EVERY:
            return
        self._last_poll = now
        self._job.start(self._poll())

    async def _poll(self) -> None:
        try:
            if self._presence_channel is None or not self._presence_channel.open:
                self._presence_channel = await self._announce()
            presence = await self._depth(self._terms.presence)
            queues = self._queues()
            for removed in self.depths.keys() - set(queues):
                del self.depths[removed]
            for queue in queues:
                try:
                    self.depths[queue] = await self._depth(queue)
                except QueueMissing:
                    self.depths.pop(queue, None)
        except BrokerError as error:
            # The channel or its session is closed, or the broker has not answered in time, which closes its session.
            # The next poll opens another.
            log.debug("cannot poll the queues: {why}", why=error)
            return
        couriers = max(1, presence.consumers)
        if couriers != self.couriers:
            self.couriers = couriers
            self._on_courier_count(couriers)

    async def _announce(self) -> Channel:
        channel = await self._connection.channel()
        await channel.declare(self._terms.presence, max_bytes=1)
        if self._terms.consumes:
            await channel.consume(
                self._terms.presence, prefetch=1, got=lambda received: channel.requeue(received.delivery_tag)
            )
        return channel

    async def _depth(self, queue: str) -> QueueDepth:
        # A separate channel, as a missing queue closes it.
        if self._inspect_channel is None or not self._inspect_channel.open:
            self._inspect_channel = await self._connection.channel()
        return await self._inspect_channel.inspect(queue)
