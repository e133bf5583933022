"""Consumes one intake's batches from its queue, for a courier of this node to deliver.

==========  ==========================================================================================
idle        no consumer and no batches: no session, no demand, or the collector does not accept events
consuming   the broker delivers, up to ``prefetch`` unacknowledged batches
ending      the consumer is cancelled; the batches that this node still holds are settled
==========  ==========================================================================================

The prefetch follows the courier. While the courier is parked and waits, the consumer takes no batch and requeues the
batches that it holds. When the next attempt of a parked courier is due, and while its requests fail, it takes one
batch. Otherwise it takes as many batches as ``ConsumerMemory`` allows.

A lost channel cannot acknowledge the batches that it delivered. Batches that wait are forgotten, as the broker gives
them to another consumer. Batches in flight are settled by their response, and may be delivered twice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.cluster.broker import BrokerError, Channel
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.message import ForeignMessage, ReceivedBatch, TakenBatch, batch_from_message
from bridge.cluster.single_job import SingleJob
from bridge.cluster.terms import ClusterTerms
from bridge.deliver.context import DeliveryContext
from bridge.deliver.courier import Courier
from bridge.spool import Batch
from bridge.util.alarms import A_DAY, ENDS_IN_A_DAY

MAX_HOLD = 600.0
"Seconds for which a batch may wait here. A broker ends a consumer that acknowledges nothing for 30 minutes."
MIN_BATCHES, MAX_BATCHES = 2, 256
"Limits of the number of batches that an intake may hold."
MAX_REQUEUED = 4096
"Requeued batches whose identity is remembered."
RETRY_AFTER = 2.0
"Seconds to wait after consuming from a queue has failed."

Quarantine = Callable[[str, str, bytes, int], "defer.Deferred[object]"]
"""Writes the body of a foreign message to quarantine: intake, name, body, events. Fires when it is on disk."""

log = Logger(namespace="fleet")


@dataclass(slots=True, eq=False)
class HeldDelivery:
    """Channel and delivery tag with which one batch is acknowledged, and the time of its delivery."""

    channel: Channel
    tag: object
    since: float


class ConsumerMemory:
    """Limits the bytes of the batches that all consumers of this node hold in memory."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        "Bytes of the held batches."
        self._consumers = 1
        self._exact: set[int] = set()

    def divide_among(self, consumers: int) -> None:
        """Divides the limit among this number of consumers."""
        self._consumers = max(1, consumers)

    def prefetch(self, typical_size: float) -> int:
        """Returns how many batches of a typical size one intake may hold."""
        return max(MIN_BATCHES, min(MAX_BATCHES, int(self.limit / self._consumers / typical_size)))

    def has_room(self, size: int) -> bool:
        """Returns True if ``size`` more bytes may be held."""
        return self.held + size <= self.limit

    def hold(self, batch: TakenBatch, *, exact: bool) -> None:
        """Counts a batch that was taken over. ``exact``: it is joined only within the timestamp resolution."""
        self.held += batch.size
        if exact:
            self._exact.add(batch.sequence)

    def release(self, batch: TakenBatch) -> None:
        """Counts a batch as settled or requeued."""
        self.held -= batch.size
        self._exact.discard(batch.sequence)

    def is_exact(self, sequence: int) -> bool:
        """Returns True if the held batch with this sequence is joined only within the timestamp resolution."""
        return sequence in self._exact


class Consumer:
    """Consumes the batches of one intake. ``courier`` delivers them."""

    def __init__(
        self, courier: Courier, context: DeliveryContext, terms: ClusterTerms, *,
        connection: BrokerConnection, memory: ConsumerMemory, quarantine: Quarantine,
    ) -> None:  # fmt: skip
        self.last_error: str | None = None
        self._courier = courier
        self._context = context
        self._connection = connection
        self._memory = memory
        self._write_to_quarantine = quarantine
        self._queue = terms.queue_of(courier.name)
        self._max_bytes = terms.max_bytes
        self._channel: Channel | None = None
        self._tag: str | None = None
        self._prefetch = 0
        self._job = SingleJob("consuming from a queue")
        self._not_before = float("-inf")
        self._typical_size = float(memory.limit)
        "Moving average of the bytes of a batch. Starts with the limit, as no batch is known yet."
        self._has_received = False
        self._deliveries: dict[TakenBatch, HeldDelivery] = {}
        self._excess: list[HeldDelivery] = []
        "Batches that were delivered without room for them, and are requeued."
        self._requeued: dict[str, None] = {}
        "Identities of requeued batches that the collector has not accepted, the newest last."
        self._stopped = False

    # --- status ------------------------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Number of batches that this node holds and has not settled."""
        return len(self._deliveries)

    # --- inputs ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Starts, stops or resizes the consumer. Called several times a second."""
        now = self._context.clock.seconds()
        if self._job.busy or self._stopped:
            return
        prefetch = self._wanted_prefetch()
        # A restart of the consumer for a small change of the prefetch is not worth it.
        differs_much = prefetch * 2 <= self._prefetch or prefetch >= self._prefetch * 2
        if self._tag is not None and (not prefetch or self._excess or differs_much):
            self._cancel()
            return
        self._requeue_unwanted(now)
        if self._tag is None and prefetch and self._connection.is_connected and now >= self._not_before:
            self._job.start(self._consume(prefetch))

    def acknowledge(self, batch: TakenBatch) -> None:
        """Acknowledges a settled batch to the broker."""
        delivery = self._deliveries.pop(batch, None)
        if delivery is not None:
            self._memory.release(batch)
            delivery.channel.acknowledge(delivery.tag)

    def stop(self) -> None:
        """Stops consuming, and requeues the batches that are not in flight."""
        self._stopped = True
        if self._tag is not None and not self._job.busy:
            self._cancel()
        elif self._tag is None:
            self._requeue(list(self._deliveries))

    def close(self) -> None:
        """Closes the channel. The broker gives the batches that are still in flight to another consumer."""
        if self._channel is not None:
            self._channel.close()

    # --- prefetch ----------------------------------------------------------------------------------------------------

    def _wanted_prefetch(self) -> int:
        """Returns how many batches this node should hold at most; 0 stops the consumer."""
        if self._is_delivery_suspended:
            return 0
        courier = self._courier
        if courier.parked is not None or courier.state == "backing-off":
            return 1
        memory = self._memory
        # Require some more room, or the consumer would have to stop again at once.
        if self._deliveries and not memory.has_room(int(self._typical_size) + (0 if self._tag else memory.limit // 8)):
            return 0
        return memory.prefetch(self._typical_size)

    @property
    def _is_delivery_suspended(self) -> bool:
        """True if the courier sends nothing for now: its intake is not configured, or parked until the next attempt."""
        courier = self._courier
        return courier.retired or (courier.parked is not None and courier.next_attempt_in is not None)

    # --- the consumer ------------------------------------------------------------------------------------------------

    async def _consume(self, prefetch: int) -> None:
        try:
            if self._channel is not None and self._channel.open:
                channel = self._channel
            else:
                channel, mismatch = await self._connection.open_queue(self._queue, self._max_bytes)
                if mismatch is not None:
                    # The publisher of this node, if it has one, raises an alarm.
                    log.warn("queue {queue} has other arguments, used as it is: {why}", queue=self._queue, why=mismatch)
                self._channel = channel
                channel.on_closed(lambda reason: self._lost(channel, reason))
            self._tag = await channel.consume(
                self._queue, prefetch=prefetch, got=lambda received: self._received(channel, received)
            )
            self._prefetch = prefetch
            self.last_error = None
        except BrokerError as error:
            self.last_error = str(error)
            self._not_before = self._context.clock.seconds() + RETRY_AFTER

    def _cancel(self) -> None:
        """Cancels the consumer; ``look`` starts another one if needed. Requeues batches only after that, as the broker
        would deliver them to this consumer again."""
        assert self._channel is not None and self._tag is not None
        tag, self._tag = self._tag, None

        def ended() -> None:
            excess, self._excess = self._excess, []
            for delivery in excess:
                delivery.channel.requeue(delivery.tag)
            if self._stopped:
                self._requeue(list(self._deliveries))
            else:
                self._requeue_unwanted(self._context.clock.seconds())

        # If the channel is closed, so is its consumer.
        self._job.start(self._channel.cancel(tag).addErrback(lambda failure: failure.trap(BrokerError)), ended)

    def _lost(self, channel: Channel, reason: str) -> None:
        if channel is self._channel:
            self._channel = self._tag = None
            self._excess.clear()
            self.last_error = reason
            self._not_before = self._context.clock.seconds() + 0.1
        self._forget_lost()

    # --- the batches -------------------------------------------------------------------------------------------------

    def _received(self, channel: Channel, received: ReceivedBatch) -> None:
        context, name = self._context, self._courier.name
        now, size = context.clock.seconds(), len(received.body)
        if self._stopped or (self._deliveries and not self._memory.has_room(size)):
            # Delivered before the prefetch could be reduced. The lines are not kept.
            self._excess.append(HeldDelivery(channel, received.delivery_tag, now))
            self._typical_size = max(self._typical_size, float(size))
            if self._tag is not None and not self._job.busy:
                self._cancel()
            return
        try:
            batch = batch_from_message(
                received, intake=name, queue=self._queue, consumer=self, requeued=self._requeued,
                seconds=(now, context.wall()),
            )  # fmt: skip
        except ForeignMessage as error:
            self._quarantine(channel, received, str(error))
            return
        self._requeued.pop(batch.origin, None)
        self._typical_size = 0.9 * self._typical_size + 0.1 * size if self._has_received else float(size)
        self._has_received = True
        self._deliveries[batch] = HeldDelivery(channel, received.delivery_tag, now)
        self._memory.hold(batch, exact="exact" in received.headers)
        context.ledger.take_over(name, batch.count)
        if batch.doubtful:
            # Another consumer had it and may have delivered it.
            context.ledger.add_possible_duplicates(name, batch.count)
        self._courier.add(batch)

    def _quarantine(self, channel: Channel, received: ReceivedBatch, why: str) -> None:
        """Moves a foreign message to quarantine, as the broker would deliver it again for ever."""
        context, name = self._context, self._courier.name
        count = received.headers.get("count")
        events = count if isinstance(count, int) and count > 0 else max(1, received.body.count(b"\n"))
        text = f"queue {self._queue}: a message was moved to quarantine: {why}. {ENDS_IN_A_DAY}"
        context.alarms.on("damaged", name, text, lasts=A_DAY)

        def written(nothing: object) -> None:
            context.ledger.take_over(name, events)
            context.ledger.quarantine(name, events)
            channel.acknowledge(received.delivery_tag)

        def failed(failure: Failure) -> None:
            # The message stays in the queue and in no ledger.
            log.failure("queue {queue}: cannot write a message to quarantine", failure, queue=self._queue)
            channel.requeue(received.delivery_tag)

        label = re.sub("[^A-Za-z0-9.-]", "_", str(received.headers.get("batch", "message")))[:100]
        self._write_to_quarantine(name, label, received.body, events).addCallbacks(written, failed)

    def _requeue_unwanted(self, now: float) -> None:
        """Requeues all batches while the courier sends nothing, and otherwise those that have waited too long."""
        if self._is_delivery_suspended:
            self._requeue(list(self._deliveries))
        else:
            self._requeue([batch for batch, delivery in self._deliveries.items() if now - delivery.since > MAX_HOLD])
        self._forget_lost()

    def _requeue(self, batches: list[TakenBatch]) -> None:
        if batches:
            self._courier.undo_splits()
        for batch, delivery in self._withdraw(batches):
            if not batch.doubtful:
                # It was not delivered, so its redelivery is no possible duplicate.
                self._requeued[batch.origin] = None
                if len(self._requeued) > MAX_REQUEUED:
                    del self._requeued[next(iter(self._requeued))]
            delivery.channel.requeue(delivery.tag)

    def _forget_lost(self) -> None:
        """Forgets waiting batches of a closed channel, as the broker gives them to another consumer."""
        lost = [batch for batch, delivery in self._deliveries.items() if not delivery.channel.open]
        if lost:
            self._withdraw(lost)

    def _withdraw(self, batches: list[TakenBatch]) -> list[tuple[TakenBatch, HeldDelivery]]:
        """Takes the batches that are not in flight out of courier, memory and ledger. Returns them."""
        withdrawn = []
        for batch in self._courier.withdraw(batches):
            assert isinstance(batch, TakenBatch)
            self._memory.release(batch)
            self._context.ledger.hand_over(self._courier.name, batch.unacknowledged)
            withdrawn.append((batch, self._deliveries.pop(batch)))
        return withdrawn


def acknowledge_all(batches: list[Batch]) -> None:
    """Acknowledges settled batches to the broker. Call on the reactor thread."""
    for batch in batches:
        if isinstance(batch, TakenBatch) and isinstance(batch.consumer, Consumer):
            batch.consumer.acknowledge(batch)
