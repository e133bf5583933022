"""Limits how often the same error of the hot path is logged."""

from twisted.logger import Logger

from bridge.host.interfaces import Reactor

log = Logger(namespace="app")

EVERY = 10.0
"Minimum seconds between two log lines with the same text."
MAX_TEXTS = 1000
"Maximum number of texts whose last time is stored."


class LogThrottle:
    """Logs errors, each text at most once per ``EVERY`` seconds."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._last: dict[str, float] = {}

    def log_error(self, text: str) -> None:
        """Logs an error unless the same text was logged less than ``EVERY`` seconds ago."""
        now = self._reactor.seconds()
        if now - self._last.get(text, float("-inf")) >= EVERY:
            if len(self._last) > MAX_TEXTS:
                self._last.clear()
            self._last[text] = now
            log.error("{text}", text=text)

    def log_error_from_thread(self, text: str) -> None:
        """Logs an error from another thread than the reactor's."""
        self._reactor.callFromThread(self.log_error, text)
