"""Stands in for systemd, which does not run in a chroot, as far as the unit of the package needs it.

It reads the unit file and applies its settings: user, group, the one capability, no new privileges, umask, state
directory, environment, the notify socket with readiness, watchdog and descriptor store (sockets that the service hands
over are passed to its next process), ExecReload, stop with SIGTERM within TimeoutStopSec. Sandboxing that only systemd
provides (read-only system, system call filter) is not imitated; `systemd-analyze` checks it.
"""

from __future__ import annotations

import array
import configparser
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.harness.polling import until
from tests.package.machine import Machine


def seconds(text: str) -> float:
    """Parses a systemd time span, as far as the unit uses them."""
    for unit, factor in (("min", 60), ("s", 1)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


class _Repeated(dict):  # type: ignore[type-arg]
    """Keys of a unit may repeat; their values are joined by line ends."""

    def __setitem__(self, key: object, value: object) -> None:
        if key in self and isinstance(value, list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


_PASS_ON = """
import os, sys
given = [int(fd) for fd in sys.argv[1].split(",") if fd]
# From 3 on, in order, as sd_listen_fds(3) requires; through high numbers first, so that none overwrites another.
high = [os.dup2(fd, 600 + number) for number, fd in enumerate(given)]
os.closerange(3, 600)
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class UnitManager:
    """Runs the unit of an installed package."""

    def __init__(self, machine: Machine, unit: str = "lib/systemd/system/syslog-bridge.service") -> None:
        self._machine = machine
        self._path = machine.root / unit
        self.read_unit()
        self.log = machine.root.parent / "journal"
        self._process: subprocess.Popen[bytes] | None = None
        self.stored: list[tuple[str, int]] = []
        "Names and descriptors that the service has stored."
        self.notifications: list[str] = []
        "Notification lines since the last start."
        self.problems: list[str] = []
        "What went wrong on the manager's side."
        self._given: list[tuple[str, str]] = []
        "Names and sockets that were passed at the last start."
        self._notified = 0.0
        name = f"\0syslog-bridge-test-{os.getpid()}-{id(self)}"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(name)
        self._address = "@" + name[1:]
        self._ended = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def read_unit(self) -> None:
        """Reads the unit file, as `systemctl daemon-reload` does."""
        parser = configparser.RawConfigParser(dict_type=_Repeated, strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(self._path)
        self.unit = parser

    def service(self, key: str, default: str = "") -> str:
        """Returns a setting of [Service]."""
        return self.unit.get("Service", key, fallback=default)

    # --- what systemd does --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the service and waits for READY=1, as Type=notify does."""
        self._exec()
        until(
            lambda: self._alive() and "READY=1" in self.notifications,
            lambda: f"READY=1: {self.notifications}\n{self.journal}",
        )

    def _exec(self) -> None:
        self._machine.run("install", "-d", "-o", self.service("User"), "-g", self.service("Group"), "-m",
                          self.service("StateDirectoryMode"), f"/var/lib/{self.service('StateDirectory')}")  # fmt: skip
        self.notifications.clear()
        self._notified = time.monotonic()
        capability = self.service("AmbientCapabilities").removeprefix("CAP_").lower()
        assert self.service("CapabilityBoundingSet").removeprefix("CAP_").lower() == capability
        assert self.service("NoNewPrivileges") == "yes"
        given = [fd for _, fd in self.stored]
        self._given = [(name, str(Path(f"/proc/self/fd/{fd}").readlink())) for name, fd in self.stored]
        names = ":".join(name for name, _ in self.stored)
        setpriv = (
            f"setpriv --reuid={self.service('User')} --regid={self.service('Group')} --clear-groups --no-new-privs"
            f" --bounding-set=-all,+{capability} --inh-caps=-all,+{capability} --ambient-caps=-all,+{capability}"
        )
        listen = f"LISTEN_PID=$$ LISTEN_FDS={len(given)} LISTEN_FDNAMES={shlex.quote(names)}" if given else ""
        script = f"umask {self.service('UMask')}; {listen} exec {setpriv} {self.service('ExecStart')}"
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "NOTIFY_SOCKET": self._address,
            "WATCHDOG_USEC": str(int(seconds(self.service("WatchdogSec")) * 1_000_000)),
        }
        inside = ["chroot", str(self._machine.root), "/bin/sh", "-c", script]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PASS_ON, ",".join(map(str, given)), *inside],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=given,
            )  # fmt: skip

    def reload(self) -> None:
        """Runs the lines of ExecReload in order."""
        for line in self.service("ExecReload").splitlines():
            self._machine.run(*shlex.split(line.replace("$MAINPID", str(self.pid))))

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code, within TimeoutStopSec. Stored sockets stay, as in a restart."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=seconds(self.service("TimeoutStopSec")))
        self._process = None
        return code

    def restart(self) -> None:
        """Stops and starts it, as `systemctl restart` does."""
        code = self.stop()
        assert code == 0, f"exit code {code}\n{self.journal}"
        self.start()

    def close(self) -> None:
        """Kills the service and closes the stored sockets."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._ended = True
        # A thread that still waits in the kernel could take a message of the next manager, whose socket gets the same
        # descriptor. So it is woken, and has ended before the socket is closed.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"ENDED=1", "\0" + self._address[1:])
        self._listener.join()
        self._notify.close()
        for _, fd in self.stored:
            os.close(fd)
        self.stored.clear()

    # --- output of the service ----------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def journal(self) -> str:
        return self.log.read_text(errors="backslashreplace") if self.log.exists() else ""

    def _alive(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"the service ended with {code}; {self._given}; {self.problems}\n{self.journal}"
        return True

    @property
    def silent_seconds(self) -> float:
        """Returns the seconds since its last notification; WatchdogSec is the limit."""
        return time.monotonic() - self._notified

    def _listen(self) -> None:
        size = array.array("i").itemsize
        while not self._ended:
            try:
                data, ancillary, flags, _ = self._notify.recvmsg(65536, socket.CMSG_SPACE(256 * size))
            except OSError as error:
                if not self._ended:
                    self.problems.append(f"notifications end: {error}")
                return
            if flags & socket.MSG_CTRUNC:
                self.problems.append(f"descriptors are missing: {data!r}")
            self._notified = time.monotonic()
            fds: list[int] = []
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds += array.array("i", payload[: len(payload) - len(payload) % size])
            lines = data.decode().splitlines()
            self.notifications += lines
            fields = dict(line.partition("=")[::2] for line in lines)
            name = fields.get("FDNAME", "stored")
            if fields.get("FDSTOREREMOVE") == "1":
                gone = [pair for pair in self.stored if pair[0] == name]
                self.stored = [pair for pair in self.stored if pair[0] != name]
                for _, fd in gone:
                    os.close(fd)
            elif fields.get("FDSTORE") == "1":
                self._store(name, fds)

    def _store(self, name: str, fds: list[int]) -> None:
        room = int(self.service("FileDescriptorStoreMax")) - len(self.stored)
        for fd in fds:
            # systemd closes duplicates of stored files, and descriptors beyond the limit.
            same = any(os.path.sameopenfile(fd, held) for _, held in self.stored)
            if same or room <= 0:
                os.close(fd)
            else:
                self.stored.append((name, fd))
                room -= 1


def free_low_port() -> int:
    """Returns a free port below 1024 for UDP and TCP; binding it needs the capability."""
    for port in (514, *range(700, 1024)):
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise AssertionError("no free port below 1024")
