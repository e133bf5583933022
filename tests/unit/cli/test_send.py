"""Tests ``send`` with real sockets: the bytes that arrive, and the error messages."""

import re
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from bridge.cli.send import send
from bridge.syslog import parse
from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer
from bridge.trial import send_target

DEADLINE = 30


def run(*options, stdin=None):
    return CliRunner().invoke(send, options, input=stdin)


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(DEADLINE)
        yield receiver


def url(receiver):
    return f"udp://127.0.0.1:{receiver.getsockname()[1]}"


@contextmanager
def tcp_receiver(*, reset=False):
    """Runs a TCP receiver for one connection; yields its URL and a list, which is complete after the block."""
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def receive():
            connection, peer = server.accept()
            with connection:
                connection.settimeout(DEADLINE)
                received.append(peer[0])
                if reset:
                    connection.recv(1)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                while data := connection.recv(65536):
                    received.append(data)

        thread = threading.Thread(target=receive)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}", received
        thread.join(DEADLINE)
        assert not thread.is_alive()


# --- sent messages ----------------------------------------------------------------------------------------------------


def test_datagram_is_one_message_without_a_line_end(udp):
    options = ("--hostname", "gw", "--app-name", "app", "--timestamp", "2026-11-03T07:24:00Z")
    result = run("--to", url(udp), *options, "hello\nthere")
    assert result.exit_code == 0, result.output
    assert udp.recv(65536) == b"<13>Nov  3 07:24:00 gw app: hello\nthere"
    assert re.fullmatch(rf"send: 1 message, 39 bytes, to {url(udp)} in \d+\.\d\d s\n", result.stderr)
    assert result.stdout == ""


def test_rfc5424_format_is_sent(udp):
    options = (
        "--format",
        "rfc5424",
        "--hostname",
        "gw",
        "--app-name",
        "app",
        "--timestamp",
        "2026-11-23T07:24:00.5+01:00",
    )
    run("--to", url(udp), *options, "--facility", "local7", "--severity", "err", "hello")
    assert udp.recv(65536) == b"<187>1 2026-11-23T07:24:00.500+01:00 gw app - - - hello"


@pytest.mark.parametrize("form", ["rfc3164", "rfc5424"])
def test_default_timestamp_is_now(udp, form):
    before = datetime.now(UTC).replace(microsecond=0)
    run("--to", url(udp), "--format", form, "hello")
    now = datetime.now(UTC)
    local = datetime.now().astimezone().tzinfo
    assert before <= parse(udp.recv(65536), received=now, timezone=local).timestamp <= now


@pytest.mark.parametrize(
    ("options", "pri"),
    [
        ((), 13),
        (("--priority", "191"), 191),
        (("--facility", "4", "--severity", "7"), 39),
        (("--severity", "emerg"), 8),
    ],
)
def test_priority_options_set_the_pri(udp, options, pri):
    run("--to", url(udp), *options, "x")
    assert udp.recv(65536).startswith(b"<%d>" % pri)


def test_from_option_sets_the_sender_address(udp):
    run("--to", url(udp), "--from", "127.0.1.9", "x")
    assert udp.recvfrom(65536)[1][0] == "127.0.1.9"
    with tcp_receiver() as (to, received):
        run("--to", to, "--from", "127.0.1.9", "x")
    assert received[0] == "127.0.1.9"


def test_tcp_messages_are_numbered_and_end_with_a_line_feed():
    with tcp_receiver() as (to, received):
        result = run("--to", to, "--count", "300", "--app-name", "a", "number {n} of {m}")
    lines = b"".join(received[1:]).split(b"\n")
    assert lines.pop() == b""
    assert [line.partition(b": ")[2] for line in lines] == [b"number %d of {m}" % n for n in range(1, 301)]
    assert "300 messages" in result.stderr


def test_octet_counted_frames_are_sent():
    with tcp_receiver() as (to, received):
        run("--to", to, "--count", "3", "--octet-counted", "--hostname", "gw", "{n}\nx")
    framer = StreamFramer("octet-counted", 1000)
    frames = list_of(framer.feed(b"".join(received[1:]))) + list_of(framer.idle())
    assert [frame.partition(b": ")[2] for frame in frames] == [b"1\nx", b"2\nx", b"3\nx"]


def test_stdin_lines_are_sent_raw_or_after_a_header(udp):
    assert run("--to", url(udp), "--stdin", "--raw", stdin=b"<1>whole\n\n\xff frame\r\n").exit_code == 0
    assert [udp.recv(65536), udp.recv(65536)] == [b"<1>whole", b"\xff frame"]
    run("--to", url(udp), "--stdin", "--hostname", "gw", stdin=b"one\n")
    assert udp.recv(65536).endswith(b" gw syslog-bridge: one")


def test_rate_option_limits_the_rate(udp, monkeypatch):
    # Only sleep advances this clock. The last of 11 messages at 10/s is sent after one second.
    now = [0.0]
    monkeypatch.setattr("bridge.cli.send.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bridge.cli.send.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    run("--to", url(udp), "--count", "11", "--rate", "10/s", "x")
    assert now[0] == pytest.approx(1.0)


# --- errors ---------------------------------------------------------------------------------------------------------


def closed_port(kind):
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_closed_port_is_an_error(scheme):
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    to = f"{scheme}://127.0.0.1:{closed_port(kind)}"
    result = run("--to", to, "x")
    assert result.exit_code == 1
    assert result.stderr == f"send: {to}: no process listens on this port (connection refused)\n"


def test_connection_closed_by_the_receiver_is_an_error():
    with tcp_receiver(reset=True) as (to, _):
        result = run("--to", to, "x" * 100)
    assert result.exit_code == 1
    assert "the receiver closed the connection" in result.stderr


def test_oversize_datagram_is_an_error(udp):
    result = run("--to", url(udp), "x" * 70_000)
    assert result.exit_code == 1
    assert "65,507 bytes" in result.stderr


def test_from_address_of_another_machine_is_an_error(udp):
    result = run("--to", url(udp), "--from", "192.0.2.1", "x")
    assert result.exit_code == 1
    assert "this machine has no address 192.0.2.1" in result.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--to", "127.0.0.1:514"), "invalid target"),
        (("--to", "udp://127.0.0.1"), "invalid target"),
        (("--to", "udp://::1:514"), "invalid target"),
        (("--to", "udp://127.0.0.1:99999"), "invalid target"),
        (("--to", "https://127.0.0.1:514"), "invalid target"),
        (("--to", "unix://relative/path"), "invalid target"),
        (("--to", "unix:///run/x", "--from", "127.0.0.1"), "--from is not for a Unix socket"),
        (("--to", "tcp://h:1", "--ca", "x.pem"), "only for tls and relp+tls"),
        (("--to", "tls://h:1", "--private-key", "x.pem"), "--private-key needs --certificate"),
        (("--to", "relp://h:1", "--octet-counted"), "UDP and RELP send whole messages"),
        (("--to", "udp://h:1", "--rate", "0/s"), "is not a rate"),
        (("--to", "udp://h:1", "--facility", "local8"), "use one of kern, user"),
        (("--to", "udp://h:1", "--octet-counted"), "--octet-counted is only for tcp, tls and unix"),
        (("--to", "udp://h:1", "--stdin", "x"), "omit MESSAGE"),
        (("--to", "udp://h:1", "--priority", "3", "--severity", "err"), "--priority includes facility and severity"),
        (("--to", "udp://h:1", "--raw"), "--raw needs a MESSAGE"),
        (("--to", "tcp://h:1", "a\nb"), "use --octet-counted"),
        (("--to", "udp://h:1", "--hostname", "two words"), "without spaces"),
    ],
)
def test_wrong_usage_exits_2(options, text):
    result = run(*options)
    assert result.exit_code == 2
    assert text in result.stderr


def test_target_is_shown_as_it_is_written():
    for text in ("udp://192.0.2.1:514", "tcp://[::1]:6514", "relp+tls://localhost:1", "unix:///run/x/log"):
        assert str(send_target.SendTarget.parse(text)) == text


def test_message_is_sent_although_stdin_is_closed(udp):
    """A service or a cron job may have no stdin."""
    command = [sys.executable, "-m", "bridge", "send", "--to", url(udp), "hello"]
    shell = f"exec {shlex.join(command)} <&-"
    assert subprocess.run(["sh", "-c", shell], capture_output=True, check=False, timeout=60).returncode == 0
    assert udp.recv(2048).endswith(b"hello")
