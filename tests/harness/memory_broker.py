"""Implements the cluster's `BrokerSession` and `Channel` in memory, with the behaviour of RabbitMQ quorum queues.

Everything happens immediately, except confirms: they come in the next reactor turn, or when a test releases them. A
test can also make the broker unreachable, end its sessions and fill its queues.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet import defer
from twisted.internet.task import Clock

from bridge.cluster.broker import BrokerError, BrokerLost, QueueDepth, QueueFull, QueueMismatch, QueueMissing
from bridge.cluster.message import BatchMessage, ReceivedBatch


@dataclass(eq=False)
class _Message:
    batch: BatchMessage
    redelivered: bool = False


@dataclass(eq=False)
class _Consumer:
    channel: MemoryChannel
    prefetch: int
    got: Callable[[ReceivedBatch], None]
    unacknowledged: int = 0


@dataclass
class _Queue:
    max_bytes: int
    messages: deque[_Message] = field(default_factory=deque)
    consumers: list[_Consumer] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(len(message.batch.body) for message in self.messages)


class MemoryBroker:
    """Represents all brokers of a cluster."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.queues: dict[str, _Queue] = {}
        self.down: str | None = None  # why no session can be opened
        self.sessions: list[MemorySession] = []
        self.hold_confirms = False
        self._turn = 0

    def connect(self, url: str) -> defer.Deferred[MemorySession]:
        if self.down is not None:
            return defer.fail(BrokerError(self.down))
        session = MemorySession(self)
        self.sessions.append(session)
        return defer.succeed(session)

    # --- controls for tests -------------------------------------------------------------------------------------------
    def lose(self, why: str = "cut") -> None:
        """Ends every session."""
        for session in list(self.sessions):
            session.end(why)

    def block(self, reason: str | None) -> None:
        for session in self.sessions:
            for callback in session.blocked_callbacks:
                callback(reason)

    def confirm(self) -> None:
        """Confirms what was held back."""
        for session in self.sessions:
            for channel in session.channels:
                held, channel.unconfirmed = channel.unconfirmed, []
                for waiting in held:
                    waiting.callback(None)

    def confirm_soon(self, channel: MemoryChannel, waiting: defer.Deferred[None]) -> None:
        def confirm() -> None:
            if waiting in channel.unconfirmed:
                channel.unconfirmed.remove(waiting)
                waiting.callback(None)

        self._clock.callLater(0, confirm)

    def texts(self, queue: str) -> list[bytes]:
        """Returns the events in a queue that no consumer holds."""
        return [line for message in self.queues[queue].messages for line in message.batch.body.splitlines()]

    def put(self, queue: str, batch: BatchMessage) -> None:
        self.queues[queue].messages.append(_Message(batch))
        self.deliver(queue)

    # --- delivery -----------------------------------------------------------------------------------------------------
    def deliver(self, name: str) -> None:
        queue = self.queues[name]
        while queue.messages:
            free = [consumer for consumer in queue.consumers if consumer.unacknowledged < consumer.prefetch]
            if not free:
                return
            self._turn += 1
            consumer = free[self._turn % len(free)]
            message = queue.messages.popleft()
            consumer.unacknowledged += 1
            tag = consumer.channel.lend(name, message, consumer)
            consumer.got(ReceivedBatch(message.batch.headers, message.batch.body, message.redelivered, tag))


class MemorySession:
    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.channels: list[MemoryChannel] = []
        self.blocked_callbacks: list[Callable[[str | None], None]] = []
        self._lost_callbacks: list[Callable[[str], None]] = []
        self.lost: str | None = None

    def on_lost(self, callback: Callable[[str], None]) -> None:
        self._lost_callbacks.append(callback)

    def on_blocked(self, callback: Callable[[str | None], None]) -> None:
        self.blocked_callbacks.append(callback)

    def channel(self) -> defer.Deferred[MemoryChannel]:
        if self.lost is not None:
            return defer.fail(BrokerLost(self.lost))
        self.channels.append(MemoryChannel(self))
        return defer.succeed(self.channels[-1])

    def end(self, why: str) -> None:
        if self.lost is None:
            self.lost = why
            self.broker.sessions.remove(self)
            for channel in self.channels:
                channel.end(why)
            for callback in self._lost_callbacks:
                callback(why)

    def abort(self) -> None:
        self.end("aborted")

    def close(self) -> defer.Deferred[None]:
        self.end("closed")
        return defer.succeed(None)


class MemoryChannel:
    def __init__(self, session: MemorySession) -> None:
        self.broker = session.broker
        self.unconfirmed: list[defer.Deferred[None]] = []
        self._closed: str | None = None
        self._refuses = False
        self._closed_callbacks: list[Callable[[str], None]] = []
        self._lent: dict[int, tuple[str, _Message, _Consumer]] = {}
        self._tags = 0
        self._consumers: dict[str, tuple[str, _Consumer]] = {}

    @property
    def open(self) -> bool:
        return self._closed is None

    def on_closed(self, callback: Callable[[str], None]) -> None:
        if self._closed is not None:
            callback(self._closed)
        else:
            self._closed_callbacks.append(callback)

    def end(self, why: str) -> None:
        if self._closed is not None:
            return
        self._closed = why
        for name, consumer in self._consumers.values():
            self.broker.queues[name].consumers.remove(consumer)
        lent, self._lent = self._lent, {}
        for name, message, _ in reversed(lent.values()):
            message.redelivered = True
            self.broker.queues[name].messages.appendleft(message)
        for waiting in self.unconfirmed:
            waiting.errback(BrokerLost(why))
        self.unconfirmed = []
        for callback in self._closed_callbacks:
            callback(why)
        for name in {name for name, _, _ in lent.values()}:
            self.broker.deliver(name)

    def close(self) -> None:
        self.end("closed")

    def declare(self, queue: str, max_bytes: int) -> defer.Deferred[QueueDepth]:
        if self._closed is not None:
            return defer.fail(BrokerLost(self._closed))
        found = self.broker.queues.setdefault(queue, _Queue(max_bytes))
        if found.max_bytes != max_bytes:
            self.end("inequivalent")
            return defer.fail(QueueMismatch("inequivalent arg"))
        return self.inspect(queue)

    def inspect(self, queue: str) -> defer.Deferred[QueueDepth]:
        if self._closed is not None:
            return defer.fail(BrokerLost(self._closed))
        found = self.broker.queues.get(queue)
        if found is None:
            self.end("not found")
            return defer.fail(QueueMissing(f"no queue {queue}"))
        return defer.succeed(QueueDepth(len(found.messages), len(found.consumers)))

    def publish(self, queue: str, message: BatchMessage) -> defer.Deferred[None]:
        if self._closed is not None:
            return defer.fail(BrokerLost(self._closed))
        found = self.broker.queues.get(queue)
        if found is None:
            return defer.fail(QueueMissing(f"no queue {queue}"))
        if self._refuses or found.size + len(message.body) > found.max_bytes:
            # A channel that has refused once may keep refusing, as in RabbitMQ 3.10.
            self._refuses = True
            return defer.fail(QueueFull(f"queue {queue} is full"))
        waiting: defer.Deferred[None] = defer.Deferred()
        self.unconfirmed.append(waiting)
        if not self.broker.hold_confirms:
            self.broker.confirm_soon(self, waiting)
        self.broker.put(queue, message)
        return waiting

    def consume(self, queue: str, *, prefetch: int, got: Callable[[ReceivedBatch], None]) -> defer.Deferred[str]:
        if self._closed is not None:
            return defer.fail(BrokerLost(self._closed))
        consumer = _Consumer(self, prefetch, got)
        tag = f"consumer-{len(self._consumers)}"
        self._consumers[tag] = queue, consumer
        self.broker.queues[queue].consumers.append(consumer)
        self.broker.deliver(queue)
        return defer.succeed(tag)

    def cancel(self, tag: str) -> defer.Deferred[None]:
        if self._closed is not None:
            return defer.fail(BrokerLost(self._closed))
        name, consumer = self._consumers.pop(tag)
        self.broker.queues[name].consumers.remove(consumer)
        return defer.succeed(None)

    def lend(self, name: str, message: _Message, consumer: _Consumer) -> int:
        self._tags += 1
        self._lent[self._tags] = name, message, consumer
        return self._tags

    def acknowledge(self, delivery_tag: object) -> None:
        if self._closed is None:
            assert isinstance(delivery_tag, int)
            name, _, consumer = self._lent.pop(delivery_tag)
            consumer.unacknowledged -= 1
            self.broker.deliver(name)

    def requeue(self, delivery_tag: object) -> None:
        if self._closed is None:
            assert isinstance(delivery_tag, int)
            name, message, consumer = self._lent.pop(delivery_tag)
            consumer.unacknowledged -= 1
            message.redelivered = True
            self.broker.queues[name].messages.appendleft(message)
            self.broker.deliver(name)
