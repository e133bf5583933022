"""Interrupts a command at a random moment: kills its bridge, or the command itself."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from contextlib import suppress
from typing import Literal

from tests.harness.bridge import Bridge
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.send import tcp

Victim = Literal["bridge", "command", "alone"]
"""What is killed. ``bridge``: the running bridge. ``command``: the command that talks to it. ``alone``: a command that
works on the files while no bridge runs."""


class CommandInterrupter:
    """Runs commands of one kind. The first runs to its end and shows how long the work takes; each other is killed at a
    random moment within that time. The work begins when the bridge logs the request or, without a bridge, when the
    command holds the spool's lock: before that, only an interpreter starts."""

    def __init__(self, bridge: Bridge, victim: Victim, seed: int) -> None:
        self.bridge = bridge
        self.victim = victim
        self.interrupted = self.finished = 0
        self._chance = random.Random(seed)
        self._duration: float | None = None

    def run(self, *words: str, code: int = 0) -> bool:
        """Runs a command and interrupts it; returns True if it ended with ``code``. A bridge that was killed has no
        process afterwards."""
        requests_before = self._requests()
        argv = [SYSLOG_BRIDGE, *words, "-c", str(self.bridge.file)]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as command:  # fmt: skip
            while command.poll() is None and not self._has_begun(command, requests_before):
                time.sleep(0.001)
            began = time.monotonic()
            if self._duration is not None:
                with suppress(subprocess.TimeoutExpired):
                    command.wait(self._duration * self._chance.random())
                self._kill(command)
            _, stderr = command.communicate()
        if self._duration is None:
            self._duration = time.monotonic() - began
            assert command.returncode == code, stderr.decode()
        finished = command.returncode == code
        self.finished += finished
        self.interrupted += not finished
        return finished

    def _requests(self) -> int:
        return self.bridge.process.stderr.count("control: ") if self.bridge.process else 0

    def _has_begun(self, command: subprocess.Popen[bytes], requests_before: int) -> bool:
        if self.victim == "alone":
            # Only read the file: trying to lock it could keep the command from the lock.
            return (self.bridge.spool / "lock").read_text().strip() == str(command.pid)
        return self._requests() > requests_before

    def _kill(self, command: subprocess.Popen[bytes]) -> None:
        if self.victim == "bridge":
            self.bridge.kill()
        else:
            command.kill()


class ContinuousSender:
    """Sends ``load 0``, ``load 1``, ... without end, and reconnects if the receiver goes away."""

    def __init__(self, port: int, source: str) -> None:
        self._port = port
        self._source = source
        self._number = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> ContinuousSender:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ends.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ends.wait(0.02):
            with suppress(OSError), tcp(self._port, source=self._source) as connection:
                while not self._ends.wait(0.02):
                    connection.sendall(b"".join(b"<13>load %d\n" % (self._number + i) for i in range(5)))
                    self._number += 5
