"""Tests ``send`` over TLS, RELP and Unix sockets with real sockets: the bytes that arrive, and the errors."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli.send import send
from tests.harness.pki import Authority, Issued

DEADLINE = 30
_REQUEST = re.compile(rb"(\d+) (\w+) (\d+) ?")


def run(*options: str) -> Result:
    return CliRunner().invoke(send, ["--hostname", "gw", "--app-name", "app", *options])


@contextmanager
def receiver(receive: Callable[[socket.socket], None], server: socket.socket | None = None) -> Iterator[int]:
    """Runs ``receive`` in a thread for the first connection of a server; yields the server's port."""
    with server or socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            connection.settimeout(DEADLINE)
            with connection:
                receive(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield 0 if listening.family == socket.AF_UNIX else listening.getsockname()[1]
        thread.join(DEADLINE)
        assert not thread.is_alive()


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@contextmanager
def tls_receiver(authority: Authority, *, clients: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Yields the port's URL and the received data, which is complete after the block."""
    issued = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.private_key)
    if clients:
        context.load_verify_locations(authority.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    received: list[bytes] = []

    def receive(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as stream:
                while data := stream.recv(65536):
                    received.append(data)
                stream.unwrap()
        except OSError as error:
            received.append(str(error).encode())

    with receiver(receive) as port:
        yield f"tls://localhost:{port}", received


def test_messages_arrive_over_verified_tls(authority: Authority) -> None:
    with tls_receiver(authority) as (to, received):
        result = run("--to", to, "--ca", str(authority.ca), "--count", "2", "{n}")
    assert result.exit_code == 0, result.output
    assert [line.partition(b": ")[2] for line in b"".join(received).splitlines()] == [b"1", b"2"]
    assert f"to {to} in " in result.stderr


def test_unknown_authority_is_named_with_the_remedy(authority: Authority) -> None:
    with tls_receiver(authority) as (to, _):
        result = run("--to", to, "x")
    assert result.exit_code == 1
    assert "the receiver's certificate is not accepted" in result.stderr
    assert "--ca" in result.stderr


def test_insecure_accepts_any_certificate(authority: Authority) -> None:
    with tls_receiver(authority) as (to, received):
        result = run("--to", to.replace("localhost", "127.0.0.1"), "--insecure", "x")
    assert result.exit_code == 0, result.output
    assert b"".join(received).endswith(b"app: x\n")


def test_another_name_is_refused_and_server_name_gives_it(authority: Authority) -> None:
    for options, code in (((), 1), (("--server-name", "localhost"), 0)):
        with tls_receiver(authority) as (to, _):
            result = run("--to", to.replace("localhost", "127.0.0.1"), "--ca", str(authority.ca), *options, "x")
        assert result.exit_code == code, result.output


def test_client_certificate_is_shown_and_its_absence_is_reported(authority: Authority) -> None:
    issued: Issued = authority.issue("sender.example")
    own = ("--certificate", str(issued.certificate), "--private-key", str(issued.private_key))
    with tls_receiver(authority, clients=True) as (to, received):
        assert run("--to", to, "--ca", str(authority.ca), *own, "x").exit_code == 0
    assert b"".join(received).endswith(b"app: x\n")
    with tls_receiver(authority, clients=True) as (to, _):
        result = run("--to", to, "--ca", str(authority.ca), "x")
    assert result.exit_code == 1
    assert "Give a client certificate with --certificate" in result.stderr


def test_port_without_tls_is_reported() -> None:
    with receiver(lambda connection: connection.sendall(b"220 not TLS\r\n")) as port:
        result = run("--to", f"tls://127.0.0.1:{port}", "--insecure", "x")
    assert result.exit_code == 1
    assert "Check that the port is one for TLS" in result.stderr


@pytest.mark.parametrize("option", ["--ca", "--certificate"])
def test_unreadable_file_is_named(tmp_path: Path, option: str) -> None:
    with receiver(lambda connection: None) as port:
        result = run("--to", f"tls://127.0.0.1:{port}", option, str(tmp_path / "none.pem"), "x")
    assert result.exit_code == 1
    assert f"{tmp_path / 'none.pem'}" in result.stderr
    assert "No such file" in result.stderr


# --- RELP -------------------------------------------------------------------------------------------------------------


@contextmanager
def relp_receiver(answer: Callable[[bytes], bytes], *, cut: int = 1 << 20) -> Iterator[tuple[str, list[bytes]]]:
    """Answers each command with ``answer(command)``, at most ``cut`` bytes at a time. Collects the messages."""
    messages: list[bytes] = []

    def receive(connection: socket.socket) -> None:
        data = b""
        while more := connection.recv(65536):
            data += more
            while found := _REQUEST.match(data):
                end = found.end() + int(found[3])
                if len(data) <= end:
                    break
                if found[2] == b"syslog":
                    messages.append(data[found.end() : end])
                data = data[end + 1 :]
                text = answer(found[2])
                frame = b"%s rsp %d%s\n" % (found[1], len(text), b" " + text if text else b"")
                for start in range(0, len(frame), cut):
                    connection.sendall(frame[start : start + cut])
                if found[2] == b"close":
                    return

    with receiver(receive) as port:
        yield f"relp://127.0.0.1:{port}", messages


def _accepts(command: bytes) -> bytes:
    return b"" if command == b"close" else b"200 OK"


@pytest.mark.parametrize("cut", [1, 1 << 20])
def test_all_messages_are_acknowledged(cut: int) -> None:
    with relp_receiver(_accepts, cut=cut) as (to, messages):
        result = run("--to", to, "--count", "300", "message {n}\nsecond line")
    assert result.exit_code == 0, result.output
    assert [message.partition(b": ")[2] for message in messages] == [
        b"message %d\nsecond line" % number for number in range(1, 301)
    ]
    assert ", 300 acknowledged\n" in result.stderr


@pytest.mark.parametrize("refused", [b"open", b"syslog"])
def test_refused_message_is_reported(refused: bytes) -> None:
    with relp_receiver(lambda command: b"500 not here" if command == refused else b"200 OK") as (to, _):
        result = run("--to", to, "x")
    assert result.exit_code == 1
    assert "the receiver refused a message: 500 not here" in result.stderr
    assert ("0 messages are ack" in result.stderr) == (refused == b"syslog")


def test_receiver_that_closes_before_the_acknowledgement_is_an_error() -> None:
    def receive(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"1 rsp 6 200 OK\n")
        connection.recv(65536)

    with receiver(receive) as port:
        result = run("--to", f"relp://127.0.0.1:{port}", "--count", "5", "x")
    assert result.exit_code == 1
    assert "the receiver closed the connection" in result.stderr
    assert "0 messages are acknowledged" in result.stderr


def test_another_protocol_is_reported() -> None:
    def receive(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with receiver(receive) as port:
        result = run("--to", f"relp://127.0.0.1:{port}", "x")
    assert result.exit_code == 1
    assert "answer is not RELP" in result.stderr


# --- Unix sockets -----------------------------------------------------------------------------------------------------


def test_datagrams_arrive_at_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(DEADLINE)
        result = run("--to", f"unix://{tmp_path}/log", "x")
        assert result.exit_code == 0, result.output
        assert server.recv(65536).endswith(b" gw app: x")


def test_lines_arrive_at_a_unix_stream(tmp_path: Path) -> None:
    received: list[bytes] = []

    def receive(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            received.append(data)

    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "log"))
    server.listen()
    with receiver(receive, server):
        result = run("--to", f"unix://{tmp_path}/log", "--count", "2", "{n}")
    assert result.exit_code == 0, result.output
    assert [line.partition(b": ")[2] for line in b"".join(received).splitlines()] == [b"1", b"2"]


def test_missing_unix_socket_is_an_error(tmp_path: Path) -> None:
    result = run("--to", f"unix://{tmp_path}/none", "x")
    assert result.exit_code == 1
    assert result.stderr == f"send: unix://{tmp_path}/none: No such file or directory\n"
