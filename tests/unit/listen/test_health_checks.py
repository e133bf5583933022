"""Tests that a load balancer's health checks are counted, and are not rejections."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from bridge.config import Listener
from bridge.listen.handshake import TlsTransportFactory
from bridge.listen.listener import ListenerContext
from bridge.listen.proxy_protocol import HEADER_TIMEOUT, ProxyProtocolFactory
from bridge.listen.tcp_connection import SyslogFactory
from bridge.listen.tls import TlsConnection, load_context
from tests.harness.pki import Authority
from tests.unit.ingest.test_pipeline import Bridge, Route, Tcp, lost
from tests.unit.listen.test_https_limits import Site
from tests.unit.listen.test_tls import Client

BALANCER = "10.0.0.5"
LOCAL = b"PROXY UNKNOWN\r\n"
LOCAL_V2 = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
FRAME = b"<13>Nov 23 12:00:00 gw app: one\n"


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return Bridge(tmp_path / "spool", [Route("all", "a")])


def counted(factory: Any) -> tuple[int, dict[str, int]]:
    """Returns the health checks and the rejections."""
    rejections = factory.connections.rejections
    return rejections.health_checks, dict(rejections.counts)


def test_connection_without_data_is_a_health_check(bridge: Bridge) -> None:
    tcp = Tcp(bridge)
    lost(tcp.connect())
    assert counted(tcp.factory) == (1, {})
    sender = tcp.connect()
    sender.dataReceived(FRAME)
    lost(sender)
    assert counted(tcp.factory) == (1, {})


def test_rejected_connection_is_no_health_check(bridge: Bridge) -> None:
    tcp = Tcp(bridge)
    connection = tcp.connect()
    connection.dataReceived(b"\x16\x03\x01")
    lost(connection)
    assert counted(tcp.factory) == (0, {"tls_on_plain_port": 1})


def test_connections_that_the_gateway_ends_are_no_health_checks(bridge: Bridge) -> None:
    tcp = Tcp(bridge)
    connection = tcp.connect()
    tcp.factory.connections.end()
    lost(connection)
    assert counted(tcp.factory) == (0, {})


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path: Path, bridge: Bridge) -> Any:
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("127.0.0.1")
    listener = Listener.model_construct(
        name="secure", cert_file=issued.certificate, key_file=issued.private_key,
        trusted_proxies=(ip_network(BALANCER),),
    )  # fmt: skip
    context = ListenerContext(bridge.clock, bridge.pipeline, bridge.peers.get, max_frame_size=250 * 1024)
    factory = SyslogFactory(listener, context, TlsConnection)
    wrapping = TlsTransportFactory(load_context(listener), factory, bridge.clock)
    return factory, lambda host="192.0.2.7": Client(wrapping, pki.ca, host)


def test_tls_connection_without_data_or_messages_is_a_health_check(secure: Any) -> None:
    factory, connect = secure
    connect().end()
    assert counted(factory) == (1, {})
    connect().handshake().end()
    assert counted(factory) == (2, {})


def test_unfinished_handshake_is_a_health_check_only_of_a_balancer(secure: Any) -> None:
    factory, connect = secure
    for host, expected in ((BALANCER, (1, {})), ("192.0.2.7", (1, {"handshake_broken": 1}))):
        client = connect(host)
        client.protocol.dataReceived(b"\x16\x03\x01\x02\x00\x01")
        client.end()
        assert counted(factory) == expected


# --- PROXY protocol --------------------------------------------------------------------------------------------------


class Balanced:
    """A TCP listener behind a load balancer, whose own address is not in ``allow``."""

    def __init__(self, bridge: Bridge, allow: str = "192.0.2.0/24") -> None:
        self.bridge = bridge
        self.tcp = Tcp(bridge, allow=(ip_network(allow),), trusted_proxies=(ip_network(BALANCER),))
        self.factory = ProxyProtocolFactory(self.tcp.factory, self.tcp.factory.connections, bridge.clock)

    def connect(self, data: bytes = b"") -> Any:
        connection: Any = self.factory.buildProtocol(IPv4Address("TCP", BALANCER, 4000))
        connection.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", BALANCER, 4000)))
        if data:
            connection.dataReceived(data)
        return connection

    @property
    def counted(self) -> tuple[int, dict[str, int]]:
        return counted(self.tcp.factory)


@pytest.mark.parametrize("header", [b"", LOCAL, LOCAL_V2])
def test_check_of_a_balancer_that_is_not_in_allow_is_no_rejection(bridge: Bridge, header: bytes) -> None:
    balanced = Balanced(bridge)
    lost(balanced.connect(header))
    assert balanced.counted == (1, {})


def test_data_of_a_balancer_that_is_not_in_allow_is_rejected(bridge: Bridge) -> None:
    balanced = Balanced(bridge)
    lost(balanced.connect(LOCAL + FRAME))
    assert balanced.counted == (0, {"not_in_allow": 1})
    connection = balanced.connect(LOCAL)
    connection.dataReceived(FRAME)
    lost(connection)
    assert balanced.counted == (0, {"not_in_allow": 2})
    bridge.check()


def test_data_of_a_balancer_that_is_in_allow_is_taken(bridge: Bridge) -> None:
    balanced = Balanced(bridge, "0.0.0.0/0")
    lost(balanced.connect(LOCAL))
    assert balanced.counted == (1, {})
    lost(balanced.connect(LOCAL + FRAME))
    assert balanced.counted == (1, {})
    bridge.check(received=1, spooled=1)


def test_open_check_of_a_balancer_ends_and_counts_as_awaited(bridge: Bridge) -> None:
    balanced = Balanced(bridge)
    for connection in [balanced.connect(LOCAL) for _ in range(3)]:
        assert not connection.transport.disconnecting
    assert balanced.factory.buildProtocol(IPv4Address("TCP", BALANCER, 4000)) is None, "max_connections is 3"
    bridge.clock.advance(HEADER_TIMEOUT)
    assert balanced.factory.buildProtocol(IPv4Address("TCP", BALANCER, 4000)) is not None


# --- HTTPS -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/health"), ("GET", "/healthz"), ("OPTIONS", "/")])
def test_request_for_health_is_answered_with_200(method: str, path: str) -> None:
    site = Site()
    assert site.send(method=method, path=path) == 200
    assert json.loads(site.transport.value().rpartition(b"\r\n\r\n")[2]) == {"status": "ok"}
    assert (site.rejections.health_checks, dict(site.rejections.counts), site.sink.events) == (1, {}, [])
    assert site.send(body=b"one") == 200, "the connection stays usable"
    assert site.sink.events == [b"one"]


def test_other_requests_are_no_health_checks() -> None:
    site = Site()
    assert site.send(method="GET", path="/plain/batch") == 405
    assert site.send(method="POST", path="/health", body=b"x") == 404
    assert site.rejections.health_checks == 0
