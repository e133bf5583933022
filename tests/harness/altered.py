"""Starts a bridge through `altered_bridge.py`: with short waits, an append counter, faults of the
disk, or a kill at a named point.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness import altered_bridge
from tests.harness.bridge import Bridge
from tests.harness.disk_faults import DiskFaults
from tests.harness.polling import until
from tests.harness.process import Process

# Waits of tenths of a second instead of seconds and minutes, and no limit on how often a batch is split.
SHORT_WAITS: dict[str, object] = {
    "bridge.deliver.retry_state.FIRST_WAIT": 0.05,
    "bridge.deliver.retry_state.LONGEST_WAIT": 0.4,
    "bridge.deliver.retry_state.PARKED_WAIT": 0.4,
    "bridge.deliver.circuit_breaker.FIRST_WAIT": 0.05,
    "bridge.deliver.circuit_breaker.LONGEST_WAIT": 0.4,
    "bridge.deliver.circuit_breaker.RETURN_SPREAD": 0.3,
    "bridge.deliver.split_queue.PER_MINUTE": 100_000,
}

# Lets refusals of small bodies count as if the bodies were large.
SMALL_BODIES: dict[str, object] = {
    "bridge.deliver.body_limit.SMALLEST_BODY": 50,
    "bridge.deliver.outcome.LARGEST_EVENT": 50,
}


class AppendCounter:
    """Reads the append counter that one process run of the bridge shares as a mapped file."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        self.file = file

    def value(self) -> int:
        """Returns how many events have been appended; an append counts once it has returned."""
        (count,) = struct.unpack("<Q", self.file.read_bytes()[:8])
        return int(count)


def launch(
    bridge: Bridge,
    *,
    constants: dict[str, object] | None = None,
    counter: AppendCounter | None = None,
    kill: tuple[str, int] | None = None,
    faults: DiskFaults | None = None,
) -> Process:
    """Starts the bridge and returns at once."""
    changes = {
        "set": constants or {}, "counter": str(counter.file) if counter else None, "kill": kill,
        "faults": str(faults.file) if faults else None,
    }  # fmt: skip
    argv = [sys.executable, "-P", altered_bridge.__file__, str(bridge.write_configuration()), json.dumps(changes)]
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    bridge.process = Process(argv, directory=bridge.directory, name="bridge", env=env)
    return bridge.process


def start(
    bridge: Bridge,
    *,
    constants: dict[str, object] | None = None,
    counter: AppendCounter | None = None,
    kill: tuple[str, int] | None = None,
    faults: DiskFaults | None = None,
) -> bool:
    """Starts the bridge and waits until it is ready; returns False if it was killed before that."""
    process = launch(bridge, constants=constants, counter=counter, kill=kill, faults=faults)
    process_ended = False

    def ready() -> bool:
        nonlocal process_ended
        process_ended = kill is not None and process.exit_code == -signal.SIGKILL
        return process_ended or bridge.get("/readyz")[0] == 200

    if kill is None:
        process.wait_until(ready, "/readyz answers 200")
    else:
        _until_ready_or_killed(process, ready)
    return not process_ended


def _until_ready_or_killed(process: Process, ready: Callable[[], bool]) -> None:
    until(
        lambda: ready() or process.exit_code is not None,
        lambda: f"ready or killed; stderr of the bridge:\n{process.stderr}",
    )
    assert process.exit_code in (None, -signal.SIGKILL), f"exit code {process.exit_code}:\n{process.stderr}"
