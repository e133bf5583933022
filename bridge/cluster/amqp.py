"""Opens AMQP 0-9-1 connections to RabbitMQ through pika's Twisted adapter.

``amqp_channel`` implements the channels. Only these two modules import pika.

Hazards, each found in the source of pika 1.4:

- pika logs the first bytes of the body of a returned message. This module silences its loggers.
- pika collects frames and messages of any size. ``amqp_frames`` limits both.
- pika replaces the broker's reason for closing a connection by the way in which the socket ended, and does not reach
  its own heuristics for a connection that ends while it is opened. ``_Protocol`` keeps the reason and repeats the
  heuristics.
"""
# mypy: disallow-untyped-calls=False

import logging
import struct
from collections.abc import Callable
from typing import NoReturn, TypeVar, cast
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters import twisted_connection
from pika.credentials import ExternalCredentials, PlainCredentials
from twisted.internet import defer, endpoints
from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from bridge import __version__
from bridge.cluster.amqp_channel import AmqpChannel, End, describe_error
from bridge.cluster.amqp_frames import FrameLimit
from bridge.cluster.broker import BrokerError, BrokerLost, BrokerSession, Channel
from bridge.config import ClusterSection, Secret
from bridge.deliver.error_text import one_line
from bridge.deliver.tls import CachedPolicy, Trust
from bridge.host.interfaces import Reactor

HEARTBEAT = 10
"Seconds between heartbeats. A silent broker is disconnected after at most twice as long."
CONNECT_TIMEOUT, OPEN_TIMEOUT, CLOSE_TIMEOUT = 5.0, 10.0, 1.0
"""Seconds to wait for TCP; for the name and TCP, and again for TLS and the AMQP handshake; and for an orderly
close."""
ANSWER_TIMEOUT = 15.0
"Seconds within which the broker must answer a request on a channel. Then the connection is closed."

T = TypeVar("T")

logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


class Rabbit:
    """Opens sessions with RabbitMQ brokers. Without a user name, the client certificate authenticates this node
    (``EXTERNAL``); without a certificate, it logs in as guest."""

    def __init__(
        self, reactor: Reactor, section: ClusterSection, password: Callable[[], Secret | None], *, name: str
    ) -> None:
        """Stores the settings. ``password`` is called for each connection, as the password may have changed. The broker
        shows ``name`` as the name of this node's connections."""
        self._reactor = reactor
        self._section = section
        self._password = password
        self._name = name

    def connect(self, url: str) -> "defer.Deferred[BrokerSession]":
        """Opens a session with the broker at an address. Fails with BrokerError."""
        return defer.ensureDeferred(self._connect(url))

    async def _connect(self, url: str) -> BrokerSession:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "amqps"
        port = parts.port or (5671 if secure else 5672)
        protocol = _Protocol(self._parameters(), custom_reactor=self._reactor)
        endpoint: IStreamClientEndpoint = endpoints.HostnameEndpoint(self._reactor, host, port, timeout=CONNECT_TIMEOUT)
        policy = None
        try:
            if secure:
                section = self._section
                # Built for each connection, as the files may have changed.
                policy = CachedPolicy(
                    Trust(section.ca_file, section.extra_ca_file, section.client_cert_file, section.client_key_file)
                )
                endpoint = endpoints.wrapClientTLS(policy.creatorForNetloc(host.encode("idna"), port), endpoint)
            # The resolution of the name has no limit of its own.
            connecting = endpoints.connectProtocol(endpoint, protocol)
            await connecting.addTimeout(OPEN_TIMEOUT, self._reactor, onTimeoutCancel=_raise_timeout)
            await protocol.opened.addTimeout(OPEN_TIMEOUT, self._reactor)
        except defer.TimeoutError:
            if protocol.transport is None:
                raise BrokerError(
                    f"no connection within {OPEN_TIMEOUT:g} s", "Check the broker's name and the firewall."
                ) from None
            protocol.abort()
            raise BrokerError(
                f"no AMQP handshake within {OPEN_TIMEOUT:g} s", "Check that the port is a broker's."
            ) from None
        except Exception:
            refused = policy.refused(host) if policy is not None else None
            raise BrokerError(refused or self._describe_error(protocol.reason or Failure().value)) from None
        return _Session(self._reactor, protocol)

    def _parameters(self) -> pika.ConnectionParameters:
        section, secret = self._section, self._password()
        credentials: ExternalCredentials | PlainCredentials
        if section.username is None and section.client_cert_file is not None:
            credentials = ExternalCredentials()
        elif section.username is None:
            credentials = PlainCredentials("guest", "guest")
        else:
            credentials = PlainCredentials(section.username, "" if secret is None else secret.reveal())
        return pika.ConnectionParameters(
            virtual_host=section.virtual_host, credentials=credentials, heartbeat=HEARTBEAT,
            client_properties={"connection_name": self._name, "product": "syslog-bridge", "version": __version__},
        )  # fmt: skip

    def _describe_error(self, error: BaseException | None) -> str:
        login = self._section.username or ("the client certificate" if self._section.client_cert_file else "guest")
        if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
            return f"the broker rejects the login of {login}. Check cluster.username and cluster.password."
        if isinstance(error, exceptions.ProbableAccessDeniedError):
            return f"{login} may not use the virtual host {self._section.virtual_host}. Check its permissions."
        return describe_error(error)


def _raise_timeout(result: object, timeout: float) -> NoReturn:
    """Fails a connection that took too long. The error of its cancellation would be that its name does not exist."""
    raise defer.TimeoutError(timeout)


class _Protocol(twisted_connection.TwistedProtocolConnection):  # type: ignore[misc]
    """Connection that remembers why it ended."""

    def __init__(self, parameters: pika.ConnectionParameters, custom_reactor: Reactor) -> None:
        super().__init__(parameters, custom_reactor)
        self.reason: BaseException | None = None
        "Error that the broker sent or that ended the connection; None if only the end of the socket is known."
        self.opened: defer.Deferred[object] = self.ready
        self._limit = FrameLimit()

    def abort(self) -> None:
        if self.transport is not None:
            cast(ITCPTransport, self.transport).abortConnection()

    def fail(self, why: str) -> None:
        """Ends the connection because of what the broker does."""
        self.reason = BrokerLost(why)
        self.abort()

    def dataReceived(self, data: bytes) -> None:
        if (excess := self._limit.add(data)) is not None:
            self.fail(f"the broker sends {excess}")
            return
        try:
            super().dataReceived(data)
        except (exceptions.AMQPError, struct.error, LookupError, ValueError) as error:
            self.fail(f"the broker does not speak AMQP 0-9-1: {one_line(str(error)[:400], 100)}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.reason is None:
            self.reason = self._probable_cause(self._impl._error)
        super().connectionLost(reason)

    def _probable_cause(self, error: BaseException | None) -> BaseException | None:
        """Returns the probable error of a connection that ends before it is open, by the state that it reached."""
        state, impl = self._impl.connection_state, self._impl
        found: BaseException | None = error
        if state == impl.CONNECTION_START:
            found = exceptions.ProbableAuthenticationError(repr(error))
        elif state == impl.CONNECTION_TUNE and error is None:
            found = exceptions.ProbableAccessDeniedError(repr(error))
        elif state == impl.CONNECTION_PROTOCOL and error is None:
            found = exceptions.IncompatibleProtocolError(repr(error))
        return found


class _Session:
    """Open connection to one broker."""

    def __init__(self, reactor: Reactor, protocol: _Protocol) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._end = End("the connection was closed")
        self.on_lost = self._end.when_known
        self._on_blocked: list[Callable[[str | None], None]] = []
        self._is_watched = False
        if protocol.closed is None:
            self._ended(None)
        else:
            protocol.closed.addBoth(self._ended)

    def on_blocked(self, callback: Callable[[str | None], None]) -> None:
        self._on_blocked.append(callback)

    def channel(self) -> "defer.Deferred[Channel]":
        return defer.ensureDeferred(self._channel())

    async def _channel(self) -> Channel:
        try:
            channel = await self._in_time(self._protocol.channel())
            self._watch_blocking(channel.connection)
            await self._in_time(channel.confirm_delivery())
        except BrokerLost:
            raise
        except Exception as error:
            raise BrokerLost(describe_error(error)) from None
        return AmqpChannel(channel, self._in_time)

    def _in_time(self, request: "defer.Deferred[T]") -> "defer.Deferred[T]":
        """Closes the connection if the broker does not answer a request. Heartbeats do not show that it does."""

        def late(failure: Failure) -> NoReturn:
            failure.trap(defer.TimeoutError)
            text = f"the broker has not answered within {ANSWER_TIMEOUT:g} s"
            self._protocol.fail(text)
            raise BrokerLost(text) from None

        return request.addTimeout(ANSWER_TIMEOUT, self._reactor).addErrback(late)

    def _watch_blocking(self, connection: pika.connection.Connection) -> None:
        if self._is_watched:
            return
        self._is_watched = True
        connection.add_on_connection_blocked_callback(lambda connection, frame: self._blocked(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda connection, frame: self._blocked(None))

    def _blocked(self, reason: str | None) -> None:
        for callback in self._on_blocked:
            callback(None if reason is None else one_line(reason, 200))

    def _ended(self, reason: object) -> None:
        self._end.record(self._protocol.reason or reason)

    def abort(self) -> None:
        if self._end.reason is None:
            self._protocol.abort()

    def close(self) -> "defer.Deferred[None]":
        closed: defer.Deferred[None] = defer.Deferred()
        self.on_lost(lambda reason: closed.callback(None))
        if not closed.called:
            timeout = self._reactor.callLater(CLOSE_TIMEOUT, self.abort)
            closed.addCallback(lambda nothing: timeout.cancel() if timeout.active() else None)
            try:
                self._protocol.close()
            except exceptions.AMQPError:
                self.abort()
        return closed
