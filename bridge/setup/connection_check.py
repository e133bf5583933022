"""Tests the connection to each collector step by step: name, TCP, proxy, TLS, HTTP, and one event for each intake.

A step that fails reports its own error and ends the check of its target; the earlier steps have succeeded. Connections
are made as the couriers make them, with the same authorities and the same client. No key is shown.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

from OpenSSL.crypto import X509
from twisted.internet import defer, endpoints
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.batching.encoding import LINES
from bridge.batching.endpoints import ENDPOINTS
from bridge.config import Config, Destination, Intake
from bridge.deliver import from_config as deliver_config
from bridge.deliver import outcome
from bridge.deliver.cause import Cause
from bridge.deliver.client import Client, CollectorEndpoints
from bridge.deliver.error_text import describe_failure, describe_tls_error, one_line
from bridge.deliver.http_connect import ProxyError
from bridge.deliver.outcome import Verdict
from bridge.deliver.request import compose
from bridge.deliver.tls import CachedPolicy
from bridge.host.interfaces import Reactor
from bridge.host.reactor import install_reactor
from bridge.host.resolver import resolve
from bridge.setup.broker_check import check_brokers
from bridge.setup.check_result import StepResult
from bridge.spool import Batch, Piece
from bridge.syslog.timestamps import milliseconds, rfc3339
from bridge.tls.pem import PemError
from bridge.util.errors import BridgeError

T = TypeVar("T")

_EXPECTED_REJECTIONS = frozenset((400, 401, 403, 411, 422))
"""Statuses that a working endpoint may return for an empty body without a key."""


class _StepFailed(BridgeError):
    """Raised when a step fails."""


class _Target(NamedTuple):
    """A URL, and the intakes that reach it with the same endpoint, proxy, trust and timeout."""

    url: str
    destination: Destination
    intakes: tuple[str, ...]

    def result(self, step: str, text: str, *, ok: bool) -> StepResult:
        return StepResult(self.url, self.intakes, step, ok, text)


def probe(config: Config, connect: bool, send_test: bool) -> list[StepResult]:
    """Runs the reactor until all checks have ended; returns the results in the order of the configured intakes."""
    reactor = install_reactor()
    results: list[StepResult] = []
    failures: list[Failure] = []

    async def check_all() -> None:
        if connect:
            for target in _targets(config):
                results.extend(await _TargetCheck(reactor, target).run())
            if config.cluster is not None:
                results.extend(await check_brokers(reactor, config, config.cluster))
        if send_test:
            for intake in config.intakes.values():
                results.append(await _send_test(reactor, intake))

    def begin() -> None:
        checks = defer.ensureDeferred(check_all())
        checks.addErrback(failures.append).addBoth(lambda ended: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        failure.raiseException()
    return results


def _targets(config: Config) -> list[_Target]:
    found: dict[tuple[object, ...], _Target] = {}
    for intake in config.intakes.values():
        one = intake.destination
        for base, path in product(one.urls, filter(None, (one.endpoint, one.scattered_endpoint))):
            key = (base, path, deliver_config.trust(one), deliver_config.proxy(one), one.timeout)
            before = found[key].intakes if key in found else ()
            found[key] = _Target(f"{base}{path}", replace(one, endpoint=path), (*before, intake.name))
    return list(found.values())


class _TargetCheck:
    """Checks one target step by step, as a courier would connect to it."""

    def __init__(self, reactor: Reactor, target: _Target) -> None:
        parts = urlsplit(target.url)
        self._reactor = reactor
        self._target = target
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._timeout = target.destination.timeout.total_seconds()
        self._proxy = deliver_config.proxy(target.destination)

    async def run(self) -> Sequence[StepResult]:
        proxy, results = self._proxy, []
        first = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        owner = "proxy " if proxy else ""

        def add(text: str) -> None:
            results.append(self._target.result(step, text, ok=True))

        step = "name"
        try:
            # The reactor's resolver is the one of the couriers. The system's resolver knows why there is no address.
            addresses = await self._in_time(resolve(self._reactor, *first))
            addresses = addresses or await self._in_time(deferToThread(_resolve, *first))
            add(f"{owner}{first[0]} resolves to {', '.join(addresses)}")
            step = "tcp"
            peer = await self._connect(endpoints.HostnameEndpoint(self._reactor, *first, timeout=self._timeout))
            add(f"{owner}port {first[1]} of {peer} accepts connections over {'IPv6' if ':' in peer else 'IPv4'}")
            policy = CachedPolicy(deliver_config.trust(self._target.destination))
            endpoint = CollectorEndpoints(self._reactor, policy, timeout=self._timeout, proxy=proxy).endpoint(
                self._host, self._port
            )
            if proxy:
                step = "proxy"
                await self._connect(endpoint)
                add(f"{proxy} connects to {self._host}:{self._port}")
            if self._secure:
                step = "tls"
                add(await self._handshake(policy, endpoint))
            step = "http"
            add(await _post_empty(self._reactor, self._target))
        except (_StepFailed, PemError) as error:
            results.append(self._target.result(step, str(error), ok=False))
        return results

    async def _connect(self, endpoint: IStreamClientEndpoint) -> str:
        """Connects and disconnects; returns the address of the peer."""
        try:
            protocol = await self._in_time(endpoints.connectProtocol(endpoint, Protocol()))
        except _StepFailed:
            raise
        except ProxyError as error:
            raise _StepFailed(str(error)) from None
        except Exception:
            raise _StepFailed(_failure_text(), "Check the port, and the firewalls in between.") from None
        transport = cast(ITCPTransport, protocol.transport)
        transport.abortConnection()
        return str(getattr(transport.getPeer(), "host", ""))

    async def _handshake(self, policy: CachedPolicy, tcp_endpoint: IStreamClientEndpoint) -> str:
        creator = policy.creatorForNetloc(self._host.encode("idna"), self._port)
        endpoint = endpoints.wrapClientTLS(creator, tcp_endpoint)
        try:
            protocol = await self._in_time(endpoints.connectProtocol(endpoint, _Handshake()))
        except _StepFailed:
            raise
        except Exception:
            raise _StepFailed(_failure_text()) from None
        try:
            return await self._in_time(protocol.done, "Check that the server uses TLS on this port.")
        except _StepFailed as error:
            # The policy has seen the certificate and may know more.
            raise _StepFailed(policy.refused(self._host) or str(error)) from None
        finally:
            cast(ITCPTransport, protocol.transport).abortConnection()

    async def _in_time(self, waiting: "defer.Deferred[T]", hint: str = "") -> T:
        try:
            return await waiting.addTimeout(self._timeout, self._reactor)
        except defer.TimeoutError:
            raise _StepFailed(f"no answer within {self._timeout:g} s", hint) from None


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _StepFailed(f"cannot resolve {host}: {error.strerror}. Check the name and the DNS settings.") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """Waits for the end of the TLS handshake, whether it succeeds or fails."""

    def __init__(self) -> None:
        self.done: defer.Deferred[str] = defer.Deferred()

    def handshakeCompleted(self) -> None:
        transport = cast(ISSLTransport, self.transport)
        certificate = cast(X509, transport.getPeerCertificate())
        until, issuer = certificate.to_cryptography().not_valid_after_utc, certificate.get_issuer()
        name = one_line(str(issuer.O or issuer.CN)[:400], 100)
        self.done.callback(f"the certificate, issued by {name}, is valid until {until:%Y-%m-%d}")
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.errback(_StepFailed(describe_tls_error(reason.value)))


async def _post_empty(reactor: Reactor, target: _Target) -> str:
    """Sends an empty POST without a key, which cannot create an event; returns the text of the result."""
    client = _client(reactor, target.destination)
    content_type = ENDPOINTS[target.destination.endpoint].content_type
    try:
        answer = await client.post(target.url, b"", {"Content-Type": content_type})
    except Exception:
        raise _StepFailed(_failure_text()) from None
    finally:
        await client.close()
    found = outcome.read(answer, 1, now=0.0)
    if found.verdict is Verdict.ACCEPTED:
        return f"the endpoint answers {answer.status} to an empty request without a key"
    if found.foreign or any(sign in answer.headers for sign in outcome.PROXY_SIGNS):
        raise _StepFailed(
            f"{found.reason}: a captive portal or proxy answers instead of the collector. Allow the connection there."
        )
    if answer.status in _EXPECTED_REJECTIONS:
        page = "text/html" in answer.headers.get("content-type", "")
        if page and answer.status == 403:
            raise _StepFailed(f"{found.reason}: the web page probably comes from a proxy. Allow the connection there.")
        remark = ", with a web page. If --send-test fails, the page comes from a proxy" if page else ""
        return f"the endpoint answers {answer.status} to an empty request without a key{remark}"
    meaning = "check the state of the collector."
    if 300 <= answer.status < 400:
        location = one_line(answer.headers.get("location", "an unknown URL")[:400], 200)
        meaning = f"a redirect to {location}. Check for a captive portal or proxy in between."
    elif answer.status == 404:
        meaning = "the path does not exist. Check the URL."
    elif answer.status == 407:
        meaning = "a proxy requires authentication. Set collector.proxy with username and password."
    raise _StepFailed(f"the endpoint answers {answer.status}: {meaning}")


async def _send_test(reactor: Reactor, intake: Intake) -> StepResult:
    now = datetime.now(UTC)
    target = deliver_config.target(intake)
    event = f"syslog-bridge: test event for intake {intake.name}, {rfc3339(milliseconds(now))}"
    ids: tuple[str, ...] = ()
    url, key_refused = target.url, False
    try:
        client = _client(reactor, intake.destination)
        request = compose([_piece(intake.name, event.encode(), milliseconds(now))], target)
        try:
            for url in target.urls:
                # As a courier does, use the next URL if one cannot be reached.
                try:
                    answer = await client.post(url, request.data, request.headers | target.headers())
                    break
                except Exception:
                    if url == target.urls[-1]:
                        raise
        finally:
            await client.close()
    except Exception:
        ok, text = False, _failure_text(target.secrets(target.headers()))
    else:
        found = outcome.read(replace(answer, body=target.without_key(answer.body)), 1, now=now.timestamp())
        ok, text = found.verdict is Verdict.ACCEPTED and found.accepted == 1, found.reason
        key_refused = found.cause is Cause.KEY
        if ok:
            ids = (found.first_id,) if found.first_id else ()
            text = f"accepted as {ids[0]}" if ids else "accepted"
    # An error may quote a header of the answer, and that the key.
    text = text.replace(intake.intake_key.reveal(), "****")
    return StepResult(url, (intake.name,), "event", ok, text or "not accepted", ids, key_refused)


def _piece(intake: str, event: bytes, ms: int) -> Piece:
    """Builds a piece of one event, in the form that the spool uses."""
    line = event + b"\n"
    batch = Batch(intake, ms * 1000, LINES, False, ms, ms, 1, len(line), Path(), 0.0)
    return Piece(batch, ms, ms, 1, len(line), line)


def _client(reactor: Reactor, destination: Destination) -> Client:
    return Client(
        reactor, connections=1, timeout=destination.timeout.total_seconds(), trust=deliver_config.trust(destination),
        proxy=deliver_config.proxy(destination),
    )  # fmt: skip


def _failure_text(secrets: Iterable[str] = ()) -> str:
    """Describes the exception being handled without the ``secrets``; an operating system error by its own text."""
    failure = Failure()
    number = getattr(failure.value, "osError", None)
    return f"no connection ({os.strerror(number)})" if isinstance(number, int) else describe_failure(failure, secrets)
