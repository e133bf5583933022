"""Who was not let in at one listener: counted by reason, told in words, at a bounded rate."""

from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

log = Logger(namespace="listen")

WINDOW = 10.0
"Seconds in which the same (reason, sender) is told once,"
MOST_TOLD = 20
"and so many different ones."
MOST_KEPT = 1000
"Senders that are remembered."


class Rejections:
    """``clock`` rises steadily, in seconds."""

    def __init__(self, listener: str, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        "By reason, a word for metrics."
        self.listener = listener
        self._clock = clock
        self._since = float("-inf")
        self._told: set[tuple[str, str]] = set()
        self.hosts: dict[str, str] = {}
        "Who was not let in, the last at the end, and why."

    def note(self, reason: str, host: str, text: str, *, what: str = "connection", count: int = 1) -> None:
        """Something from ``host`` was not let in, for a ``reason`` that ``text`` tells the operator."""
        self.counts[reason] += count
        self.hosts.pop(host, None)
        self.hosts[host] = text
        if len(self.hosts) > MOST_KEPT:
            del self.hosts[next(iter(self.hosts))]
        now = self._clock()
        if now - self._since > WINDOW:
            self._since, self._told = now, set()
        if (reason, host) in self._told or len(self._told) >= MOST_TOLD:
            return
        self._told.add((reason, host))
        log.warn(
            "listener {name}: {what} from {host} closed: {why}",
            name=self.listener, what=what, host=host or "this machine", why=text,
        )  # fmt: skip
