"""Tests ``demo`` as a process: it needs no configuration, all events arrive, and no files remain."""

import os
import re
import signal
import subprocess
import sys

import pytest

from bridge.trial.sample_devices import SAMPLES

DEADLINE = 60
EVENT = re.compile(r"(\w+) +(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)  (.+)")


@pytest.fixture
def start(tmp_path):
    """Starts the demo with its temporary files in ``tmp_path``, which must be empty at the end."""
    started = []

    def start(*options, **more):
        process = subprocess.Popen(
            [sys.executable, "-c", "from bridge.cli.demo import demo; demo()", *options],
            stdout=more.get("stdout", subprocess.PIPE), stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            # Background jobs of a shell ignore SIGINT, and child processes inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # one thread here
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_once_prints_every_sample_event_and_exits(start):
    process = start("--once")
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (0, ""), out
    events = [match.groups() for line in out.splitlines() if (match := EVENT.fullmatch(line))]
    assert len(events) == len(SAMPLES)
    for sample in SAMPLES:
        assert sum(intake == sample.intake and sample.text in text for intake, _, text in events) == 1, sample.device
    assert "\x1b" not in out


def test_demo_prints_next_steps_and_runs_until_ctrl_c(start):
    process = start()
    port = None
    for line in process.stdout:
        if found := re.fullmatch(r"  logger -n 127\.0\.0\.1 -P (\d+) -d .*\n", line):
            port = int(found[1])
        if line.startswith("Ctrl-C"):
            break
    assert port
    subprocess.run(
        [sys.executable, "-c", "from bridge.cli.send import send; send()", "--to", f"udp://127.0.0.1:{port}", "mine"],
        check=True, capture_output=True,
    )  # fmt: skip
    arrived = next(line for line in process.stdout if line.strip())
    assert arrived.startswith("other ")
    assert arrived.endswith("  syslog-bridge: mine\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 0
    assert process.stderr.read() == ""


def test_demo_exits_when_stdout_is_closed(start):
    read, write = os.pipe()
    os.close(read)
    process = start(stdout=write)
    os.close(write)
    assert process.wait(DEADLINE) == 1
    assert "Broken pipe" in process.stderr.read()
