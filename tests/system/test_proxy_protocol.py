"""Tests the PROXY header on every kind of stream listener, and which peers may send it."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.harness.bridge import key_of
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting

BALANCER, OTHER_PEER = "127.0.8.1", "127.0.8.2"
V1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 514\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("10.0.0.1")
    + b"\x9c\x40\2\2"
)
DENIED = V1.replace(b"192.0.2.7", b"198.51.100.9")


def connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=180, source_address=(source, 0))


def unread_bytes(port: int, client: socket.socket) -> int | None:
    """Returns the bytes in the receive queue of a connection's other end; None before that is established."""
    ends = [b"%08X:%04X" % (int.from_bytes(socket.inet_aton(host), "little"), number) for host, number in (
        ("127.0.0.1", port), client.getsockname(),
    )]  # fmt: skip
    for line in Path("/proc/net/tcp").read_bytes().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[4].partition(b":")[2], 16)
    return None


def test_proxy_header_sets_the_source_on_every_stream_listener(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("localhost")
    context = ssl.create_default_context(cafile=str(authority.ca))
    tls = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
    ports = {kind: free_port() for kind in ("tcp", "tls", "relp", "https")}
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url, intakes={"real": {}, "other": {}},
                 routes=[{"intake": "real", "source": "192.0.2.7"}], unrouted={"intake": "other"}) as bridge,
    ):  # fmt: skip
        for kind, port in ports.items():
            bridge.configuration["listeners"].append(
                {"name": f"b-{kind}", kind: f"127.0.0.1:{port}", "trusted_proxies": ["127.0.8.1"],
                 "allow": ["192.0.2.0/24", "127.0.0.0/8"], **(tls if kind in ("tls", "https") else {})}
            )  # fmt: skip
        bridge.start()

        def connect_with_header(kind: str, header: bytes) -> Any:
            """Opens a connection and sends the header in three pieces."""
            raw = connect(ports[kind], BALANCER)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (header[:5], header[5:20], header[20:]):
                raw.sendall(part)
                until(lambda: unread_bytes(ports[kind], raw) == 0, "the bridge has read the piece")
            return context.wrap_socket(raw, server_hostname="localhost") if kind in ("tls", "https") else raw

        count = 0
        for header in (V1, V2):
            for kind in ("tcp", "tls"):
                with closing(connect_with_header(kind, header)) as connection:
                    connection.sendall(b"<13>over %b\n" % kind.encode())
                count += 1
            with closing(connect_with_header("relp", header)) as connection:
                connection.sendall(b"1 syslog 13 <13>over relp\n")
                assert connection.recv(100) == b"1 rsp 6 200 OK\n"
            client = http.client.HTTPSConnection("localhost")
            client.sock = connect_with_header("https", header)
            client.request("POST", "/plain", b"<13>over https")
            assert client.getresponse().status == 200
            client.close()
            count += 2
        # Header and frame in one write; a health check of the balancer; a peer that needs no header.
        with closing(connect(ports["tcp"], BALANCER)) as connection:
            connection.sendall(V1 + b"<13>at once\n")
        with closing(connect(ports["tcp"], BALANCER)) as connection:
            connection.sendall(b"PROXY UNKNOWN\r\n<13>health\n")
        with closing(connect(ports["tcp"], OTHER_PEER)) as connection:
            connection.sendall(b"<13>direct\n")
        bridge.wait_received(count + 3)
        bridge.wait_drained()
        arrived = collector.wait_for(count + 3)
        from_header = sorted(event.text for event in arrived if event.key == key_of("real"))
        assert from_header == sorted([f"over {kind}" for kind in ports] * 2 + ["at once"])
        assert sorted(event.text for event in arrived if event.key == key_of("other")) == ["direct", "health"]
        addresses = {(one["address"], one["listener"]) for one in bridge.status()["sources"]}
        assert addresses == {("192.0.2.7", f"b-{kind}") for kind in ports} | {
            (BALANCER, "b-tcp"), (OTHER_PEER, "b-tcp")
        }  # fmt: skip

        process = bridge.process
        assert process is not None

        def assert_closed(kind: str, source: str, data: bytes, words: str) -> None:
            with closing(connect(ports[kind], source)) as connection:
                connection.sendall(data)
                try:
                    assert connection.recv(1) == b""
                except ConnectionResetError:
                    pass
            until(lambda: f"listener b-{kind}: connection from" in process.stderr and words in process.stderr, words)

        for kind in ports:
            assert_closed(
                kind, OTHER_PEER, V1 + b"<13>forged\n",
                "begins with a PROXY header, and its sender is not in the listener's trusted_proxies",
            )  # fmt: skip
        assert_closed(
            "tcp", BALANCER, b"<13>no header\n", "it does not begin with a PROXY header, although its sender is in"
        )
        assert_closed("tcp", BALANCER, DENIED + b"<13>denied\n", "connection from 198.51.100.9 closed: not in allow")
        assert bridge.ledger()["received"] == count + 3
        rejections = bridge.status()["refused_connections"]
        assert (rejections["b-tcp"], rejections["b-https"]) == (3, 1)
