"""Tests the HTTPS intake listener, which agents and other bridges use as their collector."""

from __future__ import annotations

import gzip
import http.client
import itertools
import socket
import ssl
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import Bridge, key_of
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

NOW = datetime.now(UTC).replace(microsecond=250_000) - timedelta(minutes=5)
STAMP = NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def add_https_listener(bridge: Bridge, authority: Authority) -> int:
    issued = authority.issue("localhost")
    port = free_port()
    bridge.configuration["listeners"].append(
        {"name": "post", "https": f"127.0.0.1:{port}", "cert_file": str(issued.certificate),
         "key_file": str(issued.private_key)}
    )  # fmt: skip
    return port


def test_listener_applies_keys_routes_times_and_limits(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url, intakes={"other": {}, "mine": {"payload": "message"}, "exact": {
            "endpoint": "/array"}},
            routes=[{"intake": "other", "message": {"contains": ["routed"]}}], unrouted="hold") as bridge,
    ):  # fmt: skip
        port = add_https_listener(bridge, authority)
        bridge.start()
        agent = Agent(port, authority.ca)
        mine, exact = key_of("mine"), key_of("exact")
        line = "<13>1 2020-01-01T00:00:00Z h a - - - whole, as it is"
        status, _, answer = agent.post(
            "/plain/batch", gzip.compress(f"{line}\ncaf\u00e9".encode()), X_SEKOIAIO_INTAKE_KEY=mine,
            X_SEKOIAIO_EVENT_TIMESTAMP=STAMP, Content_Encoding="gzip",
        )  # fmt: skip
        assert (status, len(answer["event_ids"])) == (200, 2)
        basic = "Basic " + b64encode(f"any:{mine}".encode()).decode()
        assert agent.post("/plain", b"by password", Authorization=basic)[0] == 200
        rows = [{"timestamp": STAMP.replace(".250", f".{ms:03}"), "intake_key": exact, "json": f"at {ms}\nx"}
                for ms in (1, 500, 999)]  # fmt: skip
        assert agent.post("/array", rows)[0] == 200
        # Without a key the routes decide. The event time is the frame's own, or the one in the header.
        own = (NOW - timedelta(minutes=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
        assert agent.post("/plain", f"<13>1 {own} h a - - - routed one".encode())[0] == 200
        assert agent.post("/jsons", [f"<13>1 {own} h a - - - routed two"], X_SEKOIAIO_EVENT_TIMESTAMP=STAMP)[0] == 200
        assert agent.post("/plain", b"<13>nobody knows")[0] == 200
        ledger = bridge.ledger()
        assert (ledger["received"], ledger["quarantined"]) == (9, 1)
        status, _, answer = agent.post("/plain", b"x", X_SEKOIAIO_INTAKE_KEY="0000000000000000")
        assert (status, "unknown intake key" in answer["error"]) == (401, True)
        assert agent.post("/jsons", b"{")[0] == 400
        status, _, answer = agent.post("/plain/batch", gzip.compress(b"x" * 11_000_000), Content_Encoding="gzip")
        assert status == 413
        assert bridge.ledger()["received"] == 9
        strange = ssl.create_default_context()
        strange.set_alpn_protocols(["something-else"])
        with pytest.raises(ssl.SSLCertVerificationError):
            strange.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        process = bridge.process
        assert process is not None
        until(lambda: "listener post: connection from 127.0.0.1 closed: " in process.stderr, "TLS failure is logged")
        bridge.wait_drained()
        found = {event.text: event for event in collector.wait_for(8)}
        assert sorted(found) == sorted(
            [line, "caf\u00e9", "by password", "at 1\nx", "at 500\nx", "at 999\nx", "routed one", "routed two"]
        )
        assert {found[text].key for text in (line, "caf\u00e9", "by password")} == {mine}
        assert found[line].time == NOW
        assert [found[f"at {ms}\nx"].time for ms in (1, 500, 999)] == [
            NOW.replace(microsecond=ms * 1000) for ms in (1, 500, 999)
        ]
        assert found["routed one"].time == datetime.fromisoformat(own)
        assert found["routed two"].time == NOW
        (source,) = [one for one in bridge.status()["sources"] if one["listener"] == "post"]
        assert (source["address"], source["events"]) == ("127.0.0.1", 9)


def test_chained_bridges_deliver_text_and_time_once(tmp_path: Path) -> None:
    """Events of the near bridge arrive at the collector with the same text and time, once each."""
    authority = Authority(tmp_path / "pki")
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path / "far", collector.url, intakes={"all": {}, "array": {"endpoint": "/array"}}) as far,
    ):
        port = add_https_listener(far, authority)
        far.configuration["batch"]["backlog_timestamp_resolution"] = "1s"
        far.start()
        intakes = {"all": {}, "array": {"endpoint": "/array"}}
        with bridging(tmp_path / "near", f"https://localhost:{port}", intakes=intakes,
                      routes=[{"intake": "array", "source": "127.0.7.1"}]) as near:  # fmt: skip
            near.configuration["collector"]["ca_file"] = str(authority.ca)
            near.configuration["batch"]["backlog_timestamp_resolution"] = "1s"
            near.start()
            sent = [rfc5424(i, NOW + timedelta(milliseconds=37 * i)) for i in range(200)]
            send_lines(near.tcp, (message.frame for message in sent[:100]), source="127.0.7.1")
            send_lines(near.tcp, (message.frame for message in sent[100:]))
            near.wait_received(200)
            near.wait_drained()
            far.wait_drained()
            arrived = collector.wait_for(200)
            assert Counter(event.text for event in arrived) == Counter(message.text for message in sent)
            for event in arrived:
                exact = datetime.fromisoformat(event.text.split(" ", 3)[2])
                assert event.time is not None
                late = (exact - event.time).total_seconds()
                # Each bridge may join events within its timestamp resolution.
                assert late == 0 if event.key == key_of("array") else 0 <= late < 2, (late, event)
            assert near.ledger()["dropped"] == far.ledger()["dropped"] == {}


def test_full_spool_is_answered_with_503_and_accepts_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with bridging(tmp_path, "http://127.0.0.1:9") as bridge:
        bridge.configuration["spool"] |= {"max_size": "1MB", "min_free": "1MB", "when_full": "pause"}
        port = add_https_listener(bridge, authority)
        bridge.start()
        agent = Agent(port, authority.ca)
        key, taken, body = key_of("all"), 0, b"\n".join(b"x" * 1000 for _ in range(100))

        def full() -> bool:
            nonlocal taken
            status, headers, _ = agent.post("/plain/batch", body, X_SEKOIAIO_INTAKE_KEY=key)
            assert status in (200, 503)
            taken += 100 * (status == 200)
            return status == 503 and headers["retry-after"] == "10"

        until(full, "answer 503", every_seconds=0.01)
        ledger = bridge.ledger()
        assert (ledger["received"], ledger["buffered"], ledger["dropped"]) == (taken, 0, {})


def chunked(body: bytes, sizes: tuple[int, ...]) -> bytes:
    """Encodes a body in chunks of these sizes, repeated, with extensions and a trailer (RFC 9112, section 7.1)."""
    parts, at = [], 0
    for size in itertools.cycle(sizes):
        chunk = body[at : at + size]
        if not chunk:
            return b"".join(parts) + b"0;last\r\nX-Trailer: ignored\r\n\r\n"
        parts.append(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk))
        at += size
    raise AssertionError


def raw_request(port: int, ca: Path, head: tuple[str, ...], body: bytes) -> tuple[int, bool]:
    """Sends a request as it is. Returns the status, and True if the server closes the connection."""
    context = ssl.create_default_context(cafile=str(ca))
    lines = ("POST /plain/batch HTTP/1.1", "Host: localhost", f"X-SEKOIAIO-INTAKE-KEY: {key_of('all')}", *head)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall("\r\n".join((*lines, "", "")).encode() + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
        if not response.will_close and response.status == 200:
            return response.status, False
        return response.status, connection.recv(1) == b""


def test_chunked_bodies_are_joined_and_two_lengths_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        port = add_https_listener(bridge, authority)
        bridge.start()
        texts = [f"event {number} caf\u00e9 \u4e16\u754c" for number in range(50)]
        # LF ends an event. A CR before it belongs to the event, which the spool escapes.
        first, second = ("\r\n".join((*part, "")).encode() for part in (texts[:20], texts[20:]))
        gzipped = gzip.compress(first) + gzip.compress(second)
        encoding = "Transfer-Encoding: chunked"
        for head, body in (
            ((encoding,), chunked(first + second, (1, 7, 3, 1000))),
            ((encoding, "Content-Encoding: gzip"), chunked(gzipped, (5, 1, 64))),
        ):
            before = bridge.ledger()["received"]
            assert raw_request(port, authority.ca, head, body) == (200, False)
            assert bridge.ledger()["received"] == before + len(texts)
        smuggled = chunked(b"smuggled", (8,))
        for head in ((encoding, f"Content-Length: {len(smuggled)}"), (f"Content-Length: {len(smuggled)}", encoding)):
            assert raw_request(port, authority.ca, head, smuggled) == (400, True)
        assert bridge.ledger()["received"] == 2 * len(texts)
        bridge.wait_drained()
        assert Counter(event.text for event in collector.wait_for(2 * len(texts))) == Counter(
            2 * [f"{text}#015" for text in texts]
        )
