"""Tests connections without a message, senders that go away while they wait, and a process without descriptors."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import struct
from collections import Counter
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.gate import Gate
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting, running
from tests.harness.send import tcp, udp

PROBES, PROBE_ROUNDS = 20, 3  # per listener and kind
PROXY_HEADER = b"PROXY TCP4 192.0.2.5 192.0.2.6 1 514\r\n"
CLIENTS = 60
SLOTS = 20
DESCRIPTORS = 256


def probe(port: int, data: bytes, *, reset: bool, source: str = "127.0.0.1") -> None:
    """Connects as a load balancer's health check does, and closes with FIN or RST."""
    with socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0)) as connection:
        if data:
            connection.sendall(data)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_health_checks_leave_no_trace(tmp_path: Path) -> None:
    """A connection without a frame is no event, no warning, no alarm and no source; its slot is free again."""
    issued = Authority(tmp_path / "pki").issue("gateway")
    secure = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
    kinds: dict[str, dict[str, Any]] = {"tcp": {}, "tls": secure, "relp": {}, "https": secure}
    ports = {(kind, proxied): free_port() for kind in kinds for proxied in (False, True)}
    listeners = [
        {"name": f"{kind}-{'proxied' if proxied else 'plain'}", kind: f"127.0.0.1:{port}", **kinds[kind],
         "max_connections": 50, "max_connections_per_peer": 50,
         **({"trusted_proxies": ["127.0.0.0/8"]} if proxied else {})}
        for (kind, proxied), port in ports.items()
    ]  # fmt: skip
    with running(tmp_path, listeners=listeners) as (_, bridge):
        assert bridge.process is not None
        base, probes = descriptors(bridge), 0
        for _ in range(PROBE_ROUNDS):
            for (_, proxied), port in ports.items():
                for header in (b"", PROXY_HEADER)[: 1 + proxied]:
                    for number in range(PROBES):
                        probe(port, header, reset=number % 2 == 0)
                    probes += PROBES
                    # All rounds together exceed the limits.
                    wait_ended(bridge, probes, base)
        before = bridge.process.stderr
        with tcp(ports["tcp", False]) as connection:
            connection.sendall(b"<13>still served\n")
            bridge.wait_received(1)
        status = bridge.status()
        assert "warn" not in before.lower(), before
        assert [row["events"] for row in status["sources"]] == [1]
        assert (status["alarms"], status["ledger"]["received"]) == ([], 1)
        assert status["refusals"] == {}
        bridge.wait_drained()


def wait_ended(bridge: Bridge, probes: int, base: int) -> None:
    """Waits until all probes have ended. A busy bridge may have as few descriptors as before it accepts them."""

    def ended() -> int:
        return sum(bridge.status()["health_checks"].values())

    until(
        lambda: ended() >= probes and descriptors(bridge) <= base,
        lambda: f"{ended()} of {probes} probes; slots: {descriptors(bridge)} of {base}",
    )


def descriptors(bridge: Bridge) -> int:
    assert bridge.process is not None
    return len(list(Path(f"/proc/{bridge.process.pid}/fd").iterdir()))


def test_paused_senders_that_go_away_free_their_slots(tmp_path: Path) -> None:
    """Their lines are held and delivered once; senders of other intakes still find a slot."""
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(
            tmp_path, collector.url, intakes={"full": {"url": gate.url}, "free": {}}, unrouted="hold",
            routes=[{"intake": "free", "source": "127.0.2.1"}, {"intake": "full", "source": "127.0.0.0/8"}],
        ) as bridge:  # fmt: skip
            bridge.configuration["spool"] |= {"max_size": "4MB", "min_free": "1MB", "when_full": "pause"}
            bridge.configuration["listeners"][1] |= {"max_connections": SLOTS, "max_connections_per_peer": 5}
            bridge.start()
            filler = fill_intake(bridge)
            base = descriptors(bridge)
            before, sent = bridge.ledger()["received"], []
            for number in range(CLIENTS):
                # Closed connections are found several times per second.
                until(lambda: descriptors(bridge) < base + 5, lambda: f"a free slot: {descriptors(bridge)}")
                lines = [f"client {number} line {i}" for i in range(3)]
                with tcp(bridge.tcp, source=f"127.0.1.{1 + number % (CLIENTS // 5)}") as connection:
                    connection.sendall("".join(f"<13>{line}\n" for line in lines).encode())
                sent += lines
                bridge.wait_received(before + len(sent))
            assert descriptors(bridge) <= base + SLOTS
            with tcp(bridge.tcp, source="127.0.2.1") as connection:
                connection.sendall(b"<13>other intake\n")
            until(lambda: bridge.ledger()["delivered"] == 1, lambda: f"delivered: {bridge.ledger()}")
            assert not bridge.status()["refusals"]
            gate.open()
            filler.close()
            until(
                lambda: (ledger := bridge.ledger())["spooled"] == ledger["buffered"] == 0,
                lambda: f"all delivered: {bridge.status()}",
            )
            assert not bridge.ledger()["dropped"]
        gate.shut()
        arrived = Counter(event.text for event in collector.refresh() if event.text.startswith("client "))
    assert arrived == Counter(sent)


def fill_intake(bridge: Bridge) -> socket.socket:
    """Sends to intake `full` until it is full, over a connection that stays open."""
    filler = socket.create_connection(("127.0.0.1", bridge.tcp), source_address=("127.0.3.1", 0))
    filler.setblocking(False)
    block = b"".join(b"<13>filler %d %s\n" % (i, b"x" * 1000) for i in range(100))

    def full() -> bool:
        with contextlib.suppress(BlockingIOError):
            rest = memoryview(block)
            while rest:
                rest = rest[filler.send(rest) :]
        return bool(bridge.status()["held_connections"])

    until(full, lambda: f"intake is full: {bridge.status()}", every_seconds=0.01)
    return filler


def test_without_descriptors_the_process_serves_what_it_has(tmp_path: Path) -> None:
    """UDP, accepted connections and delivery continue; what is not accepted waits in the kernel's queue."""
    with running(tmp_path) as (_, bridge):
        bridge.stop()
        bridge.configuration["listeners"][1] |= {"max_connections": 1000, "max_connections_per_peer": 1000}
        bridge.start()
        assert bridge.process is not None
        resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        # This process holds the other ends.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opened = [socket.create_connection(("127.0.0.1", bridge.tcp), timeout=60) for _ in range(400)]
        until(
            lambda: any(alarm["kind"] == "descriptors" for alarm in bridge.status()["alarms"]),
            lambda: f"alarm: {bridge.status()['alarms']}",
        )
        used = descriptors(bridge)
        assert used <= DESCRIPTORS * 3 // 4 + 5
        for number, connection in enumerate(opened):
            connection.sendall(b"<13>line %d\n" % number)
        with udp() as device:
            device.sendto(b"<13>datagram", ("127.0.0.1", bridge.udp))
        until(lambda: bridge.ledger()["received"] > 100, lambda: f"served: {bridge.ledger()}")
        until(lambda: bridge.ledger()["delivered"] > 100, lambda: f"delivered: {bridge.ledger()}")
        served = bridge.ledger()["received"]
        assert served < 400
        assert sum(row["events"] for row in bridge.status()["sources"] if row["listener"] == "udp") == 1
        # What is left needs fewer descriptors than there are.
        for connection in opened[:260]:
            connection.close()
        bridge.wait_received(401)
        bridge.wait_drained()
        assert bridge.ledger()["delivered"] == 401
        log = bridge.process.stderr
        assert len(re.findall("no new connections are accepted", log)) == 1, log
        assert "EMFILE" not in log
        for connection in opened[260:]:
            connection.close()


def test_a_rejected_tls_client_is_closed(tmp_path: Path) -> None:
    """Its rejection is counted, and is no defect of the bridge."""
    issued = Authority(tmp_path / "pki").issue("gateway")
    port = free_port()
    listener = {
        "name": "tls", "tls": f"127.0.0.1:{port}", "cert_file": str(issued.certificate),
        "key_file": str(issued.private_key), "allow": ["192.0.2.0/24"],
    }  # fmt: skip
    with running(tmp_path, listeners=[listener]) as (_, bridge):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
            contextlib.suppress(ConnectionResetError),
        ):
            assert connection.recv(1) == b""
        until(lambda: bridge.status()["refusals"] == {"tls": {"not_in_allow": 1}}, lambda: str(bridge.status()))
        assert bridge.process is not None
        assert "critical" not in bridge.process.stderr
