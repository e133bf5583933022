# mypy: disallow-untyped-calls=False
"""A channel of AMQP 0-9-1: queues, publishing with confirms, consuming; and a connection's failures in words.

Hazards, each met in pika 1.4's source:

- An unroutable message comes back as ``basic.return`` before its ``basic.ack``, but acknowledgements of other messages
  may lie between, and one may be for many. pika fails whichever is next in line; we go by the message's own id.
- A consumer's queue forgets what nobody has fetched when it is closed: one ``get`` always waits.
"""

import re
from collections.abc import Callable
from typing import Any

import pika
from pika import exceptions
from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.cluster.broker import (
    BrokerLost,
    QueueDepth,
    QueueFull,
    QueueMismatch,
    QueueMissing,
    QueueTerms,
)
from bridge.cluster.message import BatchMessage, ReceivedBatch
from bridge.deliver import error_text

UNLIMITED_SINCE = 4
"The version from which quorum queues drop what was delivered too often, where they are not told otherwise."
_PERSISTENT = 2
_NOT_FOUND, _PRECONDITION = 404, 406


class AmqpChannel:
    """One open channel, in confirm mode."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._reason: str | None = None
        self._told: list[Callable[[str], None]] = []
        self._returned: set[str] = set()
        self._cancelled: set[str] = set()
        channel.on_closed.addBoth(self._closed)
        channel.add_on_return_callback(lambda message: self._returned.add(message.properties.message_id))

    @property
    def open(self) -> bool:
        return self._reason is None and bool(self._channel.is_open)

    def on_closed(self, told: Callable[[str], None]) -> None:
        if self._reason is not None:
            told(self._reason)
        else:
            self._told.append(told)

    def _closed(self, reason: object) -> None:
        error = reason.value if isinstance(reason, Failure) else reason
        self._reason = in_words(error) if isinstance(error, BaseException) else "the channel was closed"
        told, self._told = self._told, []
        for each in told:
            each(self._reason)

    def declare(self, queue: str, terms: QueueTerms) -> "defer.Deferred[QueueDepth]":
        arguments: dict[str, object] = {
            "x-queue-type": "quorum",
            "x-max-length-bytes": terms.max_bytes,
            "x-overflow": "reject-publish",
        }
        if self._version() >= UNLIMITED_SINCE:
            arguments["x-delivery-limit"] = -1
        asked = self._channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        answer: defer.Deferred[QueueDepth] = self._answered(asked, _depth)
        return answer

    def look(self, queue: str) -> "defer.Deferred[QueueDepth]":
        asked = self._channel.queue_declare(queue=queue, passive=True)
        answer: defer.Deferred[QueueDepth] = self._answered(asked, _depth)
        return answer

    def _version(self) -> int:
        said = str((self._channel.connection.server_properties or {}).get("version", ""))
        found = re.match("[0-9]+", said)
        return int(found[0]) if found else UNLIMITED_SINCE

    def publish(self, queue: str, letter: BatchMessage) -> "defer.Deferred[None]":
        properties = pika.BasicProperties(
            content_type="text/plain", headers=dict(letter.headers), delivery_mode=_PERSISTENT,
            message_id=letter.identity, app_id="syslog-bridge",
        )  # fmt: skip
        try:
            sent = self._channel.basic_publish(
                exchange="", routing_key=queue, body=letter.body, properties=properties, mandatory=True
            )
        except exceptions.AMQPError as error:
            return defer.fail(BrokerLost(in_words(error)))

        def confirmed(frame: object) -> None:
            if letter.identity in self._returned:
                self._returned.discard(letter.identity)
                raise QueueMissing(f"there is no queue {queue}")

        def failed(failure: Failure) -> None:
            if failure.check(exceptions.UnroutableError):
                # Of one of several, not of this one for sure.
                confirmed(None)
            elif failure.check(exceptions.NackError):
                self._returned.discard(letter.identity)
                raise QueueFull(f"queue {queue} is full")
            else:
                raise BrokerLost(in_words(failure.value)) from None

        taken: defer.Deferred[None] = sent.addCallbacks(confirmed, failed)
        return taken

    def consume(self, queue: str, *, prefetch: int, got: Callable[[ReceivedBatch], None]) -> "defer.Deferred[str]":
        asked = self._channel.basic_qos(prefetch_count=prefetch)
        asked.addCallback(lambda ok: self._channel.basic_consume(queue=queue))

        def begun(made: tuple[Any, str]) -> str:
            box, tag = made

            def each(message: Any) -> None:
                wait()
                got(
                    ReceivedBatch(
                        message.properties.headers or {}, message.body, bool(message.method.redelivered),
                        message.method.delivery_tag,
                    )
                )  # fmt: skip

            def over(failure: Failure) -> None:
                if tag not in self._cancelled:
                    # Its queue is gone.
                    self.close()

            def wait() -> None:
                box.get().addCallbacks(each, over)

            wait()
            return tag

        answer: defer.Deferred[str] = self._answered(asked, begun)
        return answer

    def cancel(self, tag: str) -> "defer.Deferred[None]":
        self._cancelled.add(tag)
        answer: defer.Deferred[None] = self._answered(self._channel.basic_cancel(tag), lambda frame: None)
        return answer

    def acknowledge(self, lease: object) -> None:
        if self.open:
            self._channel.basic_ack(lease)

    def give_back(self, lease: object) -> None:
        if self.open:
            self._channel.basic_nack(lease, requeue=True)

    def close(self) -> None:
        if self.open:
            self._channel.close()

    @staticmethod
    def _answered(asked: Any, read: Callable[[Any], Any]) -> Any:
        def failed(failure: Failure) -> None:
            error = failure.value
            code = error.reply_code if isinstance(error, exceptions.ChannelClosedByBroker) else None
            kind = (
                {_NOT_FOUND: QueueMissing, _PRECONDITION: QueueMismatch}.get(code, BrokerLost)
                if code is not None
                else BrokerLost
            )
            raise kind(in_words(error)) from None

        return asked.addErrback(failed).addCallback(read)


def _depth(frame: Any) -> QueueDepth:
    return QueueDepth(frame.method.message_count, frame.method.consumer_count)


def in_words(error: BaseException | None) -> str:
    """A failure of the connection as the operator should read it."""
    if isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return f"the broker says: {error.reply_text} ({error.reply_code})"
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return "the broker was silent for too long"
    if isinstance(error, exceptions.StreamLostError) and error.args:
        return in_words(error.args[-1]) if isinstance(error.args[-1], BaseException) else "the connection was cut"
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return "what answers there speaks no AMQP 0-9-1: is the port right?"
    if isinstance(error, exceptions.AMQPError):
        return str(error) or type(error).__name__
    return "no reason was given" if error is None else error_text.in_words(Failure(error))
