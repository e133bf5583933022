"""The process's reactor: Twisted's on epoll, with timers by a clock that nobody sets."""

import sys
import time

from twisted.internet.epollreactor import EPollReactor


class SteadyReactor(EPollReactor):
    """Timers by a clock that nobody sets. Twisted's would freeze for an hour when the wall clock goes back by one."""

    def seconds(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


def install_reactor() -> SteadyReactor:
    """The process's reactor, installed by the first call. Nothing may have imported Twisted's before."""
    installed = sys.modules.get("twisted.internet.reactor")
    if installed is None:
        from twisted.internet.main import installReactor  # noqa: PLC0415

        installReactor(SteadyReactor())  # type: ignore[no-untyped-call]
    from twisted.internet import reactor  # noqa: PLC0415

    if not isinstance(reactor, SteadyReactor):
        raise RuntimeError("another reactor was installed first")
    return reactor
