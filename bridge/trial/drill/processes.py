"""Starts and stops the drill's child processes: a bridge with a generated configuration, and a collector."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.operations import control_client
from bridge.util.errors import BridgeError

READY_WITHIN = 60.0
"Seconds; a slow machine needs several to start Python."
_STOP_WITHIN = 20.0


class DrillError(BridgeError):
    """Raised when the drill cannot continue; the text says why."""


def free_port() -> int:
    """Returns a loopback port that is free for UDP and TCP at the moment."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(type=socket.SOCK_DGRAM) as plain,
        ):
            stream.bind(("127.0.0.1", 0))
            port = int(stream.getsockname()[1])
            with suppress(OSError):
                plain.bind(("127.0.0.1", port))
                return port


def wait(condition: Callable[[], bool], within: float, what: str) -> float:
    """Waits for a condition; returns the seconds waited. Raises DrillError with ``what`` after ``within`` seconds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise DrillError(f"after {within:.0f} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


class CollectorProcess:
    """The collector on loopback, as a child process; see `bridge.trial.drill.collector_process`."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "bridge.trial.drill.collector_process", str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.mode("ok")

    def mode(self, mode: str) -> None:
        """Sets the mode in which the collector handles requests."""
        self._ask({"mode": mode})

    def count(self, first: int, last: int) -> dict[str, int]:
        """Returns ``distinct``, ``doubles`` and ``events`` of the numbers from first to last."""
        found: dict[str, int] = self._ask({"ask": [first, last]})
        return found

    def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise DrillError("the drill's collector has ended", "See its output above.")
        return json.loads(answer)

    def close(self) -> None:
        """Stops the collector."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        _end(self._process)


@dataclass
class GatewayProcess:
    """The bridge as a child process, in its own folder; ``fsync`` and ``receive_buffer`` (bytes) are as configured."""

    folder: Path
    collector: int
    fsync: str = "backlog"
    receive_buffer: int = 16 << 20
    max_size: int | None = None
    "Maximum bytes of the spool; None: the default."

    def __post_init__(self) -> None:
        self.udp, self.tcp, self._admin = free_port(), free_port(), free_port()
        self.spool = self.folder / "spool"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts the bridge; returns the seconds until it was ready."""
        self.folder.mkdir(exist_ok=True)
        limit = "" if self.max_size is None else f", max_size: {self.max_size}B, min_free: 1KiB"
        (self.folder / "drill.yaml").write_text(
            f'collector: {{url: "http://127.0.0.1:{self.collector}", max_request_rate: 1000, timeout: 5s}}\n'
            f"listeners:\n  - {{name: udp, udp: 127.0.0.1:{self.udp}, receive_buffer: {self.receive_buffer}B}}\n"
            f"  - {{name: tcp, tcp: 127.0.0.1:{self.tcp}}}\n"
            "intakes: {drill: {intake_key: drilldrilldrill0}}\nunrouted: {intake: drill}\nbatch: {max_age: 500ms}\n"
            f"spool: {{directory: {json.dumps(str(self.spool))}, fsync: {self.fsync}{limit}}}\n"
            f"admin: {{listen: 127.0.0.1:{self._admin}}}\n"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "bridge", "run", "-c", str(self.folder / "drill.yaml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return wait(self._answers, READY_WITHIN, "the bridge is not ready")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise DrillError(f"the bridge ended with exit code {self._process.returncode}: {self.last_log_line}")
        with suppress(control_client.ControlError, OSError):
            self.status()
            return True
        return False

    @property
    def last_log_line(self) -> str:
        """Returns the last line of the bridge's log."""
        lines = (self.folder / "log").read_text(errors="backslashreplace").splitlines()
        return lines[-1] if lines else "the log is empty"

    def status(self) -> dict[str, Any]:
        """Returns the bridge's ``/api/status``."""
        return control_client.get(self.spool, "/api/status")

    def ledger(self) -> dict[str, Any]:
        """Returns the ledger since the start of the bridge."""
        found: dict[str, Any] = self.status()["ledger"]
        return found

    def cpu_seconds(self) -> float:
        """Returns the CPU time that the bridge has used so far, user and system."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def kill(self) -> None:
        """Ends the bridge with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Stops the bridge with SIGTERM, as a service manager does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            _end(self._process)
            self._process = None


def _end(process: "subprocess.Popen[Any]") -> None:
    try:
        process.wait(_STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
