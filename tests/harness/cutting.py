"""Cuts a command off at a moment that nobody chose: its bridge is killed, or the command itself."""

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
"""``bridge``: the running bridge dies; ``command``: what asked it does; ``alone``: no bridge runs, the command works on
the files and dies."""


class Cutter:
    """Runs commands of one kind. The first is not cut and tells how long the work takes; the others are cut somewhere
    in that time. It begins when the bridge says that it was asked, or, alone, when the command has the spool's lock:
    before that an interpreter starts, which is most of a command's time and nothing to cut."""

    def __init__(self, bridge: Bridge, victim: Victim, seed: int) -> None:
        self.bridge = bridge
        self.victim = victim
        self.cut = self.ended = 0
        self._chance = random.Random(seed)
        self._takes: float | None = None

    def run(self, *words: str, code: int = 0) -> bool:
        """Run a command, and cut it; True: it came to its end, with ``code``. A bridge that was killed has no process
        any more."""
        asked = self._asked()
        argv = [SYSLOG_BRIDGE, *words, "-c", str(self.bridge.file)]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as command:  # fmt: skip
            while command.poll() is None and not self._works(command, asked):
                time.sleep(0.001)
            began = time.monotonic()
            if self._takes is not None:
                with suppress(subprocess.TimeoutExpired):
                    command.wait(self._takes * self._chance.random())
                self._kill(command)
            _, stderr = command.communicate()
        if self._takes is None:
            self._takes = time.monotonic() - began
            assert command.returncode == code, stderr.decode()
        well = command.returncode == code
        self.ended += well
        self.cut += not well
        return well

    def _asked(self) -> int:
        return self.bridge.process.stderr.count("control: ") if self.bridge.process else 0

    def _works(self, command: subprocess.Popen[bytes], asked: int) -> bool:
        if self.victim == "alone":
            # Read only: to try the lock could be what keeps the command from it.
            return (self.bridge.spool / "lock").read_text().strip() == str(command.pid)
        return self._asked() > asked

    def _kill(self, command: subprocess.Popen[bytes]) -> None:
        if self.victim == "bridge":
            self.bridge.kill()
        else:
            command.kill()


class Load:
    """Somebody who sends on and on, whatever becomes of the receiver: ``load 0``, ``load 1``, ..."""

    def __init__(self, port: int, source: str) -> None:
        self._port = port
        self._source = source
        self._number = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Load:
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
