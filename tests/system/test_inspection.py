"""Tests `why`, `tail` and `status --watch` against a running bridge."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import bridging
from tests.harness.send import tcp, udp


def run_command(bridge: Bridge, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SYSLOG_BRIDGE, *arguments, "-c", str(bridge.file)], capture_output=True, text=True, timeout=120
    )


def send_frame(bridge: Bridge, source: str, text: str) -> None:
    when = datetime.now(UTC)
    with udp(source=source) as origin:
        origin.sendto(f"<13>{when:%b} {when.day:2} {when:%H:%M:%S} gw {text}".encode(), ("127.0.0.1", bridge.udp))


@pytest.mark.weight(15)
def test_why_tail_and_status_explain_each_source(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", keys=(key_of("good"),))
    collector.start()
    routes = [
        {"name": "web", "intake": "good", "source": "127.0.1.1", "app_name": "nginx"},
        {"name": "all", "intake": "good", "source": "127.0.1.0/24"},
        {"name": "other", "intake": "wrong", "source": "127.0.2.1"},
    ]
    try:
        with bridging(tmp_path, collector.url, intakes={"good": {}, "wrong": {}}, routes=routes) as bridge:
            bridge.configuration["unrouted"] = "hold"
            bridge.configuration["listeners"][1]["allow"] = ["127.0.0.0/16"]
            bridge.start()
            tail = start_tail(bridge, tmp_path)
            send_frame(bridge, "127.0.1.1", "app: for good \x1b[2J")
            send_frame(bridge, "127.0.2.1", "app: for wrong")
            send_frame(bridge, "127.0.3.1", "app: for nobody")
            assert_tail_output(tail)
            assert_raw_and_sent_output(bridge, tmp_path)
            until(lambda: bridge.status()["intakes"][1]["state"] == "parked", "intake wrong is parked")
            until(lambda: bridge.status()["intakes"][0]["delivered"] >= 1, "intake good has delivered")

            found = run_command(bridge, "why", "127.0.1.1").stdout
            assert "127.0.1.1 at listener udp: healthy" in found
            for words in (
                "route web: app_name app does not match nginx",
                "all, to intake good",
                "accepted at",
                "event id",
            ):
                assert words in found, found
            found = run_command(bridge, "why", "127.0.2.1").stdout
            assert "intake wrong is parked" in found.splitlines()[0]
            assert "wrong is parked" in found
            assert "answered 401" in found
            found = run_command(bridge, "why", "127.0.3.1").stdout
            assert "127.0.3.1 at listener udp: no route matches its messages" in found
            assert_unseen_source_is_explained(bridge)
            assert_status_watch_output(bridge)
            assert_reload_is_shown(bridge)
            assert_unknown_senders_are_refused(bridge)
            # The JSON output, for scripts.
            known = json.loads(run_command(bridge, "why", "127.0.3.1", "--json").stdout)
            assert known["seen"][0]["unrouted"] >= 1
            bridge.stop()
            result = run_command(bridge, "why", "127.0.9.9")
            assert result.returncode == 1
            assert "the bridge is not running" in result.stdout
            assert run_command(bridge, "tail").returncode == 1
    finally:
        collector.kill()


def start_tail(bridge: Bridge, directory: Path) -> Process:
    argv = [SYSLOG_BRIDGE, "tail", "-c", str(bridge.file), "-n", "3"]
    tail = Process(argv, directory=directory, name="tail", env={"PYTHONUNBUFFERED": "1"})
    # It shows frames from its first request on; the bridge keeps none for it before that.
    until(lambda: shows_frames(bridge, tail), lambda: f"tail shows frames: {tail.stderr}")
    return tail


def shows_frames(bridge: Bridge, tail: Process) -> bool:
    send_frame(bridge, "127.0.7.7", "app: is anybody there")
    return "is anybody there" in tail.stdout


def assert_tail_output(tail: Process) -> None:
    assert tail.wait() == 0
    lines = tail.stdout.splitlines()
    assert len(lines) == 3
    assert " 127.0.7.7 > (unrouted)  " in lines[0]
    assert not any("\x1b" in line for line in lines)


def assert_raw_and_sent_output(bridge: Bridge, directory: Path) -> None:
    for form, shown in (("--raw", "<13>"), ("--sent", "one of many")):
        argv = [SYSLOG_BRIDGE, "tail", "-c", str(bridge.file), "-n", "1", "--source", "127.0.1.9", form]
        tail = Process(argv, directory=directory, name=f"tail{form}")

        def ended(tail: Process = tail) -> bool:
            send_frame(bridge, "127.0.1.8", "app: not asked for")
            send_frame(bridge, "127.0.1.9", "app: one of many")
            return tail.exit_code is not None

        until(ended, "tail has shown one frame", every_seconds=0.2)
        (line,) = tail.stdout.splitlines()
        assert line.startswith(shown), line
        assert "not asked for" not in line


def assert_unseen_source_is_explained(bridge: Bridge) -> None:
    found = run_command(bridge, "why", "192.0.2.99").stdout
    assert "192.0.2.99: nothing received" in found
    assert f"tcpdump -ni any 'host 192.0.2.99 and (tcp port {bridge.tcp} or udp port {bridge.udp})'" in found
    assert "listener tcp rejects it. Add it to allow:" in found
    # A source that connected and was rejected.
    with tcp(bridge.tcp, source="127.7.7.7"):
        pass
    until(
        lambda: (
            "127.7.7.7: rejected by listener tcp: its address is not in allow, once, last at"
            in run_command(bridge, "why", "127.7.7.7").stdout
        ),
        "the rejection is reported",
    )


def assert_reload_is_shown(bridge: Bridge) -> None:
    """A route and an entry of ``allow`` that a reload has added are shown as the end of the problems."""
    bridge.configuration["sources"] = [{"source": "127.7.7.7", "name": "fw-lyon"}]
    bridge.configuration["listeners"][1]["allow"] = ["127.0.0.0/8"]
    bridge.configuration["routes"].append({"name": "late", "intake": "good", "source": ["127.0.3.1", "127.7.7.7"]})
    bridge.write_configuration()
    assert run_command(bridge, "reload").returncode == 0
    found = run_command(bridge, "why", "127.0.3.1").stdout
    assert "127.0.3.1 at listener udp: healthy" in found, "the route takes all its messages, whatever it sends next"
    assert "since the reload at" in found
    assert "127.0.3.1" not in {row["address"] for row in bridge.status()["unrouted"]}
    with tcp(bridge.tcp, source="127.7.7.7") as sender:
        sender.sendall(b"<13>allowed\n")
    until(lambda: "accepted since" in run_command(bridge, "why", "FW-Lyon").stdout, "the sender is shown as accepted")
    assert "127.7.7.7 (fw-lyon) at listener tcp: healthy" in run_command(bridge, "why", "fw-lyon").stdout


def assert_unknown_senders_are_refused(bridge: Bridge) -> None:
    for sender, words in (
        ("10.0.0.300", "'10.0.0.300' is not an IP address"),
        ("10.0.0.1:514", "is not an IP address"),
        (
            "fw-lion",
            "no source is called 'fw-lion', and it is neither an address nor a DNS name: did you mean fw-lyon?",
        ),
        ("/no/such.sock", "no listener has the Unix socket '/no/such.sock'. No listener has a socket"),
    ):
        found = run_command(bridge, "why", sender)
        assert (found.returncode, found.stdout) == (2, "")
        assert words in found.stderr


def assert_status_watch_output(bridge: Bridge) -> None:
    """Runs `status --watch` in a terminal of its own, checks the screen, and ends it with Ctrl-C."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [SYSLOG_BRIDGE, "status", "--watch", "-c", str(bridge.file)], stdin=follower, stdout=follower,
        stderr=subprocess.STDOUT, env={**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
    )  # fmt: skip
    os.close(follower)
    screen = b""

    def read() -> None:
        # Unread output would block it.
        nonlocal screen
        if select.select([leader], [], [], 0.1)[0]:
            with suppress(OSError):  # it has closed its side
                screen += os.read(leader, 65536)

    def shown() -> bool:
        read()
        # A terminal passes on a large screen in parts.
        return all(words.encode() in screen for words in ("wrong", "parked", "127.0.1.1", "Ctrl-C to quit"))

    def ended() -> bool:
        read()
        return process.poll() is not None

    try:
        until(shown, lambda: f"the screen: {screen.decode(errors='replace')}")
        process.send_signal(signal.SIGINT)
        until(ended, lambda: f"exit: {screen.decode(errors='replace')}")
        assert process.returncode == 0, screen.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
