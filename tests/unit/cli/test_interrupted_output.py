"""Tests that no output is lost with PYTHONUNBUFFERED, if the process is stopped and continued while a pipe is full."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.config.model import Config
from tests.harness.bridge import Bridge
from tests.harness.builders import NOON, build_spool
from tests.harness.polling import until
from tests.harness.process import thread_states

AMONG_MANY = 32 * 1024
"Bytes in the pipe. A process that sleeps then has filled it, as its output is much longer."


def output_of(*arguments: str) -> bytes:
    """Runs a Python program, stops and continues it while it waits for its full pipe, and returns its stdout."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        pipe = process.stdout.fileno()

        def waits_for_the_pipe() -> bool:
            (held,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
            return held >= AMONG_MANY and thread_states(process.pid) == {"S"}

        until(waits_for_the_pipe, "a full pipe")
        process.send_signal(signal.SIGSTOP)
        until(lambda: thread_states(process.pid) == {"T"}, "a stopped process")
        process.send_signal(signal.SIGCONT)
        text = process.stdout.read()
    assert process.returncode == 0
    return text


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return Bridge(tmp_path, collector_url="http://127.0.0.1:1", intakes={"all": {}})


def test_configuration_of_a_reload_is_passed_on_whole(bridge: Bridge) -> None:
    bridge.configuration["routes"] = [
        {"name": f"route-{i}", "source": f"10.0.{i // 256}.{i % 256}", "intake": "all"} for i in range(2000)
    ]
    config = pickle.loads(output_of("-m", "bridge.config.subprocess_load", str(bridge.write_configuration())))
    assert isinstance(config, Config) and len(config.routes) == 2000


def test_exported_events_are_whole_lines(bridge: Bridge) -> None:
    spool = build_spool(bridge.spool)
    events = [b"event %d " % i + b"x" * 10_000 for i in range(30)]
    spool.append(Group("all", "lines", NOON, NOON * 1000, NOON * 1000, len(events), b"\n".join(events) + b"\n"))
    spool.seal_all()
    spool.close()
    lines = output_of("-m", "bridge", "spool", "export", "-c", str(bridge.write_configuration())).splitlines()
    assert [json.loads(line)["event"].encode() for line in lines] == events
