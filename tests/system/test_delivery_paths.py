"""Tests every endpoint, and every way to reach the collector: proxies, client certificates, IPv6, a second URL."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.accepting import ThreadedServer
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.messages import SentMessage, rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import has_ipv6
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.proxy import PAGE, proxying
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

ENDPOINTS = ("/plain/batch", "/plain", "/jsons", "/batch", "/", "/array")
EXACT = ("/array", "/")
START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
PAGE_200 = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)


def reload(bridge: Bridge) -> None:
    """Writes the configuration, sends SIGHUP and waits for the end of the reload."""
    process = bridge.process
    assert process is not None
    before = len(process.stderr)
    bridge.write_configuration()
    process.signal(signal.SIGHUP)
    until(lambda: "the pause was" in process.stderr[before:], lambda: process.stderr[before:])


def name_of(endpoint: str) -> str:
    return endpoint.strip("/").replace("/", "-") or "root"


SOURCE = {endpoint: f"127.0.5.{number}" for number, endpoint in enumerate(ENDPOINTS, 1)}


def messages(first: int, count: int = 12) -> list[SentMessage]:
    """Builds messages whose times differ within a second and beyond."""
    return [rfc5424(first + i, START + timedelta(milliseconds=137 * (first + i))) for i in range(count)]


def intakes() -> dict[str, dict[str, Any]]:
    return {
        name_of(endpoint): {"endpoint": endpoint, "authentication": ("header", "basic")[number % 2]}
        for number, endpoint in enumerate(ENDPOINTS)
    }


def routes() -> list[dict[str, Any]]:
    return [{"intake": name_of(endpoint), "source": SOURCE[endpoint]} for endpoint in ENDPOINTS]


def test_every_endpoint_delivers_text_and_time(tmp_path: Path) -> None:
    keys = tuple(key_of(name_of(endpoint)) for endpoint in ENDPOINTS)
    with (
        collecting(tmp_path, keys=keys) as collector,
        bridging(tmp_path, collector.url, intakes=intakes(), routes=routes()) as bridge,
    ):
        bridge.start()
        sent = {endpoint: messages(100 * number) for number, endpoint in enumerate(ENDPOINTS)}
        for endpoint, frames in sent.items():
            send_lines(bridge.tcp, (message.frame for message in frames), source=SOURCE[endpoint])
        bridge.wait_received(72)
        bridge.wait_drained()
        arrived = collector.wait_for(72)
        for endpoint in ENDPOINTS:
            own = {event.text: event.time for event in arrived if event.key == key_of(name_of(endpoint))}
            assert sorted(own) == sorted(message.text for message in sent[endpoint]), endpoint
            for text, time in own.items():
                assert time is not None
                exact = datetime.fromisoformat(text.split(" ", 3)[2])
                assert time == exact if endpoint in EXACT else 0 <= (exact - time).total_seconds() < 1, endpoint
        assert len(arrived) == 72


class Recorder:
    """Serves HTTP, records each request as received, and answers like the collector."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._accepting = ThreadedServer(self._talk)
        self.url, self.close = self._accepting.url, self._accepting.close

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as file:
            while line := file.readline():
                headers = {}
                while (header := file.readline().strip()) != b"":
                    key, _, value = header.decode().partition(": ")
                    headers[key.lower()] = value
                body = file.read(int(headers["content-length"]))
                self.requests.append((line.decode().split(" ")[1], headers, body))
                inflated = zlib.decompress(body, 31) if "content-encoding" in headers else body
                path = line.decode().split(" ")[1]
                result = {"event_id": "1"} if path in ("/plain", "/") else {"event_ids": ["1"] * _count(path, inflated)}
                answer = json.dumps(result).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def _count(path: str, body: bytes) -> int:
    if path == "/plain/batch":
        return body.count(b"\n") + 1
    content = json.loads(body)
    return len(content["jsons"] if path == "/batch" else content)


def test_every_endpoint_sends_the_documented_bytes(tmp_path: Path) -> None:
    """Each request holds one event in the form that the API documentation shows, and no further fields."""
    recorder = Recorder()
    with bridging(tmp_path, recorder.url, intakes=intakes(), routes=routes()) as bridge:
        bridge.configuration["collector"]["compression"] = "none"
        bridge.start()
        stamp = START.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for endpoint in ENDPOINTS:
            send_lines(bridge.tcp, [f'<30>1 {stamp} gw app - - - say "caf\u00e9"'.encode()], source=SOURCE[endpoint])
        until(lambda: len(recorder.requests) == 6, lambda: f"6 requests, not {recorder.requests}")
        bridge.wait_drained()
    recorder.close()
    plain, quoted = 'say "caf\u00e9"'.encode(), '"say \\"caf\u00e9\\""'.encode()
    keys = {endpoint: key_of(name_of(endpoint)) for endpoint in ENDPOINTS}
    time = b'"' + stamp.encode() + b'"'
    expected = {
        "/plain/batch": plain,
        "/plain": plain,
        "/jsons": b"[" + quoted + b"]",
        "/batch": b'{"intake_key":"%b","@timestamp":%b,"jsons":[%b]}' % (keys["/batch"].encode(), time, quoted),
        "/": b'{"intake_key":"%b","@timestamp":%b,"json":%b}' % (keys["/"].encode(), time, quoted),
        "/array": b'[{"timestamp":%b,"intake_key":"%b","json":%b}]' % (time, keys["/array"].encode(), quoted),
    }
    assert {path: body for path, _, body in recorder.requests} == expected
    for path, headers, _ in recorder.requests:
        json_body = path not in ("/plain/batch", "/plain")
        assert headers["content-type"] == ("application/json" if json_body else "text/plain; charset=utf-8")
        assert headers.get("x-sekoiaio-event-timestamp") == (None if path == "/array" else stamp)
        in_header = headers.get("x-sekoiaio-intake-key")
        basic = headers.get("authorization")
        if path in ("/batch", "/", "/array"):
            assert (in_header, basic) == (None, None)
        elif path == "/plain":
            assert in_header is None and basic is not None and basic.startswith("Basic ")
        else:
            assert (in_header, basic) == (keys[path], None)


# --- proxies, certificates --------------------------------------------------------------------------------------------


@contextmanager
def tls_collector(directory: Path) -> Iterator[tuple[Collector, Authority]]:
    """Runs a collector with a certificate of a private authority."""
    authority = Authority(directory / "pki")
    issued = authority.issue("localhost")
    with collecting(directory, certificate=(issued.certificate, issued.private_key)) as collector:
        yield collector, authority


def run_check(bridge: Bridge, *options: str) -> tuple[int, list[dict[str, Any]]]:
    ran = subprocess.run(
        [SYSLOG_BRIDGE, "check", "-c", str(bridge.write_configuration()), "--format", "json", *options],
        capture_output=True, check=False, timeout=180,
    )  # fmt: skip
    assert b"secret-of-the-proxy" not in ran.stdout + ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def steps(rows: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(row["step"], row["ok"]) for row in rows]


def test_proxy_with_password_is_used_for_check_and_delivery(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret-of-the-proxy\n")
    with (
        tls_collector(tmp_path) as (collector, authority),
        proxying(password="secret-of-the-proxy") as proxy,
        bridging(tmp_path, collector.url) as bridge,
    ):
        written = {"url": proxy.url, "username": "us", "password": {"file": str(tmp_path / "password")}}
        bridge.configuration["collector"] |= {"proxy": written, "extra_ca_file": str(authority.ca)}
        code, rows = run_check(bridge, "--connect", "--send-test")
        assert code == 0, rows
        assert steps(rows) == [(step, True) for step in ("name", "tcp", "proxy", "tls", "http", "event")]
        assert rows[-1]["event_ids"]
        bridge.start()
        send_lines(bridge.tcp, [b"<13>through the proxy"])
        bridge.wait_received(1)
        assert "through the proxy" in [event.text for event in collector.wait_for(2)]
        bridge.wait_drained()
        assert set(proxy.connect_targets) == {f"localhost:{collector.port}"}
        bridge.configuration["collector"]["proxy"]["password"] = "secret-of-the-proxy-2"
        code, rows = run_check(bridge, "--connect")
        assert (code, rows[-1]["step"]) == (1, "proxy")
        assert "407" in rows[-1]["text"] and "proxy.password" in rows[-1]["text"]


REFUSALS = {
    "refuses": (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 37\r\n\r\n<html>This site is not allowed</html>",
        "refused a tunnel to localhost:{port}: 403 Forbidden This site is not allowed; allow the gateway to reach",
    ),
    "own-page": (PAGE_200, "answered 200 with its own page instead of a tunnel to localhost:{port}"),
    "no-proxy": (b"SSH-2.0-OpenSSH_9.2\r\n", "is not an HTTP proxy"),
    "closes": (b"", "closed the connection without opening a tunnel"),
}  # fmt: skip


def test_proxy_refusals_are_reported_in_one_line(tmp_path: Path) -> None:
    """Four intakes, each behind its own proxy."""
    with tls_collector(tmp_path) as (collector, authority), ExitStack() as proxies:
        intakes = {}
        for number, (kind, (answer, _)) in enumerate(REFUSALS.items()):
            proxy = proxies.enter_context(proxying(answer=lambda authority, answer=answer: answer or None))
            # Without an answer it opens a tunnel to a closed port, and so closes the connection.
            url = collector.url if answer else "https://localhost:1"
            intakes[kind] = {"proxy": {"url": proxy.url}, "url": url, "source": f"127.0.6.{number + 1}"}
        sources = {kind: intake.pop("source") for kind, intake in intakes.items()}
        routes = [{"intake": kind, "source": source} for kind, source in sources.items()]
        with bridging(tmp_path, collector.url, intakes=intakes, routes=routes) as bridge:
            bridge.configuration["collector"]["extra_ca_file"] = str(authority.ca)
            expected = {kind: words.format(port=collector.port) for kind, (_, words) in REFUSALS.items()}
            code, rows = run_check(bridge, "--connect")
            assert code == 1
            found = {row["intakes"][0]: row for row in rows if not row["ok"]}
            for kind, words in expected.items():
                assert found[kind]["step"] == "proxy"
                assert words in found[kind]["text"]
            bridge.start()
            for source in sources.values():
                send_lines(bridge.tcp, [b"<13>it waits"], source=source)

            def all_reported() -> bool:
                errors = {intake["name"]: intake["last_error"] or "" for intake in bridge.status()["intakes"]}
                return all(words in errors[kind] for kind, words in expected.items())

            until(all_reported, lambda: str(bridge.status()))
            assert bridge.status()["possible_duplicates"] == {}
            assert bridge.ledger()["spooled"] == len(expected)
            assert bridge.process is not None
            for words in expected.values():
                assert words in bridge.process.stderr


def test_tls_inspecting_proxy_needs_its_ca_as_extra_ca_file(tmp_path: Path) -> None:
    company = Authority(tmp_path / "company")
    forged = company.issue("localhost")
    with (
        collecting(tmp_path) as collector,
        proxying(inspect=(forged.certificate, forged.private_key)) as proxy,
        bridging(tmp_path, f"https://localhost:{collector.port}") as bridge,
    ):
        bridge.configuration["collector"]["proxy"] = {"url": proxy.url}
        code, rows = run_check(bridge, "--connect")
        assert (code, steps(rows)[-2:]) == (1, [("proxy", True), ("tls", False)])
        assert ". If a proxy inspects TLS, add its CA as" in rows[-1]["text"]
        bridge.start()
        send_lines(bridge.tcp, [b"<13>inspected"])
        until(
            lambda: "untrusted issuer" in (bridge.status()["intakes"][0]["last_error"] or ""),
            lambda: str(bridge.status()),
        )
        bridge.stop()
        bridge.configuration["collector"]["extra_ca_file"] = str(company.ca)
        bridge.start()
        assert [event.text for event in collector.wait_for(1)] == ["inspected"]
        bridge.wait_drained()


@contextmanager
def mutual_tls_server(authority: Authority) -> Iterator[tuple[str, list[str]]]:
    """Runs a TLS server that requires a client certificate of the authority, and answers like the collector."""
    issued = authority.issue("localhost", file="server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.private_key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    client_names: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def talk(raw: socket.socket) -> None:
        with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as connection:
            subject = dict(part[0] for part in (connection.getpeercert() or {}).get("subject", ()))
            # A connection that is closed with unread data is reset, and its answer may be lost.
            with connection.makefile("rb") as file:
                headers = http.client.parse_headers(file) if file.readline() else None
                if headers is None:
                    return
                file.read(int(headers["Content-Length"]))
            client_names.append(str(subject.get("commonName")))
            answer = b'{"event_ids": ["1"]}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)
            )

    def serve() -> None:
        while True:
            try:
                raw, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(raw,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"https://localhost:{server.getsockname()[1]}", client_names
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_client_certificate_is_sent_to_the_collector(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    ours = authority.issue("gateway.example", common_name="gateway")
    with mutual_tls_server(authority) as (url, client_names), bridging(tmp_path, url) as bridge:
        bridge.configuration["collector"] |= {"ca_file": str(authority.ca)}
        code, rows = run_check(bridge, "--connect")
        assert code == 1
        assert rows[-1]["step"] in ("tls", "http") and "client_cert_file" in rows[-1]["text"], rows
        bridge.configuration["collector"] |= {
            "client_cert_file": str(ours.certificate), "client_key_file": str(ours.private_key)
        }  # fmt: skip
        bridge.start()
        send_lines(bridge.tcp, [b"<13>who I am is known"])
        bridge.wait_received(1)
        bridge.wait_drained()
        assert client_names == ["gateway"]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_ipv6_literal_in_the_collector_url_works(tmp_path: Path) -> None:
    with collecting(tmp_path, host="::1") as collector, bridging(tmp_path, collector.url) as bridge:
        assert collector.url.startswith("http://[::1]:")
        code, rows = run_check(bridge, "--connect", "--send-test")
        assert code == 0, rows
        bridge.start()
        send_lines(bridge.tcp, [b"<13>over six"])
        bridge.wait_received(1)
        bridge.wait_drained()
        assert [event.text for event in collector.refresh()][1:] == ["over six"]


def test_second_url_is_used_while_the_first_does_not_answer(tmp_path: Path) -> None:
    """The first URL is used again as soon as it answers."""
    with (
        collecting(tmp_path / "1") as first,
        collecting(tmp_path / "2") as second,
        bridging(tmp_path, first.url) as bridge,
    ):
        bridge.configuration["collector"]["url"] = [first.url, second.url]
        bridge.start()
        send_lines(bridge.tcp, [b"<13>to the first"])
        first.wait_for(1)
        # Stopped before its answer has arrived, it would get a possible duplicate.
        bridge.wait_drained()
        first.stop()
        send_lines(bridge.tcp, [b"<13>to the second"])
        second.wait_for(1)
        bridge.wait_drained()
        (alarm,) = [alarm for alarm in bridge.status()["alarms"] if alarm["kind"] == "failover"]
        assert f"{first.url}/plain/batch does not answer; its events go to {second.url}" in alarm["text"]
        first.start()
        sent = 0

        def back() -> bool:
            nonlocal sent
            send_lines(bridge.tcp, [b"<13>more %d" % sent])
            sent += 1
            return len(first.refresh()) > 1

        until(back, "the first URL receives events again", every_seconds=0.3)
        bridge.wait_received(2 + sent)
        bridge.wait_drained()
        assert not [alarm for alarm in bridge.status()["alarms"] if alarm["kind"] == "failover"]
        assert bridge.status()["possible_duplicates"] == {}
        first.refresh(), second.refresh()
        texts = [*first.texts(), *second.texts()]
        assert sorted(texts) == sorted(["to the first", "to the second", *(f"more {i}" for i in range(sent))])


@pytest.mark.parametrize(
    "last", [pytest.param(end, marks=[] if end == "/array" else [pytest.mark.long]) for end in ENDPOINTS], ids=name_of
)
def test_backlog_is_delivered_after_endpoint_changes(tmp_path: Path, last: str) -> None:
    """The collector is down while SIGHUPs select each endpoint in turn; then one delivers the whole backlog."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        collector.stop()
        bridge.configuration["collector"]["endpoint"] = ENDPOINTS[0]
        bridge.start()
        sent: list[SentMessage] = []
        for number, endpoint in enumerate(ENDPOINTS):
            bridge.configuration["collector"]["endpoint"] = endpoint
            reload(bridge)
            fresh = messages(50 * number, 5)
            send_lines(bridge.tcp, (message.frame for message in fresh))
            sent += fresh
            bridge.wait_received(len(sent))
        collector.start()
        bridge.configuration["collector"]["endpoint"] = last
        reload(bridge)
        bridge.wait_drained()
        assert sorted(event.text for event in collector.wait_for(len(sent))) == sorted(one.text for one in sent)
        assert len(collector.refresh()) == len(sent)
        exact = {one.text for number, end in enumerate(ENDPOINTS) if end in EXACT for one in sent[5 * number :][:5]}
        for event in collector.arrived:
            if last in EXACT and event.text in exact:
                assert event.time == datetime.fromisoformat(event.text.split(" ", 3)[2])
