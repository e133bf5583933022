"""Tests the limits of a stream listener's connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bridge.config import Listener
from bridge.listen.connections import Connections
from tests.unit.ingest.test_pipeline import Tcp, lost, make_bridge  # noqa: F401


class Connection:
    def __init__(self) -> None:
        self.ended = 0

    def end(self) -> None:
        self.ended += 1


class Handshake:
    """An unfinished handshake that ends its connection when it is closed."""

    def __init__(self, connections: Connections[Connection], connection: Connection) -> None:
        self.connections, self.connection = connections, connection
        connections.handshake_began(self.close)

    def close(self) -> None:
        self.connections.handshake_ended(self.close)
        self.connections.refused(self.connection, "handshake_timeout", "closed for a new client")


@pytest.fixture
def connections() -> Connections[Connection]:
    listener = Listener.model_construct(name="tcp", max_connections=2, max_connections_per_peer=2)
    return Connections(listener, lambda: 0.0)


def build(connections: Connections[Connection], host: str) -> Connection:
    connection = connections.build(host, Connection)
    assert connection is not None
    return connection


def test_oldest_unfinished_handshake_is_closed_for_a_new_client(connections: Connections[Connection]) -> None:
    oldest, other = build(connections, "192.0.2.1"), build(connections, "192.0.2.2")
    handshake = Handshake(connections, oldest)
    Handshake(connections, other)
    new = build(connections, "192.0.2.3")
    assert list(connections) == [other, new]
    assert connections.rejections.counts == {"handshake_timeout": 1}
    connections.handshake_ended(handshake.close)
    newest = build(connections, "192.0.2.4")
    assert list(connections) == [new, newest]
    assert connections.build("192.0.2.5", Connection) is None
    assert connections.rejections.counts == {"handshake_timeout": 2, "max_connections": 1}


def test_rejected_client_closes_no_handshake(connections: Connections[Connection]) -> None:
    """A client above its own limit must not close the handshakes of others."""
    first, second = build(connections, "192.0.2.1"), build(connections, "192.0.2.1")
    Handshake(connections, first)
    assert connections.build("192.0.2.1", Connection) is None
    assert list(connections) == [first, second]
    assert connections.rejections.counts == {"max_connections_per_peer": 1}


def test_connection_is_refused_once(connections: Connections[Connection]) -> None:
    connection = build(connections, "192.0.2.1")
    for _ in range(2):
        connections.refused(connection, "plain_text", "plain text")
    connections.closed(connection)
    assert connections.rejections.counts == {"plain_text": 1}
    assert [each.text for each in connections.rejections.sources.of("192.0.2.1")] == ["plain text"]
    assert len(connections) == 0


def test_awaited_proxy_headers_are_bounded(connections: Connections[Connection]) -> None:
    first = connections.build_awaiting_header("192.0.2.9", Connection)
    second = connections.build_awaiting_header("192.0.2.9", Connection)
    assert first is not None
    assert second is not None
    assert connections.build_awaiting_header("192.0.2.9", Connection) is None
    connections.header_ended(first)
    assert connections.build_awaiting_header("192.0.2.9", Connection) is not None
    connections.end()
    assert (first.ended, second.ended) == (0, 1)


def test_end_closes_all_and_waits_for_the_last(connections: Connections[Connection]) -> None:
    first, second = build(connections, "192.0.2.1"), build(connections, "192.0.2.2")
    results: list[None] = []
    connections.end().addCallback(results.append)
    assert (connections.closing, first.ended, second.ended) == (True, 1, 1)
    connections.closed(first)
    assert results == []
    connections.closed(second)
    assert results == [None]
    connections.end().addCallback(results.append)
    assert results == [None, None]


def test_renamed_listener_and_new_limits_apply_to_new_connections(connections: Connections[Connection]) -> None:
    build(connections, "192.0.2.1")
    connections.change(Listener.model_construct(name="other", max_connections=1, max_connections_per_peer=1))
    assert len(connections) == 1
    assert connections.build("192.0.2.2", Connection) is None
    assert connections.rejections.counts == {"max_connections": 1}


def test_last_frames_are_taken_before_the_last_connection_has_ended(make_bridge: Callable[[], Any]) -> None:  # noqa: F811
    bridge = make_bridge()
    tcp = Tcp(bridge)
    connection = tcp.connect()
    connection.dataReceived(b"<13>without a line end")
    received: list[int] = []
    tcp.factory.connections.end().addCallback(lambda nothing: received.append(bridge.ledger.columns()["received"]))
    assert received == []
    lost(connection)
    assert received == [1]
