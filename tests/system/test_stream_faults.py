"""Tests TCP and TLS connections that bring no frame, and TLS senders that go away while their intake is full."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from pathlib import Path

from tests.harness.bridge import Bridge
from tests.harness.gate import Gate
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting, running
from tests.harness.send import tcp, udp
from tests.system.test_connection_faults import descriptors, fill_intake, probe

CLIENTS, SLOTS = 30, 20
PROXY_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
"The header of version 2 that a load balancer sends with its own health checks (command LOCAL)."


def test_checks_that_send_no_frame_leave_no_trace(tmp_path: Path) -> None:
    """Line ends, blanks, a PROXY header or a TLS handshake alone are no event, no source, no warning."""
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("127.0.0.1")
    secure = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
    plain, proxied, encrypted, datagrams = (free_port() for _ in range(4))
    listeners = [
        {"name": "plain", "tcp": f"127.0.0.1:{plain}"}, {"name": "datagrams", "udp": f"127.0.0.1:{datagrams}"},
        {"name": "proxied", "tcp": f"127.0.0.1:{proxied}", "trusted_proxies": ["127.0.0.0/8"]},
        {"name": "encrypted", "tls": f"127.0.0.1:{encrypted}", **secure},
    ]  # fmt: skip
    with running(tmp_path, listeners=listeners) as (_, bridge):
        assert bridge.process is not None
        base = descriptors(bridge)
        for reset in (False, True):
            for last, data in enumerate((b"\n", b"\r\n\r\n", b" ", b"\0", b" \n\n\t\n"), 1):
                probe(plain, data, reset=reset, source=f"127.0.1.{last}")
            for data in (PROXY_LOCAL, b"PROXY UNKNOWN\r\n", b"PROXY TCP4 192", PROXY_LOCAL + b"\n"):
                probe(proxied, data, reset=reset)
            for linger in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):
                shake_hands(encrypted, pki, linger)
        with udp(source="127.0.1.9") as origin:
            for datagram in (b"", b"\n", b" \0"):
                origin.sendto(datagram, ("127.0.0.1", datagrams))
        until(lambda: descriptors(bridge) <= base, lambda: f"slots are free: {descriptors(bridge)} of {base}")
        with tcp(plain) as connection:
            connection.sendall(b"<13>still served\n")
        bridge.wait_received(1)
        status = bridge.status()
        assert [(row["address"], row["events"]) for row in status["sources"]] == [("127.0.0.1", 1)]
        assert (status["alarms"], status["refusals"], status["ledger"]["received"]) == ([], {}, 1)
        assert "warn" not in bridge.process.stderr.lower(), bridge.process.stderr
        bridge.wait_drained()


def shake_hands(port: int, pki: Authority, linger: bytes) -> None:
    context = ssl.create_default_context(cafile=pki.ca)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_paused_tls_senders_that_go_away_free_their_slots(tmp_path: Path) -> None:
    """Their end is encrypted and behind unread data. Every line is delivered once when there is room."""
    pki, port = Authority(tmp_path / "pki"), free_port()
    issued = pki.issue("127.0.0.1")
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(
            tmp_path, collector.url, intakes={"full": {"url": gate.url}, "free": {}}, unrouted="hold",
            routes=[{"intake": "free", "source": "127.0.2.1"}, {"intake": "full", "source": "127.0.0.0/8"}],
        ) as bridge:  # fmt: skip
            bridge.configuration["spool"] |= {"max_size": "4MB", "min_free": "1MB", "when_full": "pause"}
            bridge.configuration["listeners"].append(
                {"name": "tls", "tls": f"127.0.0.1:{port}", "cert_file": str(issued.certificate),
                 "key_file": str(issued.private_key), "max_connections": SLOTS, "max_connections_per_peer": 5}
            )  # fmt: skip
            bridge.start()
            filler = fill_intake(bridge)
            base, sent = descriptors(bridge), []
            before = bridge.ledger()["received"]
            for number in range(CLIENTS):
                until(lambda: descriptors(bridge) < base + 5, lambda: f"a free slot: {descriptors(bridge)}")
                lines = [f"client {number} line {i}" for i in range(3)]
                send_and_go_away(port, pki, f"127.0.1.{1 + number % 6}", lines, orderly=number % 2 == 0)
                sent += lines
                bridge.wait_received(before + len(sent))
            assert descriptors(bridge) <= base + SLOTS
            send_and_go_away(port, pki, "127.0.2.1", ["other intake"], orderly=True)
            until(lambda: bridge.ledger()["delivered"] == 1, lambda: f"delivered: {bridge.ledger()}")
            assert not bridge.status()["refusals"]
            gate.open()
            filler.close()
            until(lambda: not waiting(bridge), lambda: f"all delivered: {bridge.status()}")
            assert not bridge.ledger()["dropped"]
        gate.shut()
        arrived = Counter(event.text for event in collector.refresh() if event.text.startswith("client "))
    assert arrived == Counter(sent)


def waiting(bridge: Bridge) -> int:
    ledger = bridge.ledger()
    return int(ledger["spooled"] + ledger["buffered"])


def send_and_go_away(port: int, pki: Authority, source: str, lines: list[str], *, orderly: bool) -> None:
    """Sends lines, and ends the connection with or without close_notify before the FIN."""
    context = ssl.create_default_context(cafile=pki.ca)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        for line in lines:
            connection.sendall(f"<13>{line}\n".encode())
        if orderly:
            connection.settimeout(0.2)
            try:
                connection.unwrap()
            except (OSError, ssl.SSLError):
                pass  # the gateway does not read, so it does not answer
        else:
            connection.shutdown(socket.SHUT_WR)
