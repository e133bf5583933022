"""Declares what a node needs of a broker; ``bridge.cluster.amqp`` implements it for RabbitMQ, tests in memory.

A *session* is one connection, a *channel* one conversation on it. A channel that is closed by either side, or lost with
its session, gives every batch that it delivered and that was not acknowledged back to its queue; what was published on
it and is not confirmed may be in the queue or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet import defer

from bridge.cluster.message import BatchMessage, ReceivedBatch


class BrokerError(Exception):
    """The broker, or the way to it, does not do what was asked; the text is for the operator."""


class BrokerLost(BrokerError):
    """The channel is gone. A letter without a confirm may have been taken, or not."""


class QueueFull(BrokerError):
    """The queue has not taken the letter: it holds as much as it may."""


class QueueMissing(BrokerError):
    """There is no such queue; the letter was not taken."""


class QueueMismatch(BrokerError):
    """There is a queue of this name, but not as we would have made it."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Of one queue."""

    batches: int
    "That nobody has taken."
    consumers: int


@dataclass(frozen=True, slots=True)
class QueueTerms:
    """How a queue is made where it is not there."""

    max_bytes: int


class Channel(Protocol):
    """One conversation."""

    @property
    def open(self) -> bool:
        """Whether it still is."""

    def on_closed(self, told: Callable[[str], None]) -> None:
        """Call ``told`` with the reason once it is closed, by whomever."""

    def declare(self, queue: str, terms: QueueTerms) -> "defer.Deferred[QueueDepth]":
        """Make a queue, or find it as it would be made. Fails with OtherQueue, Lost; then the channel is closed."""

    def look(self, queue: str) -> "defer.Deferred[QueueDepth]":
        """What is in a queue. Fails with NoQueue, Lost; then the channel is closed."""

    def publish(self, queue: str, letter: BatchMessage) -> "defer.Deferred[None]":
        """Fires once a majority of the queue's members has it on disk. Fails with Full, NoQueue, Lost."""

    def consume(self, queue: str, *, prefetch: int, got: Callable[[ReceivedBatch], None]) -> "defer.Deferred[str]":
        """Have batches delivered, at most ``prefetch`` that are not acknowledged; gives a tag. When the broker ends it,
        as its queue is deleted, the channel is closed. Fails with NoQueue, Lost."""

    def cancel(self, tag: str) -> "defer.Deferred[None]":
        """Have no more delivered; what was is ours still. Some may come until it fires."""

    def acknowledge(self, lease: object) -> None:
        """This batch is settled: the queue forgets it. Nothing where the channel is closed."""

    def give_back(self, lease: object) -> None:
        """This batch is for another. Nothing where the channel is closed."""

    def close(self) -> None:
        """End it."""


class BrokerSession(Protocol):
    """One connection to one broker."""

    def on_lost(self, told: Callable[[str], None]) -> None:
        """Call ``told`` with the reason once it is over."""

    def on_blocked(self, told: Callable[[str | None], None]) -> None:
        """Call ``told`` when the broker hears no publisher (why), and when it does again (None)."""

    def channel(self) -> "defer.Deferred[Channel]":
        """A new conversation, with confirms. Fails with BrokerError."""

    def abort(self) -> None:
        """End it at once; ``on_lost`` is told."""

    def close(self) -> "defer.Deferred[None]":
        """End it in order; fires when it is over, at the latest soon."""


Connect = Callable[[str], "defer.Deferred[BrokerSession]"]
"""Opens a session with the broker of an address (``amqps://HOST:PORT``). Fails with BrokerError."""
