"""Implements an AMQP 0-9-1 channel (queues, publishing with confirms, consuming) and describes connection errors.

Hazards, each found in the source of pika 1.4:

- An unroutable message comes back as ``basic.return`` before its ``basic.ack``. Acknowledgements of other messages may
  come between the two, and one acknowledgement may confirm several messages. pika fails the next message in line. This
  module uses the id of the returned message instead.
- pika's queue of a consumer discards messages that nobody has fetched when it is closed. So one ``get`` always waits.
"""
# mypy: disallow-untyped-calls=False

import re
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol, TypeVar

import pika
from OpenSSL import SSL
from pika import exceptions, spec
from pika.adapters.twisted_connection import ClosableDeferredQueue, ReceivedMessage, TwistedChannel
from pika.frame import Method
from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.cluster.broker import BrokerError, BrokerLost, QueueDepth, QueueFull, QueueMismatch, QueueMissing
from bridge.cluster.message import BatchMessage, ReceivedBatch
from bridge.deliver import error_text

UNLIMITED_SINCE = 4
"First major version of RabbitMQ whose quorum queues limit redeliveries, unless the limit is switched off."
_PERSISTENT = 2
_ERRORS: Mapping[int, type[BrokerError]] = {404: QueueMissing, 406: QueueMismatch}
"Errors by the code with which the broker closes the channel."

T = TypeVar("T")
R = TypeVar("R")


class End:
    """Keeps the reason why a channel or a connection ended, and calls back with it. ``unknown`` is the text for an end
    without an error."""

    def __init__(self, unknown: str) -> None:
        self.reason: str | None = None
        "None before the end."
        self._unknown = unknown
        self._callbacks: list[Callable[[str], None]] = []

    def when_known(self, callback: Callable[[str], None]) -> None:
        """Calls ``callback`` with the reason; at once if the end is past."""
        if self.reason is not None:
            callback(self.reason)
        else:
            self._callbacks.append(callback)

    def record(self, reason: object) -> None:
        """Records the end; ``reason`` is an error, a Failure, or anything else if the reason is unknown."""
        error = reason.value if isinstance(reason, Failure) else reason
        self.reason = describe_error(error) if isinstance(error, BaseException) else self._unknown
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self.reason)


class InTime(Protocol):
    """Limits the time of a request, and closes the connection if there is no answer."""

    def __call__(self, request: "defer.Deferred[T]", /) -> "defer.Deferred[T]":
        """Returns the request, which fails with BrokerLost after the limit."""


class AmqpChannel:
    """Open channel in confirm mode."""

    def __init__(self, channel: TwistedChannel, in_time: InTime) -> None:
        self._channel = channel
        self._in_time = in_time
        self._end = End("the channel was closed")
        self.on_closed = self._end.when_known
        self._returned: set[str] = set()
        self._cancelled: set[str] = set()
        channel.on_closed.addBoth(self._end.record)
        channel.add_on_return_callback(lambda message: self._returned.add(message.properties.message_id))

    @property
    def open(self) -> bool:
        return self._end.reason is None and bool(self._channel.is_open)

    def declare(self, queue: str, max_bytes: int) -> "defer.Deferred[QueueDepth]":
        arguments: dict[str, object] = {
            "x-queue-type": "quorum", "x-max-length-bytes": max_bytes, "x-overflow": "reject-publish",
        }  # fmt: skip
        if self._version() >= UNLIMITED_SINCE:
            arguments["x-delivery-limit"] = -1
        return self._answer(self._channel.queue_declare(queue=queue, durable=True, arguments=arguments), _depth)

    def inspect(self, queue: str) -> "defer.Deferred[QueueDepth]":
        return self._answer(self._channel.queue_declare(queue=queue, passive=True), _depth)

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

        def receive_all(consumer: tuple[ClosableDeferredQueue, str]) -> str:
            inbox, tag = consumer

            def received(message: ReceivedMessage) -> None:
                wait()
                headers, method = message.properties.headers or {}, message.method
                got(ReceivedBatch(headers, message.body, bool(method.redelivered), method.delivery_tag))

            def ended(failure: Failure) -> None:
                if tag not in self._cancelled:
                    # The queue was deleted.
                    self.close()

            def wait() -> None:
                inbox.get().addCallbacks(received, ended)

            wait()
            return tag

        return self._answer(started, receive_all)

    def cancel(self, tag: str) -> "defer.Deferred[None]":
        self._cancelled.add(tag)
        return self._answer(self._channel.basic_cancel(tag), lambda frame: None)

    def acknowledge(self, delivery_tag: object) -> None:
        if self.open:
            self._channel.basic_ack(delivery_tag)

    def requeue(self, delivery_tag: object) -> None:
        if self.open:
            self._channel.basic_nack(delivery_tag, requeue=True)

    def close(self) -> None:
        if self.open:
            self._channel.close()

    def _answer(self, request: "defer.Deferred[T]", read: Callable[[T], R]) -> "defer.Deferred[R]":
        """Returns ``request`` with its result read by ``read`` and its errors as BrokerError."""

        def failed(failure: Failure) -> NoReturn:
            error = failure.value
            code = error.reply_code if isinstance(error, exceptions.ChannelClosedByBroker) else 0
            raise _ERRORS.get(code, BrokerLost)(describe_error(error)) from None

        return self._in_time(request).addCallbacks(read, failed)


def _depth(frame: "Method[spec.Queue.DeclareOk]") -> QueueDepth:
    return QueueDepth(frame.method.message_count, frame.method.consumer_count)


def describe_error(error: BaseException | None) -> str:
    """Describes an error of the connection for the operator, on one line. It may quote the broker."""
    return error_text.one_line(_describe(error), 300)


def _describe(error: BaseException | None) -> str:
    if isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return f"the broker says: {error.reply_text} ({error.reply_code})"
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return "the broker sent no heartbeat in time"
    if isinstance(error, exceptions.StreamLostError) and error.args:
        return _describe(error.args[-1]) if isinstance(error.args[-1], BaseException) else "connection lost"
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return "the server does not speak AMQP 0-9-1; check the port"
    if isinstance(error, exceptions.AMQPError):
        return str(error) or type(error).__name__
    if isinstance(error, SSL.Error):
        return error_text.describe_tls_error(error, legacy_ciphers=False)
    return "no reason given" if error is None else error_text.describe_failure(Failure(error))
