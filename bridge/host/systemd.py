"""Sends notifications and sockets to the service manager, and receives sockets from it.

Implements the wire form of sd_notify(3) and sd_listen_fds(3).

Notifications are datagrams of ``KEY=VALUE`` lines to ``$NOTIFY_SOCKET``. Without that variable, nothing is sent.
Sockets that were stored with ``keep`` come back after a restart or a crash as descriptors from 3 on, with their names
in ``$LISTEN_FDNAMES`` (systemd: ``FileDescriptorStoreMax=``, ``NotifyAccess=main``). Sockets of socket units come the
same way. No function raises an exception, because the gateway also works without a service manager.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

log = Logger(namespace="app")

_TIMEOUT = 1.0
"Maximum seconds to wait until a busy service manager takes a notification. Watchdog and status do not wait."
_FIRST_FD = 3
"SD_LISTEN_FDS_START of sd_listen_fds(3)."


class ServiceManager:
    """Represents the service manager that started this process. ``environment`` has the variables that it set."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = environment or {}
        address = variables.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._inherited = _inherited(variables)
        is_for_this_process = variables.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        timeout = variables.get("WATCHDOG_USEC", "") if is_for_this_process else ""
        self.watchdog = int(timeout) / 1e6 if timeout.isdigit() else None
        "Seconds within which the manager expects ``notify_watchdog``; None if the watchdog is off."

    @property
    def listens(self) -> bool:
        """True if a service manager receives notifications."""
        return bool(self._address)

    def ready(self) -> None:
        """Reports that the start, or a reload, is complete."""
        self._notify("READY=1")

    def reloading(self) -> None:
        """Reports that a reload begins; ``ready`` ends it."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Reports that the process stops."""
        self._notify("STOPPING=1")

    def notify_watchdog(self) -> None:
        """Reports that the reactor is running."""
        self._notify("WATCHDOG=1", timeout=0)

    def status(self, text: str) -> None:
        """Sends a status line for the operator."""
        self._notify(f"STATUS={' '.join(text.split())}", timeout=0)

    def keep(self, name: str, stored: socket.socket) -> None:
        """Stores a socket under a name (``fd_name``) in the service manager. The socket outlives this process."""
        self._notify(f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", stored)

    def forget(self, name: str) -> None:
        """Removes the socket that is stored under a name from the service manager."""
        self._notify(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def inherited(self) -> list[tuple[str, socket.socket]]:
        """Returns the inherited sockets with their names. Only the first call returns them; the caller owns them."""
        inherited, self._inherited = self._inherited, []
        return inherited

    def _notify(self, text: str, stored: socket.socket | None = None, *, timeout: float = _TIMEOUT) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify_socket:
                notify_socket.settimeout(timeout)
                notify_socket.connect(self._address)
                socket.send_fds(notify_socket, [text.encode()], [] if stored is None else [stored.fileno()])
        except OSError as error:
            log.warn(
                "cannot send {notification} to the service manager: {reason}",
                notification=text.partition("\n")[0], reason=error.strerror or error,
            )  # fmt: skip


def first_environment() -> dict[str, str]:
    """Returns the environment with which this process was started.

    ``os.environ`` lacks ``LISTEN_PID`` and ``LISTEN_FDS``, as Twisted removes them when its endpoints are imported.
    """
    try:
        pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in (pair.partition(b"=") for pair in pairs)}


def _inherited(variables: Mapping[str, str]) -> list[tuple[str, socket.socket]]:
    count = variables.get("LISTEN_FDS", "")
    if variables.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return []
    names = variables.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for number in range(int(count)):
        try:
            inherited = socket.socket(fileno=_FIRST_FD + number)
        except OSError as error:
            log.warn("inherited descriptor {n} is not a socket: {reason}", n=_FIRST_FD + number, reason=error.strerror)
            continue
        inherited.set_inheritable(False)
        inherited.setblocking(False)
        found.append((names[number] if number < len(names) else "unknown", inherited))
    return found
