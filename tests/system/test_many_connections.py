"""Tests many, slow, silent and endless senders: none affects others. The full numbers run with `--long`."""

from __future__ import annotations

import contextlib
import itertools
import re
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import Bridge
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import running
from tests.harness.send import tcp, udp
from tests.harness.tls_clients import tls

MIB = 1 << 20
IP_PKTINFO = 8
FORGED = b"<13>1 2031-01-01T00:00:00Z forged app - - - a time that is not believed, so the sender is looked at"


@pytest.fixture(autouse=True)
def raise_descriptor_limit() -> None:
    """Raises the descriptor limit: the test process holds the other ends of the connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def sources() -> Iterator[str]:
    """Yields addresses of 127.0.0.0/8, each once."""
    return (f"127.{a}.{b}.{c}" for a in range(1, 255) for b in range(256) for c in range(1, 255))


def resident(bridge: Bridge, what: str = "VmRSS") -> int:
    """Returns the resident memory of the bridge in bytes; its peak with `VmHWM`."""
    assert bridge.process is not None
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{bridge.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def received(bridge: Bridge) -> int:
    """Returns the number of received events from the metrics, which do not list sources."""
    text = bridge.get("/metrics")[1].decode()
    return _sum("events_received_total", text)


def assert_served(bridge: Bridge, mark: str) -> None:
    """Asserts that a message over TCP and one over UDP are received."""
    before = received(bridge)
    with tcp(bridge.tcp) as connection:
        connection.sendall(f"<13>Nov 24 00:00:00 gw app: {mark}\n".encode())
    with udp() as origin:
        origin.sendto(f"<13>Nov 24 00:00:00 gw app: {mark}".encode(), ("127.0.0.1", bridge.udp))
    until(lambda: received(bridge) >= before + 2, f"others are served: {mark}")


def _sum(name: str, text: str) -> int:
    found = re.findall(rf"^syslog_bridge_{name}\{{.*\}} (\S+)$", text, re.MULTILINE)
    return sum(int(float(number)) for number in found)


def _drops(bridge: Bridge) -> int:
    """Returns the number of datagrams that the kernel dropped."""
    text = bridge.get("/metrics")[1].decode()
    return _sum("udp_receive_buffer_drops_total", text)


def _received_or_dropped(bridge: Bridge) -> int:
    text = bridge.get("/metrics")[1].decode()
    return _sum("events_received_total", text) + _sum("udp_receive_buffer_drops_total", text)


SIZES = [pytest.param((300, 20), id="small"), pytest.param((5_000, 200), id="full", marks=pytest.mark.long)]


@pytest.mark.parametrize("size", SIZES)
def test_idle_connections_cost_little_memory_beside_busy_ones(tmp_path: Path, size: tuple[int, int]) -> None:
    idle, busy = size
    with running(tmp_path) as (collector, bridge), contextlib.ExitStack() as connections:
        bridge.stop()
        bridge.configuration["listeners"][1]["max_connections"] = idle + busy + 1
        bridge.start()
        before = resident(bridge)
        silent = list(itertools.islice(sources(), idle))
        for source in silent:
            connections.enter_context(_connected(bridge.tcp, source))
        talking = [connections.enter_context(_connected(bridge.tcp, f"127.255.0.{n + 1}")) for n in range(busy)]
        for turn in range(5):
            for connection in talking:
                connection.sendall(b"".join(b"<13>Nov 24 00:00:00 gw app: %d %d\n" % (turn, n) for n in range(20)))
            until(lambda turn=turn: received(bridge) == busy * 20 * (turn + 1), "busy connections are read")  # type: ignore[misc]
        assert bridge.status()["refused_connections"]["tcp"] == 0
        # A connection costs a socket, a protocol and its framer.
        assert (resident(bridge) - before) / (idle + busy) < 40 * 1024 + 16 * MIB / (idle + busy)
        collector.wait_for(busy * 100)


@contextlib.contextmanager
def _connected(port: int, source: str) -> Iterator[socket.socket]:
    # A source address per connection has all ports free, so none runs out.
    with socket.create_connection(("127.0.0.1", port), timeout=120, source_address=(source, 0)) as connection:
        yield connection


HANDSHAKE_COUNTS = [pytest.param(60, id="small"), pytest.param(1_000, id="full", marks=pytest.mark.long)]


@pytest.mark.parametrize("kind", ["tls", "https"])
@pytest.mark.parametrize("count", HANDSHAKE_COUNTS)
def test_unfinished_handshakes_give_way_to_finished_ones(tmp_path: Path, count: int, kind: str) -> None:
    """At the limit, a client that finishes its handshake is accepted; the others are closed by the timeout."""
    pki, port = Authority(tmp_path / "pki"), free_port()
    server = pki.issue("127.0.0.1", "localhost", file="server")
    listener = {
        "name": "limited", kind: f"127.0.0.1:{port}", "cert_file": str(server.certificate),
        "key_file": str(server.private_key), "max_connections": count,
        "handshake_timeout": "5s" if count < 1000 else "30s",
    }  # fmt: skip
    with running(tmp_path, listeners=[listener]) as (collector, bridge), contextlib.ExitStack() as connections:
        for number, source in enumerate(itertools.islice(sources(), count)):
            half = connections.enter_context(_connected(port, source))
            # Half of them are silent, half begin a handshake and stop.
            half.sendall(b"" if number % 2 else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        clients = [connections.enter_context(_client(kind, port, pki, source)) for source in ("127.0.0.8", "127.0.0.9")]
        for send in clients:
            send("served")
        collector.wait_for(2)
        counts = lambda: bridge.status()["refusals"]["limited"]  # noqa: E731
        until(lambda: counts() == {"handshake_timeout": count}, lambda: str(bridge.status()["refusals"]))
        clients[1]("and still in")
        collector.wait_for(3)


@contextlib.contextmanager
def _client(kind: str, port: int, pki: Authority, source: str) -> Iterator[Callable[[str], None]]:
    """Connects a client and yields a function that sends one message."""
    if kind == "https":
        agent = Agent(port, pki.ca, source=source)
        yield lambda text: _assert_taken(agent.post("/plain", f"<13>Nov 24 00:00:00 gw app: {text}".encode())[0])
        return
    with tls(port, pki.ca, source=source) as connection:
        yield lambda text: connection.sendall(f"<13>Nov 24 00:00:00 gw app: {text}\n".encode())


def _assert_taken(status: int) -> None:
    assert status == 200


def test_peer_that_sends_single_bytes_does_not_delay_others(tmp_path: Path) -> None:
    message = b"<13>Nov 24 00:00:00 gw app: slowly, but all of it\n"
    with running(tmp_path) as (collector, bridge), tcp(bridge.tcp) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, byte in enumerate(message):
            slow.sendall(bytes([byte]))
            if number % 10 == 0:
                assert_served(bridge, f"beside byte {number}")
        collector.wait_for(11)
        assert "slowly, but all of it" in collector.texts()


ENDLESS_LINE_SIZES = [pytest.param(48 * MIB, id="small"), pytest.param(1000 * MIB, id="full", marks=pytest.mark.long)]


@pytest.mark.parametrize("size", ENDLESS_LINE_SIZES)
def test_endless_line_is_quarantined_in_bounded_memory(tmp_path: Path, size: int) -> None:
    with running(tmp_path) as (_, bridge):
        assert_served(bridge, "before")
        before = resident(bridge)
        with tcp(bridge.tcp) as endless:
            block = b"x" * MIB
            endless.sendall(b"<13>Nov 24 00:00:00 gw app: ")
            for number in range(size // MIB):
                endless.sendall(block)
                if number % 50 == 0:
                    assert_served(bridge, f"beside megabyte {number}")
        until(lambda: bridge.status()["quarantine"].get("oversize") == 1, lambda: str(bridge.status()["quarantine"]))
        assert resident(bridge, "VmHWM") - before < 32 * MIB
        assert_served(bridge, "after")


FORGED_COUNTS = [pytest.param(55_000, id="small"), pytest.param(1_000_000, id="full", marks=pytest.mark.long)]


@pytest.mark.weight(12)
@pytest.mark.parametrize("count", FORGED_COUNTS)
def test_forged_sources_use_bounded_memory_and_keep_named_sources(tmp_path: Path, count: int) -> None:
    """More sources than the bridge remembers: memory is bounded, and a named source stays known."""
    known = [{"source": "127.0.0.1", "name": "known"}]
    with running(tmp_path, sources=known) as (_, bridge), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forging:
        assert_served(bridge, "before")
        before = resident(bridge)
        target = ("127.0.0.1", bridge.udp)
        sent = 0
        at_once = 10_000
        # Timestamps out of range are handled per sender; the full number is sent without them.
        frame = FORGED if count < 1_000_000 else b"<13>forged"
        forged = itertools.islice(sources(), count)
        while block := list(itertools.islice(forged, at_once)):
            for source in block:
                address = socket.inet_aton(source)
                # IP_PKTINFO sets any local address as the source, without a socket for each (ip(7)).
                info = struct.pack("=I4s4s", 0, address, address)
                forging.sendmsg([frame], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, target)
            sent += len(block)
            until(lambda sent=sent: _received_or_dropped(bridge) >= sent, "datagrams are read or dropped")  # type: ignore[misc]
        assert_served(bridge, "after")
        assert resident(bridge, "VmHWM") - before < 200 * MIB
        status = bridge.status()
        assert status["sources_count"]["total"] <= 50_000
        assert status["sources_count"]["forgotten"] >= 0.9 * (count - 55_000 - _drops(bridge))
        assert {row["name"] for row in status["sources"] if row["address"] == "127.0.0.1"} == {"known"}
        assert len(status["alarms"]) <= 1000
