"""Stands in for systemd as far as the bridge uses it: $NOTIFY_SOCKET, FDSTORE and LISTEN_FDS."""

from __future__ import annotations

import array
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness.process import Process

# LISTEN_PID must be the process id of the program, so the child sets it before exec. Descriptors move to 3, 4, ...
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


class ServiceManager:
    """Starts a program, receives its notifications, stores its sockets, and passes them to the next process."""

    def __init__(self, directory: Path, *, fd_store: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._path))
        self._fd_store = fd_store
        self.stored: dict[str, socket.socket] = {}
        "The descriptor store, by name."
        self.notifications: list[str] = []
        "Every notification line since the start, in order."

    def launch(self, argv: list[str], *, directory: Path, environment: Mapping[str, str] | None = None) -> Process:
        """Starts a program with the stored sockets."""
        self.notifications = []
        descriptors = [held.fileno() for held in self.stored.values()]
        wrapped = [sys.executable, "-c", _BECOME, ",".join(map(str, descriptors)), ":".join(self.stored), *argv]
        return Process(
            wrapped,
            directory=directory,
            name="bridge",
            env={"NOTIFY_SOCKET": str(self._path), **(environment or {})},
            pass_fds=descriptors,
        )

    def receive(self) -> list[str]:
        """Receives pending notifications; returns all lines since the program was started."""
        while True:
            try:
                data, ancillary, *_ = self._socket.recvmsg(65536, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.notifications
            lines = data.decode().split("\n")
            fields = dict(line.partition("=")[::2] for line in lines)
            for level, kind, content in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                for number in array.array("i", content):
                    self._store(fields["FDNAME"], socket.socket(fileno=number))
            if "FDSTOREREMOVE" in fields and (gone := self.stored.pop(fields["FDNAME"], None)) is not None:
                gone.close()
            self.notifications += lines

    def _store(self, name: str, descriptor: socket.socket) -> None:
        # systemd stores only one descriptor per open file.
        known = {os.fstat(held.fileno()).st_ino for held in self.stored.values()}
        if not self._fd_store or os.fstat(descriptor.fileno()).st_ino in known:
            descriptor.close()
            return
        self.stored[name] = descriptor

    def close(self) -> None:
        self._socket.close()
        for held in self.stored.values():
            held.close()
