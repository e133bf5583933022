# mypy: disallow-untyped-calls=False
"""A broker that speaks AMQP 0-9-1: RabbitMQ, through pika's Twisted adapter. Its connections; for what goes through one
see ``amqp_channel``. These two modules import pika, no other does.

Hazards, each met in pika 1.4's source:

- It logs a message that comes back with the first bytes of its body: its loggers are silent here.
- Why a broker ends a connection is forgotten for how the socket ends, and the heuristics for one that ends while it is
  being opened are not reached; ``_Protocol`` keeps the one and has the other.
"""

import logging
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
from bridge.cluster.amqp_channel import AmqpChannel, in_words
from bridge.cluster.broker import (
    BrokerError,
    BrokerLost,
    BrokerSession,
    Channel,
)
from bridge.config import Secret, SharedBacklog
from bridge.deliver.tls import CachedPolicy, Trust

HEARTBEAT = 10
"Seconds; a silent broker is given up after at most twice as long."
CONNECT_WITHIN, OPEN_WITHIN, CLOSE_WITHIN = 5.0, 10.0, 1.0
"Seconds until TCP and TLS stand, until AMQP does, and for the goodbye."

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

    def connect(self, url: str) -> "defer.Deferred[BrokerSession]":
        """A session with the broker of an address. Fails with BrokerError."""
        return defer.ensureDeferred(self._connect(url))

    async def _connect(self, url: str) -> BrokerSession:
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
        return in_words(error)


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
            raise BrokerLost(in_words(error)) from None
        return AmqpChannel(channel)

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
        self._lost = in_words(error) if isinstance(error, BaseException) else "the connection has ended"
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
