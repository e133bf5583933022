"""Declares what a node needs of a broker. ``bridge.cluster.amqp`` implements it for RabbitMQ, the tests in memory.

A *session* is one connection to a broker. A *channel* is one AMQP channel of a session. When either side closes a
channel, or its session is lost, the batches that it delivered and that were not acknowledged return to their queue. A
message that was published on it without a confirm may or may not be in the queue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet import defer

from bridge.cluster.message import BatchMessage, ReceivedBatch
from bridge.util.errors import BridgeError


class BrokerError(BridgeError):
    """Raised when a broker cannot be reached or refuses a request."""


class BrokerLost(BrokerError):
    """Raised when the channel is closed. The broker may or may not have a message that it has not confirmed."""


class QueueFull(BrokerError):
    """Raised when a queue has reached its size limit and rejects a message."""


class QueueMissing(BrokerError):
    """Raised when a queue does not exist. The broker has not stored the message."""


class QueueMismatch(BrokerError):
    """Raised when a queue exists with other arguments than this node would declare."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Number of batches and consumers of one queue."""

    batches: int
    "Batches that are not delivered to any consumer."
    consumers: int


class Channel(Protocol):
    """Declares what a node needs of one AMQP channel."""

    @property
    def open(self) -> bool:
        """True while the channel is open."""

    def on_closed(self, callback: Callable[[str], None]) -> None:
        """Calls ``callback`` with the reason once either side has closed the channel."""

    def declare(self, queue: str, max_bytes: int) -> "defer.Deferred[QueueDepth]":
        """Declares a queue with this size limit. Fails with QueueMismatch or BrokerLost; then the channel is closed."""

    def inspect(self, queue: str) -> "defer.Deferred[QueueDepth]":
        """Returns the depth of an existing queue. Fails with QueueMissing or BrokerLost; then the channel is closed."""

    def publish(self, queue: str, message: BatchMessage) -> "defer.Deferred[None]":
        """Publishes a batch. Fires once a majority of the queue's members has it on disk. Fails with QueueFull,
        QueueMissing or BrokerLost."""

    def consume(self, queue: str, *, prefetch: int, got: Callable[[ReceivedBatch], None]) -> "defer.Deferred[str]":
        """Starts a consumer that has at most ``prefetch`` unacknowledged batches, and returns its tag. If the broker
        ends the consumer because its queue is deleted, the channel is closed. Fails with QueueMissing or BrokerLost."""

    def cancel(self, tag: str) -> "defer.Deferred[None]":
        """Stops a consumer. More batches may arrive until this fires. Delivered batches stay with this channel."""

    def acknowledge(self, delivery_tag: object) -> None:
        """Acknowledges a batch, so that the queue deletes it. Does nothing if the channel is closed."""

    def requeue(self, delivery_tag: object) -> None:
        """Returns a batch to its queue for another consumer. Does nothing if the channel is closed."""

    def close(self) -> None:
        """Closes the channel."""


class BrokerSession(Protocol):
    """Declares what a node needs of one connection to one broker."""

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Calls ``callback`` with the reason once the connection has ended."""

    def on_blocked(self, callback: Callable[[str | None], None]) -> None:
        """Calls ``callback`` with the reason when the broker blocks publishers, and with None when it unblocks them."""

    def channel(self) -> "defer.Deferred[Channel]":
        """Opens a channel with publisher confirms. Fails with BrokerError."""

    def abort(self) -> None:
        """Closes the connection at once. The ``on_lost`` callbacks are called."""

    def close(self) -> "defer.Deferred[None]":
        """Closes the connection in order. Fires when it has ended, or soon after."""


Connect = Callable[[str], "defer.Deferred[BrokerSession]"]
"""Opens a session with the broker at an address (``amqps://HOST:PORT``). Fails with BrokerError."""
