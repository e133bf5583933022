"""A service manager, as far as the bridge sees one: what systemd does with $NOTIFY_SOCKET, FDSTORE and LISTEN_FDS."""

from __future__ import annotations

import array
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.process import Process

# The child learns its own process id before it becomes the program, as LISTEN_PID must be it; the descriptors are
# moved to 3, 4, ...
_BECOME = """
import fcntl, os, sys
given = [int(number) for number in sys.argv[1].split(",") if number]
high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in given]
for number in given:
    os.close(number)
for place, number in enumerate(high, start=3):
    os.dup2(number, place, inheritable=True)
if given:
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": sys.argv[2]}
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """Starts a program, hears what it says, holds the sockets that it gives, and hands them to the next."""

    def __init__(self, directory: Path, *, stores: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "notify"
        self._heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._heard.bind(str(self._path))
        self._stores = stores
        self.held: dict[str, socket.socket] = {}
        "The store: by name."
        self.said: list[str] = []
        "Every line, in order."

    def launch(self, argv: list[str], *, directory: Path, environment: Mapping[str, str] | None = None) -> Process:
        """Start a program with what is in the store."""
        self.said = []
        descriptors = [held.fileno() for held in self.held.values()]
        wrapped = [sys.executable, "-c", _BECOME, ",".join(map(str, descriptors)), ":".join(self.held), *argv]
        return Process(
            wrapped,
            directory=directory,
            name="bridge",
            env={"NOTIFY_SOCKET": str(self._path), **(environment or {})},
            pass_fds=descriptors,
        )

    def listen(self) -> list[str]:
        """Take what was said; all lines since the program was started."""
        while True:
            try:
                data, ancillary, *_ = self._heard.recvmsg(65536, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.said
            lines = data.decode().split("\n")
            fields = dict(line.partition("=")[::2] for line in lines)
            for level, kind, content in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                for number in array.array("i", content):
                    self._store(fields["FDNAME"], socket.socket(fileno=number))
            if "FDSTOREREMOVE" in fields and (gone := self.held.pop(fields["FDNAME"], None)) is not None:
                gone.close()
            self.said += lines

    def _store(self, name: str, given: socket.socket) -> None:
        # systemd takes a descriptor of the same open file once.
        known = {os.fstat(held.fileno()).st_ino for held in self.held.values()}
        if not self._stores or os.fstat(given.fileno()).st_ino in known:
            given.close()
            return
        self.held[name] = given

    def close(self) -> None:
        self._heard.close()
        for held in self.held.values():
            held.close()
