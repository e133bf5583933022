# mypy: disallow-untyped-calls=False
"""A broker that speaks AMQP 0-9-1: RabbitMQ, through pika's Twisted adapter. The one module that imports pika.

Hazards, each met in pika 1.4's source:

- An unroutable message comes back as ``basic.return`` before its ``basic.ack``, but acknowledgements of other messages
  may lie between, and one may be for many. pika fails whichever is next in line; we go by the message's own id.
- It logs a message that comes back with the first bytes of its body: its loggers are silent here.
- Why a broker ends a connection is forgotten for how the socket ends, and the heuristics for one that ends while it is
  being opened are not reached; ``_Protocol`` keeps the one and has the other.
- A consumer's queue forgets what nobody has fetched when it is closed: one ``get`` always waits.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters import twisted_connection
from pika.credentials import ExternalCredentials, PlainCredentials
from twisted.internet import defer, endpoints
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from bridge import __version__
from bridge.config import Secret, SharedBacklog
from bridge.deliver.tls import CachedPolicy, Trust
from bridge.deliver.words import in_words
from bridge.fleet.broker import (
    BrokerError,
    Channel,
    Depth,
    Full,
    Lost,
    NoQueue,
    OtherQueue,
    QueueTerms,
    Session,
)
from bridge.fleet.message import Letter, Received

HEARTBEAT = 10
"Seconds; a silent broker is given up after at most twice as long."
CONNECT_WITHIN, OPEN_WITHIN, CLOSE_WITHIN = 5.0, 10.0, 1.0
"Seconds until TCP and TLS stand, until AMQP does, and for the goodbye."
UNLIMITED_SINCE = 4
"The version from which quorum queues drop what was delivered too often, where they are not told otherwise."
_PERSISTENT = 2
_NOT_FOUND, _PRECONDITION = 404, 406

logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Access:
    """Who we are for the brokers. Without a user name our certificate says it (``EXTERNAL``), where there is one."""

    username: str | None
    password: Callable[[], str]
    "Asked at each connection: it may have changed."
    virtual_host: str
    policy: Callable[[], CachedPolicy]
    "Whom we trust; made anew for each connection, as files may have changed. Raises PemError."
    certificate: bool


def access_of(share: SharedBacklog, password: Callable[[], Secret | None]) -> Access:
    """What a configuration says of it."""
    trust = Trust(share.ca_file, share.extra_ca_file, share.client_certificate, share.client_key)

    def now() -> str:
        found = password()
        return "" if found is None else found.reveal()

    return Access(
        username=share.username, password=now, virtual_host=share.virtual_host, policy=lambda: CachedPolicy(trust),
        certificate=share.client_certificate is not None,
    )  # fmt: skip


class Rabbit:
    """Opens sessions."""

    def __init__(self, reactor: Any, access: Access, *, name: str) -> None:
        """``name`` is what the broker shows for our connections."""
        self._reactor = reactor
        self._access = access
        self._name = name

    def connect(self, url: str) -> "defer.Deferred[Session]":
        """A session with the broker of an address. Fails with BrokerError."""
        return defer.ensureDeferred(self._connect(url))

    async def _connect(self, url: str) -> Session:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "amqps"
        port = parts.port or (5671 if secure else 5672)
        made: list[_Protocol] = []

        class Made(Factory):
            noisy = False

            def buildProtocol(factory, address: object) -> Any:
                made.append(_Protocol(self._parameters(), custom_reactor=self._reactor))
                return made[-1]

        endpoint: Any = endpoints.HostnameEndpoint(self._reactor, host, port, timeout=CONNECT_WITHIN)
        policy = None
        try:
            if secure:
                policy = self._access.policy()
                endpoint = endpoints.wrapClientTLS(policy.creatorForNetloc(host.encode("idna"), port), endpoint)
            await endpoint.connect(Made())
            await made[0].opened.addTimeout(OPEN_WITHIN, self._reactor)
        except defer.TimeoutError:
            made[0].transport.abortConnection()
            raise BrokerError("what answers there has not said within 10 s that it is a broker") from None
        except Exception:
            refused = policy.refused(host) if policy is not None else None
            reason = made[0].reason if made else None
            raise BrokerError(refused or self._in_words(reason or Failure().value)) from None
        return _Session(self._reactor, made[0])

    def _parameters(self) -> Any:
        access = self._access
        credentials: Any
        if access.username is None and access.certificate:
            credentials = ExternalCredentials()
        elif access.username is None:
            credentials = PlainCredentials("guest", "guest")
        else:
            credentials = PlainCredentials(access.username, access.password())
        return pika.ConnectionParameters(
            virtual_host=access.virtual_host, credentials=credentials, heartbeat=HEARTBEAT,
            client_properties={"connection_name": self._name, "product": "syslog-bridge", "version": __version__},
        )  # fmt: skip

    def _in_words(self, error: BaseException | None) -> str:
        who = self._access.username or ("our certificate" if self._access.certificate else "guest")
        if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
            return f"the broker does not let {who} in: are spool.share.username and password right?"
        if isinstance(error, exceptions.ProbableAccessDeniedError):
            return f"{who} may not use the virtual host {self._access.virtual_host}"
        return _in_words(error)


class _Protocol(twisted_connection.TwistedProtocolConnection):  # type: ignore[misc]
    """Remembers why it ended."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.reason: BaseException | None = None
        "What the broker said, or what was found wrong with the connection; None: only how the socket ended is known."
        self.opened: defer.Deferred[Any] = self.ready

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.reason is None:
            self.reason = self._probably(self._impl._error)
        super().connectionLost(reason)

    def _probably(self, said: BaseException | None) -> BaseException | None:
        """What it means that a connection ends before it is open, by how far it came."""
        state, impl = self._impl.connection_state, self._impl
        found: BaseException | None = said
        if state == impl.CONNECTION_START:
            found = exceptions.ProbableAuthenticationError(repr(said))
        elif state == impl.CONNECTION_TUNE and said is None:
            found = exceptions.ProbableAccessDeniedError(repr(said))
        elif state == impl.CONNECTION_PROTOCOL and said is None:
            found = exceptions.IncompatibleProtocolError(repr(said))
        return found


class _Session:
    """One open connection."""

    def __init__(self, reactor: Any, protocol: Any) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._lost: str | None = None
        self._on_lost: list[Callable[[str], None]] = []
        self._on_blocked: list[Callable[[str | None], None]] = []
        self._watched = False
        self._over: list[defer.Deferred[None]] = []
        if protocol.closed is None:
            self._ended(None)
        else:
            protocol.closed.addBoth(self._ended)

    def on_lost(self, told: Callable[[str], None]) -> None:
        if self._lost is not None:
            told(self._lost)
        else:
            self._on_lost.append(told)

    def on_blocked(self, told: Callable[[str | None], None]) -> None:
        self._on_blocked.append(told)

    def channel(self) -> "defer.Deferred[Channel]":
        return defer.ensureDeferred(self._channel())

    async def _channel(self) -> Channel:
        try:
            channel = await self._protocol.channel()
            self._watch(channel.connection)
            await channel.confirm_delivery()
        except Exception as error:
            raise Lost(_in_words(error)) from None
        return _Channel(channel)

    def _watch(self, connection: Any) -> None:
        if self._watched:
            return
        self._watched = True
        connection.add_on_connection_blocked_callback(lambda connection, frame: self._blocked(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda connection, frame: self._blocked(None))

    def _blocked(self, reason: str | None) -> None:
        for told in self._on_blocked:
            told(reason)

    def _ended(self, reason: object) -> None:
        error = self._protocol.reason or (reason.value if isinstance(reason, Failure) else reason)
        self._lost = _in_words(error) if isinstance(error, BaseException) else "the connection has ended"
        told, self._on_lost = self._on_lost, []
        for each in told:
            each(self._lost)
        over, self._over = self._over, []
        for waiting in over:
            waiting.callback(None)

    def abort(self) -> None:
        if self._lost is None:
            self._protocol.transport.abortConnection()

    def close(self) -> "defer.Deferred[None]":
        waiting: defer.Deferred[None] = defer.Deferred()
        if self._lost is not None:
            waiting.callback(None)
            return waiting
        self._over.append(waiting)
        give_up = self._reactor.callLater(CLOSE_WITHIN, self.abort)

        def over(nothing: None) -> None:
            if give_up.active():
                give_up.cancel()

        waiting.addCallback(over)
        try:
            self._protocol.close()
        except exceptions.AMQPError:
            self.abort()
        return waiting


class _Channel:
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
        self._reason = _in_words(error) if isinstance(error, BaseException) else "the channel was closed"
        told, self._told = self._told, []
        for each in told:
            each(self._reason)

    def declare(self, queue: str, terms: QueueTerms) -> "defer.Deferred[Depth]":
        arguments: dict[str, object] = {
            "x-queue-type": "quorum",
            "x-max-length-bytes": terms.max_bytes,
            "x-overflow": "reject-publish",
        }
        if self._version() >= UNLIMITED_SINCE:
            arguments["x-delivery-limit"] = -1
        asked = self._channel.queue_declare(queue=queue, durable=True, arguments=arguments)
        answer: defer.Deferred[Depth] = self._answered(asked, _depth)
        return answer

    def look(self, queue: str) -> "defer.Deferred[Depth]":
        asked = self._channel.queue_declare(queue=queue, passive=True)
        answer: defer.Deferred[Depth] = self._answered(asked, _depth)
        return answer

    def _version(self) -> int:
        said = str((self._channel.connection.server_properties or {}).get("version", ""))
        found = re.match("[0-9]+", said)
        return int(found[0]) if found else UNLIMITED_SINCE

    def publish(self, queue: str, letter: Letter) -> "defer.Deferred[None]":
        properties = pika.BasicProperties(
            content_type="text/plain", headers=dict(letter.headers), delivery_mode=_PERSISTENT,
            message_id=letter.identity, app_id="syslog-bridge",
        )  # fmt: skip
        try:
            sent = self._channel.basic_publish(
                exchange="", routing_key=queue, body=letter.body, properties=properties, mandatory=True
            )
        except exceptions.AMQPError as error:
            return defer.fail(Lost(_in_words(error)))

        def confirmed(frame: object) -> None:
            if letter.identity in self._returned:
                self._returned.discard(letter.identity)
                raise NoQueue(f"there is no queue {queue}")

        def failed(failure: Failure) -> None:
            if failure.check(exceptions.UnroutableError):
                # Of one of several, not of this one for sure.
                confirmed(None)
            elif failure.check(exceptions.NackError):
                self._returned.discard(letter.identity)
                raise Full(f"queue {queue} is full")
            else:
                raise Lost(_in_words(failure.value)) from None

        taken: defer.Deferred[None] = sent.addCallbacks(confirmed, failed)
        return taken

    def consume(self, queue: str, *, prefetch: int, got: Callable[[Received], None]) -> "defer.Deferred[str]":
        asked = self._channel.basic_qos(prefetch_count=prefetch)
        asked.addCallback(lambda ok: self._channel.basic_consume(queue=queue))

        def begun(made: tuple[Any, str]) -> str:
            box, tag = made

            def each(message: Any) -> None:
                wait()
                got(
                    Received(
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
            kind = {_NOT_FOUND: NoQueue, _PRECONDITION: OtherQueue}.get(code, Lost) if code is not None else Lost
            raise kind(_in_words(error)) from None

        return asked.addErrback(failed).addCallback(read)


def _depth(frame: Any) -> Depth:
    return Depth(frame.method.message_count, frame.method.consumer_count)


def _in_words(error: BaseException | None) -> str:
    """A failure of the connection as the operator should read it."""
    if isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return f"the broker says: {error.reply_text} ({error.reply_code})"
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return "the broker was silent for too long"
    if isinstance(error, exceptions.StreamLostError) and error.args:
        return _in_words(error.args[-1]) if isinstance(error.args[-1], BaseException) else "the connection was cut"
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return "what answers there speaks no AMQP 0-9-1: is the port right?"
    if isinstance(error, exceptions.AMQPError):
        return str(error) or type(error).__name__
    return "no reason was given" if error is None else in_words(Failure(error))
