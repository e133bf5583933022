"""Implements an AMQP 0-9-1 channel (queues, publishing with confirms, consuming) and describes connection errors.

Hazards, each found in the source of pika 1.4:

- An unroutable message comes back as ``basic.return`` before its ``basic.ack``. Acknowledgements of other messages may
  come between the two, and one acknowledgement may confirm several messages. pika fails the next message in line. This
  module uses the id of the returned message instead.
- pika's queue of a consumer discards messages that nobody has fetched when it is closed. So one ``get`` always waits.
"""
# mypy: disallow-untyped-calls=False

import re
from collections.abc import Callable
from typing import Any

import pika
from pika import exceptions
from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.cluster.broker import BrokerLost, QueueDepth, QueueFull, QueueMismatch, QueueMissing, QueueTerms
from bridge.cluster.message import BatchMessage, ReceivedBatch
from bridge.deliver import error_text

UNLIMITED_SINCE = 4
"First major version of RabbitMQ whose quorum queues limit redeliveries, unless the limit is switched off."
_PERSISTENT = 2
_NOT_FOUND, _PRECONDITION = 404, 406


class AmqpChannel:
    """Open channel in confirm mode."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._reason: str | None = None
        self._on_closed: list[Callable[[str], None]] = []
        self._returned: set[str] = set()
        self._cancelled: set[str] = set()
        channel.on_closed.addBoth(self._closed)
        channel.add_on_return_callback(lambda message: self._returned.add(message.properties.message_id))

    @property
    def open(self) -> bool:
        return self._reason is None and bool(self._channel.is_open)

    def on_closed(self, callback: Callable[[str], None]) -> None:
        if self._reason is not None:
            callback(self._reason)
        else:
            self._on_closed.append(callback)

    def _closed(self, reason: object) -> None:
        error = reason.value if isinstance(reason, Failure) else reason
        self._reason = describe_error(error) if isinstance(error, BaseException) else "the channel was closed"
        callbacks, self._on_closed = self._on_closed, []
        for callback in callbacks:
            callback(self._reason)

    def declare(self, queue: str, terms: QueueTerms) -> "defer.Deferred[QueueDepth]":
        arguments: dict[str, object] = {
            "x-queue-type": "quorum",
            "x-max-length-bytes": terms.max_bytes,
            "x-overflow": "reject-publish",
        }
        if self._version() >= UNLIMITED_SINCE:
            arguments["x-delivery-limit"] = -1
        declared = self._channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        depth: defer.Deferred[QueueDepth] = self._translate(declared, _depth)
        return depth

    def inspect(self, queue: str) -> "defer.Deferred[QueueDepth]":
        declared = self._channel.queue_declare(queue=queue, passive=True)
        depth: defer.Deferred[QueueDepth] = self._translate(declared, _depth)
        return depth

    def _version(self) -> int:
        version = str((self._channel.connection.server_properties or {}).get("version", ""))
        found = re.match("[0-9]+", version)
        return int(found[0]) if found else UNLIMITED_SINCE

    def publish(self, queue: str, message: BatchMessage) -> "defer.Deferred[None]":
        properties = pika.BasicProperties(
            content_type="text/plain", headers=dict(message.headers), delivery_mode=_PERSISTENT,
            message_id=message.identity, app_id="syslog-bridge",
        )  # fmt: skip
        try:
            sent = self._channel.basic_publish(
                exchange="", routing_key=queue, body=message.body, properties=properties, mandatory=True
            )
        except exceptions.AMQPError as error:
            return defer.fail(BrokerLost(describe_error(error)))

        def confirmed(frame: object) -> None:
            if message.identity in self._returned:
                self._returned.discard(message.identity)
                raise QueueMissing(f"queue {queue} does not exist")

        def failed(failure: Failure) -> None:
            if failure.check(exceptions.UnroutableError):
                # pika may report the return of another message: the message id decides.
                confirmed(None)
            elif failure.check(exceptions.NackError):
                self._returned.discard(message.identity)
                raise QueueFull(f"queue {queue} is full")
            else:
                raise BrokerLost(describe_error(failure.value)) from None

        stored: defer.Deferred[None] = sent.addCallbacks(confirmed, failed)
        return stored

    def consume(self, queue: str, *, prefetch: int, got: Callable[[ReceivedBatch], None]) -> "defer.Deferred[str]":
        started = self._channel.basic_qos(prefetch_count=prefetch)
        started.addCallback(lambda ok: self._channel.basic_consume(queue=queue))

        def receive_all(consumer: tuple[Any, str]) -> str:
            inbox, tag = consumer

            def received(message: Any) -> None:
                wait()
                got(
                    ReceivedBatch(
                        message.properties.headers or {}, message.body, bool(message.method.redelivered),
                        message.method.delivery_tag,
                    )
                )  # fmt: skip

            def ended(failure: Failure) -> None:
                if tag not in self._cancelled:
                    # The queue was deleted.
                    self.close()

            def wait() -> None:
                inbox.get().addCallbacks(received, ended)

            wait()
            return tag

        tag: defer.Deferred[str] = self._translate(started, receive_all)
        return tag

    def cancel(self, tag: str) -> "defer.Deferred[None]":
        self._cancelled.add(tag)
        cancelled: defer.Deferred[None] = self._translate(self._channel.basic_cancel(tag), lambda frame: None)
        return cancelled

    def acknowledge(self, delivery_tag: object) -> None:
        if self.open:
            self._channel.basic_ack(delivery_tag)

    def requeue(self, delivery_tag: object) -> None:
        if self.open:
            self._channel.basic_nack(delivery_tag, requeue=True)

    def close(self) -> None:
        if self.open:
            self._channel.close()

    @staticmethod
    def _translate(request: Any, read: Callable[[Any], Any]) -> Any:
        """Returns ``request`` with its result read by ``read`` and its errors as BrokerError."""

        def failed(failure: Failure) -> None:
            error = failure.value
            code = error.reply_code if isinstance(error, exceptions.ChannelClosedByBroker) else None
            kind = (
                {_NOT_FOUND: QueueMissing, _PRECONDITION: QueueMismatch}.get(code, BrokerLost)
                if code is not None
                else BrokerLost
            )
            raise kind(describe_error(error)) from None

        return request.addErrback(failed).addCallback(read)


def _depth(frame: Any) -> QueueDepth:
    return QueueDepth(frame.method.message_count, frame.method.consumer_count)


def describe_error(error: BaseException | None) -> str:
    """Describes an error of the connection for the operator."""
    if isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return f"the broker says: {error.reply_text} ({error.reply_code})"
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return "the broker sent no heartbeat in time"
    if isinstance(error, exceptions.StreamLostError) and error.args:
        return describe_error(error.args[-1]) if isinstance(error.args[-1], BaseException) else "connection lost"
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return "the server does not speak AMQP 0-9-1; check the port"
    if isinstance(error, exceptions.AMQPError):
        return str(error) or type(error).__name__
    return "no reason given" if error is None else error_text.describe_failure(Failure(error))
