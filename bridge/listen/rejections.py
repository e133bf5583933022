"""Counts the connections and datagrams that a listener rejects, and logs them at a limited rate."""

from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

log = Logger(namespace="listen")

WINDOW = 10.0
"Seconds in which the same (reason, sender) is logged at most once."
MAX_LOGGED = 20
"Log lines per window, at most."
MAX_HOSTS = 1000
"Senders that are remembered, at most."


class Rejections:
    """Counts the rejections of one listener. ``clock`` returns monotonic seconds."""

    def __init__(self, listener: str, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        "Rejections by reason code."
        self._listener = listener
        self._clock = clock
        self._since = float("-inf")
        self._logged: set[tuple[str, str]] = set()
        self._hosts: dict[str, str] = {}
        "The latest explanation for each rejected sender; the most recent sender is last."

    def rename(self, listener: str) -> None:
        """Uses another name of the listener in log lines."""
        self._listener = listener

    def latest(self, hosts: Callable[[str], bool]) -> str | None:
        """Returns the latest explanation for a sender whose address ``hosts`` accepts, or None."""
        return next((text for host, text in reversed(self._hosts.items()) if hosts(host)), None)

    def note(self, reason: str, host: str, text: str, *, what: str = "connection", count: int = 1) -> None:
        """Records a rejection.

        ``reason`` is the code for metrics, ``text`` is the explanation for the operator, ``what`` names what was
        rejected.
        """
        self.counts[reason] += count
        self._hosts.pop(host, None)
        self._hosts[host] = text
        if len(self._hosts) > MAX_HOSTS:
            del self._hosts[next(iter(self._hosts))]
        now = self._clock()
        if now - self._since > WINDOW:
            self._since, self._logged = now, set()
        if (reason, host) in self._logged or len(self._logged) >= MAX_LOGGED:
            return
        self._logged.add((reason, host))
        log.warn(
            "listener {name}: {what} from {host} closed: {why}",
            name=self._listener, what=what, host=host or "this machine", why=text,
        )  # fmt: skip
