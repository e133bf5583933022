"""What a service manager is told, and what it holds for us: sd_notify(3) and sd_listen_fds(3) in their wire form.

Messages are datagrams of ``KEY=VALUE`` lines to ``$NOTIFY_SOCKET``; where that is not set, nobody is told. Sockets that
were given with ``keep`` come back after a restart, and after a crash, as descriptors from 3 on, with their names in
``$LISTEN_FDNAMES`` (systemd: ``FileDescriptorStoreMax=``, ``NotifyAccess=main``); sockets of socket units come the same
way. Nothing here raises: a bridge without a manager that listens is a bridge all the same.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

log = Logger(namespace="app")

_PATIENCE = 1.0
"Seconds that what must not be lost waits for a manager that is busy."
_FIRST = 3
"SD_LISTEN_FDS_START"


class ServiceManager:
    """Whoever started this process, as far as it said so in ``environment``."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = environment or {}
        address = given.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._inherited = _inherited(given)
        mine = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        timeout = given.get("WATCHDOG_USEC", "") if mine else ""
        self.watchdog = int(timeout) / 1e6 if timeout.isdigit() else None
        "Seconds within which it wants to hear ``alive``; None: it does not ask."

    @property
    def listens(self) -> bool:
        """Whether anybody is told."""
        return bool(self._address)

    def ready(self) -> None:
        """We do our work; also: we do it again, after ``reloading``."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """We read our configuration; ``ready`` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """We end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The reactor turns."""
        self._tell("WATCHDOG=1", within=0)

    def status(self, text: str) -> None:
        """One line for people."""
        self._tell(f"STATUS={' '.join(text.split())}", within=0)

    def keep(self, name: str, held: socket.socket) -> None:
        """Hold a socket under a name (``fd_name``), also when this process ends."""
        self._tell(f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", held)

    def forget(self, name: str) -> None:
        """Hold it no more."""
        self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def inherited(self) -> list[tuple[str, socket.socket]]:
        """The sockets that it handed over, with their names; once, they are the caller's."""
        taken, self._inherited = self._inherited, []
        return taken

    def _tell(self, text: str, held: socket.socket | None = None, *, within: float = _PATIENCE) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
                told.settimeout(within)
                told.connect(self._address)
                socket.send_fds(told, [text.encode()], [] if held is None else [held.fileno()])
        except OSError as error:
            what = text.partition("\n")[0]
            log.warn("the service manager cannot be told {what}: {why}", what=what, why=error.strerror or error)


def first_environment() -> dict[str, str]:
    """The environment that this process was started with. ``os.environ`` has lost ``LISTEN_PID`` and ``LISTEN_FDS`` by
    now: Twisted takes them as soon as its endpoints are imported."""
    try:
        pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in (pair.partition(b"=") for pair in pairs)}


def _inherited(given: Mapping[str, str]) -> list[tuple[str, socket.socket]]:
    count = given.get("LISTEN_FDS", "")
    if given.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return []
    names = given.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for number in range(int(count)):
        try:
            held = socket.socket(fileno=_FIRST + number)
        except OSError as error:
            log.warn("descriptor {n} was handed over, but is no socket: {why}", n=_FIRST + number, why=error.strerror)
            continue
        held.set_inheritable(False)
        held.setblocking(False)
        found.append((names[number] if number < len(names) else "unknown", held))
    return found
