"""Troubles of the hot path: logged, and however often they come, seldom."""

from typing import Any

from twisted.logger import Logger

log = Logger(namespace="app")

EVERY = 10.0
"Seconds between two lines of the same words."
MOST = 1000
"Words that are remembered."


class LogThrottle:
    """Those of one bridge."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last: dict[str, float] = {}

    def tell(self, text: str) -> None:
        """Log it, if it was not just now."""
        now = self._reactor.seconds()
        if now - self._last.get(text, float("-inf")) >= EVERY:
            if len(self._last) > MOST:
                self._last.clear()
            self._last[text] = now
            log.error("{text}", text=text)

    def tell_from_thread(self, text: str) -> None:
        """The same, from another thread than the reactor's."""
        self._reactor.callFromThread(self.tell, text)
