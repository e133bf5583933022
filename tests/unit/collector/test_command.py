"""Tests ``syslog-bridge collector`` as a process: real sockets, real TLS, and misbehaving clients."""

import base64
import contextlib
import gzip
import http.client
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading

import pytest
import trustme

COMMAND = [sys.executable, "-c", "from bridge.cli.collector import collector; collector()"]
KEY = "k" * 16
HEADERS = {"X-SEKOIAIO-INTAKE-KEY": KEY}
BODY_LIMIT = 10 * 1024 * 1024
DEADLINE = 30


class Collector:
    """Runs the command; `stop` returns (exit status, stdout, stderr after the first line)."""

    def __init__(self, *options, stdout=subprocess.PIPE):
        self.process = subprocess.Popen(
            [*COMMAND, "--listen", "127.0.0.1:0", *map(str, options)], stdout=stdout, stderr=subprocess.PIPE
        )
        self.url = self.process.stderr.readline().decode()
        found = re.fullmatch(r"collector: listening on (https?)://127\.0\.0\.1:(\d+)/\n", self.url)
        assert found, self.url
        self.port = int(found[2])

    def socket(self, context=None):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        return raw if context is None else context.wrap_socket(raw, server_hostname="127.0.0.1")

    def connection(self, context=None):
        if context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=context)

    def post(self, path, body, headers=HEADERS, **options):
        with contextlib.closing(self.connection(**options)) as connection:
            return post(connection, path, body, headers)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err.decode()


def post(connection, path, body, headers=HEADERS):
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@contextlib.contextmanager
def running_collector(*options, **more):
    collector = Collector(*options, **more)
    try:
        yield collector
    finally:
        collector.process.kill()
        collector.process.communicate()


@pytest.fixture
def collector(tmp_path):
    """Runs a collector that accepts any key and writes to a file; it must exit with an empty log."""
    with running_collector("--output", tmp_path / "events") as running:
        yield running
        assert running.stop() == (0, b"", "")


def events(tmp_path):
    return [json.loads(line) for line in (tmp_path / "events").read_bytes().splitlines()]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def pem(authority, tmp_path):
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, both = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "both.pem"
    for index, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(certificate, append=index > 0)
    issued.private_key_pem.write_to_path(key)
    issued.private_key_and_cert_chain_pem.write_to_path(both)
    return certificate, key, both


def test_events_are_written_in_order_and_unchanged(collector, tmp_path):
    with contextlib.closing(collector.connection()) as connection:
        for number in range(50):
            body = b"%d a\n%d \xff\xfe\x00" % (number, number)
            assert post(connection, "/plain/batch", body)[0] == 200
            # The events are written before the response is sent.
            assert len(events(tmp_path)) == 2 * number + 2
    texts = [event["event"].encode("utf-8", "surrogateescape") for event in events(tmp_path)]
    assert texts == [text for number in range(50) for text in (b"%d a" % number, b"%d \xff\xfe\x00" % number)]
    assert list(events(tmp_path)[0]) == ["event_id", "intake_key", "event_timestamp", "received", "event"]


def test_stdout_is_the_default_output_and_keys_are_checked():
    with running_collector("--key", KEY, "--key", "second") as collector:
        assert collector.post("/plain", b"one")[0] == 200
        basic = {"Authorization": "Basic " + base64.b64encode(b"user:second").decode()}
        assert collector.post("/api/v1/intake-http/plain", b"two", basic)[0] == 200
        assert collector.post("/plain", b"three", {"X-SEKOIAIO-INTAKE-KEY": "third"})[0] == 401
        status, out, err = collector.stop()
    assert (status, err) == (0, "")
    events_written = [json.loads(line) for line in out.splitlines()]
    assert [(event["intake_key"], event["event"]) for event in events_written] == [(KEY, "one"), ("second", "two")]


def test_count_writes_totals_instead_of_events():
    with running_collector("--count") as collector:
        assert collector.post("/plain/batch", b"a\nb\nc")[0] == 200
        assert collector.post("/plain/batch", b"d")[0] == 200
        status, out, _ = collector.stop()
    totals = json.loads(out.splitlines()[-1])
    assert (status, totals["requests"], totals["by_intake_key"]) == (0, 2, {KEY: 4})


def test_events_are_appended_to_the_output_file(tmp_path):
    (tmp_path / "events").write_text('{"event": "before"}\n')
    with running_collector("--output", tmp_path / "events") as collector:
        collector.post("/plain", b"after")
        collector.stop()
    assert [event["event"] for event in events(tmp_path)] == ["before", "after"]


def test_closed_stdout_is_503_and_stops_the_collector():
    with running_collector() as collector:
        collector.process.stdout.close()
        collector.process.stdout = None
        assert collector.post("/plain", b"a")[0] == 503
        assert collector.process.wait(DEADLINE) == 1
        assert collector.process.stderr.read().endswith(b"collector: cannot write to stdout: Broken pipe\n")


@pytest.mark.parametrize("in_one_file", [False, True])
def test_https_keeps_connections_alive_and_uses_tls_1_2_or_later(pem, authority, in_one_file):
    certificate, key, both = pem
    options = ["--certificate", both] if in_one_file else ["--certificate", certificate, "--private-key", key]
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running_collector(*options) as collector:
        assert collector.url.startswith("collector: listening on https://")
        with contextlib.closing(collector.connection(context)) as connection:
            assert post(connection, "/plain", b"a")[0] == 200
            used = connection.sock
            assert used.version() in ("TLSv1.2", "TLSv1.3")
            assert post(connection, "/plain", b"b")[0] == 200
            assert connection.sock is used
        # A plain HTTP request on the TLS port is not logged.
        with collector.socket() as plain:
            plain.sendall(b"POST /plain HTTP/1.1\r\n\r\n")
            while plain.recv(4096):
                pass
        status, out, err = collector.stop()
    assert (status, err, len(out.splitlines())) == (0, "", 2)


def read_all(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            data += part
    return data


HEAD = b"POST /plain/batch HTTP/1.1\r\nHost: x\r\nX-SEKOIAIO-INTAKE-KEY: " + KEY.encode() + b"\r\n"


def test_413_for_an_excessive_content_length_is_sent_before_the_body(collector):
    with collector.socket() as client:
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1))
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in head
        assert "error" in json.loads(body)


def test_client_that_sends_an_oversize_body_reads_the_413(collector):
    status, answer = collector.post("/plain", b"x" * (BODY_LIMIT + 1))
    assert (status, "error" in answer) == (413, True)


def test_endless_chunked_body_is_cut_off(collector):
    with collector.socket() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        # The response arrives during sending. The collector closes the connection if the client does not stop.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 20 * BODY_LIMIT:
                client.sendall(chunk)
                sent += len(chunk)
        assert BODY_LIMIT < sent < 20 * BODY_LIMIT


def test_chunked_body_over_the_limit_is_413(collector):
    with collector.socket() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(BODY_LIMIT // 65536 + 1):
            client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_chunked_body_sent_byte_by_byte_is_accepted(collector, tmp_path):
    with collector.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n1\r\nc\r\n0\r\n\r\n":
            client.sendall(bytes([byte]))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [event["event"] for event in events(tmp_path)] == ["a", "bc"]


def test_gzip_bomb_is_413(collector):
    bomb = gzip.compress(gzip.compress(b"\n" * (200 * 1024 * 1024), 1), 1)
    assert collector.post("/plain", gzip.decompress(bomb), {**HEADERS, "Content-Encoding": "gzip"})[0] == 413


def test_incomplete_requests_and_resets_are_not_logged(collector, tmp_path):
    pieces = [b"", b"PO", HEAD, HEAD + b"Content-Length: 10\r\n\r\nhalf", b"\x00\xff\r\n\r\n", b"GET\r\n\r\n"]
    pieces.append(HEAD + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1))
    pieces.append(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    pieces.append(HEAD + b"Content-Length: 1\r\n\r\na")  # closed before the response
    for piece in pieces:
        for reset in (False, True):
            with collector.socket() as client:
                client.sendall(piece)
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert collector.post("/plain", b"still here")[0] == 200
    assert [event["event"] for event in events(tmp_path)][-1] == "still here"


def test_events_of_each_concurrent_client_stay_in_order(collector, tmp_path):
    def client(name):
        with contextlib.closing(collector.connection()) as connection:
            for number in range(20):
                assert post(connection, "/plain", f"{name} {number}".encode())[0] == 200

    threads = [threading.Thread(target=client, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    events_written = [event["event"] for event in events(tmp_path)]
    for name in "abcdefgh":
        assert [text for text in events_written if text.startswith(name)] == [
            f"{name} {number}" for number in range(20)
        ]


def run_invalid(*options):
    """Runs the command with invalid options, and returns (exit status, stderr)."""
    done = subprocess.run([*COMMAND, *map(str, options)], capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_invalid_address_is_reported_in_one_line():
    for text in ("8080", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "nowhere.example:80", ":80"):
        status, error = run_invalid("--listen", text)
        assert (status, error.count("\n"), repr(text)[1:-1] in error) == (2, 1, True), error


def test_port_in_use_is_reported_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, error = run_invalid("--listen", f"127.0.0.1:{port}")
    assert (status, error) == (2, f"collector: cannot listen on 127.0.0.1:{port}: Address already in use\n")


def test_invalid_certificate_or_file_is_reported_in_one_line(pem, authority, tmp_path):
    certificate, key, _ = pem
    other = tmp_path / "other.pem"
    authority.issue_cert("127.0.0.2").private_key_pem.write_to_path(other)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = tmp_path / "missing.pem"
    listen = ("--listen", "127.0.0.1:0")
    for options, words in [
        (("--certificate", missing), "cannot read"),
        (("--certificate", certificate, "--private-key", missing), "cannot read"),
        (("--certificate", garbage), "no readable PEM certificate"),
        (("--certificate", certificate), "no readable PEM private key"),
        (("--certificate", certificate, "--private-key", garbage), "no readable PEM private key"),
        (("--certificate", certificate, "--private-key", other), "does not belong"),
        (("--output", tmp_path), "cannot write to"),
    ]:
        status, error = run_invalid(*listen, *options)
        assert (status, error.count("\n"), words in error) == (2, 1, True), error
    assert run_invalid(*listen, "--private-key", key)[0] == 2
    assert run_invalid()[0] == 2


def test_help_has_an_example():
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0
    assert "Example:\n    syslog-bridge collector --listen" in done.stdout


def test_sigterm_stops_the_collector_with_open_connections(tmp_path):
    with running_collector("--output", tmp_path / "events") as collector, collector.socket() as half:
        half.sendall(HEAD + b"Content-Length: 10\r\n\r\nhalf")
        assert collector.post("/plain", b"a")[0] == 200
        assert collector.stop()[0] == 0
    assert [event["event"] for event in events(tmp_path)] == ["a"]
