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
"Descriptors that connections never use; a quarter of the limit if that is less."
CHECK_EVERY = 0.5
"Seconds between two attempts to accept again."
ENDS_AFTER = 30.0
"Seconds without a pause after which the shortage has ended."


class DescriptorReserve:
    """Limits the connections of all listeners of the process by its limit of open files."""

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}
        "Functions that let a listener accept again."
        self._exhausted_until = float("-inf")

    def exhausted(self, now: float) -> bool:
        """Returns True while listeners do not accept connections, and for ``ENDS_AFTER`` after that.

        At the limit, a listener accepts one connection whenever another ends.
        """
        return bool(self._waiting) or now < self._exhausted_until

    @staticmethod
    def has_room() -> bool:
        """Returns True if one more connection may be accepted. If not, call ``wait``."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return True
        try:
            # The kernel returns the lowest free number, as it will for the next connection. So no connection ever gets
            # one of the highest numbers, which are reserved. Opening a path as such needs no right.
            lowest_free = os.open("/", os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            return error.errno not in (errno.EMFILE, errno.ENFILE)
        os.close(lowest_free)
        return lowest_free < limit - min(MAX_RESERVE, limit // 4)

    def wait(self, reactor: IReactorTime, resume: Callable[[], None]) -> None:
        """Calls ``resume`` once there is room again. Until then the caller accepts no connection."""
        if not self.exhausted(reactor.seconds()):
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.warn(
                "nearly all of the {limit} file descriptors of the process are in use: no new connections are accepted"
                " until some are free. Raise LimitNOFILE, or lower max_connections",
                limit=limit,
            )  # fmt: skip
        if not self._waiting:
            reactor.callLater(CHECK_EVERY, self._check, reactor)
        self._waiting[resume] = None

    def forget(self, resume: Callable[[], None]) -> None:
        """Forgets a listener that was closed."""
        self._waiting.pop(resume, None)

    def _check(self, reactor: IReactorTime) -> None:
        if self._waiting and not self.has_room():
            reactor.callLater(CHECK_EVERY, self._check, reactor)
            return
        self._exhausted_until = reactor.seconds() + ENDS_AFTER
        waiting, self._waiting = self._waiting, {}
        for resume in waiting:
            resume()
