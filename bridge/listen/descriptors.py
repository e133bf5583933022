"""Keeps file descriptors free for spool and delivery: listeners stop accepting while few are left.

Connections that are not accepted wait in the kernel's queue (``backlog:``), with what they send. Without this, a
listener would be called again and again for connections that it cannot accept, and no batch file could be opened.
"""

import errno
import os
import resource
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger(namespace="listen")

MAX_RESERVE = 1024
CHECK_EVERY = 0.5
"Seconds between two attempts to accept again."


class DescriptorReserve:
    """Limits the connections of all listeners of the process by its limit of open files."""

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}
        "Functions that let a listener accept again."

    @property
    def exhausted(self) -> bool:
        """True while listeners do not accept connections."""
        return bool(self._waiting)

    def room(self) -> int:
        """Returns the number of connections that may be accepted at once. 0: call ``wait``."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        reserve = min(MAX_RESERVE, limit // 4)
        try:
            # The kernel returns the lowest free number. Opening it as a path needs no right.
            lowest_free = os.open("/", os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return 0
            return 1
        os.close(lowest_free)
        return max(0, min(limit - reserve - lowest_free, max(1, reserve // 2)))

    def wait(self, reactor: IReactorTime, resume: Callable[[], None]) -> None:
        """Calls ``resume`` once there is room again. Until then the caller accepts no connection."""
        if not self._waiting:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.warn(
                "nearly all of the {limit} file descriptors of the process are in use: no new connections are accepted"
                " until some are free. Raise LimitNOFILE, or lower max_connections",
                limit=limit,
            )  # fmt: skip
            reactor.callLater(CHECK_EVERY, self._check, reactor)
        self._waiting[resume] = None

    def forget(self, resume: Callable[[], None]) -> None:
        """Forgets a listener that was closed."""
        self._waiting.pop(resume, None)

    def _check(self, reactor: IReactorTime) -> None:
        if self._waiting and not self.room():
            reactor.callLater(CHECK_EVERY, self._check, reactor)
            return
        if self._waiting:
            log.info("file descriptors are free again: new connections are accepted")
        waiting, self._waiting = self._waiting, {}
        for resume in waiting:
            resume()
