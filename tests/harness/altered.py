"""A bridge that runs through `altered_bridge.py`: short waits, an append counter, an end at a named point."""

from __future__ import annotations

import json
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness import altered_bridge
from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.process import Process

# A bridge that waits tenths of a second where the real one waits seconds and minutes; and that may bisect at will.
IMPATIENT: dict[str, object] = {
    "bridge.deliver.retry_state.FIRST_WAIT": 0.05,
    "bridge.deliver.retry_state.LONGEST_WAIT": 0.4,
    "bridge.deliver.retry_state.PARKED_WAIT": 0.4,
    "bridge.deliver.circuit_breaker.FIRST_WAIT": 0.05,
    "bridge.deliver.circuit_breaker.LONGEST_WAIT": 0.4,
    "bridge.deliver.circuit_breaker.RETURN_SPREAD": 0.3,
    "bridge.deliver.split_queue.PER_MINUTE": 100_000,
}


class AppendCounter:
    """The shared memory of one life of the bridge."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        self.file = file

    def value(self) -> int:
        """Events whose append has returned."""
        (count,) = struct.unpack("<Q", self.file.read_bytes()[:8])
        return int(count)


def launch(
    bridge: Bridge,
    *,
    constants: dict[str, object] | None = None,
    counter: AppendCounter | None = None,
    kill: tuple[str, int] | None = None,
) -> Process:
    """Start it and return at once."""
    changes = {"set": constants or {}, "counter": str(counter.file) if counter else None, "kill": kill}
    argv = [sys.executable, "-P", altered_bridge.__file__, str(bridge.write_configuration()), json.dumps(changes)]
    bridge.process = Process(argv, directory=bridge.directory, name="bridge")
    return bridge.process


def start(
    bridge: Bridge,
    *,
    constants: dict[str, object] | None = None,
    counter: AppendCounter | None = None,
    kill: tuple[str, int] | None = None,
) -> bool:
    """Start it and wait until it says that it is ready; False: its end came before that."""
    process = launch(bridge, constants=constants, counter=counter, kill=kill)
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
        lambda: f"the bridge is ready, or killed; its stderr:\n{process.stderr}",
    )
    assert process.exit_code in (None, -signal.SIGKILL), f"it ended with {process.exit_code}:\n{process.stderr}"
