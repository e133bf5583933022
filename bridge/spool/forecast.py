"""Predicts when the spool, and the room of each intake in it, will be full, from the growth in the last minutes.

Growth is measured from the smallest use in the last minutes, so that an outage shows at once, and packing, which makes
the backlog smaller at times, does not hide it. Arithmetic only; all sizes are bytes in allocated blocks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.spool.budget import Shares


@dataclass(frozen=True, slots=True)
class TimeToFull:
    """Seconds until the spool is full, and until each growing intake has no room; None or missing without growth."""

    spool: float | None = None
    intakes: dict[str, float] = field(default_factory=dict)


class Forecast:
    """Records the use of the spool, and predicts when it is full."""

    HISTORY_SECONDS = 600.0
    "Seconds of history that are used."
    MIN_INTERVAL = 10.0
    "Smallest number of seconds between two samples, and before a prediction."

    def __init__(self) -> None:
        self._samples: list[tuple[float, dict[str, int]]] = []

    def note(self, now: float, uses: Mapping[str, int]) -> None:
        """Records the bytes that each intake uses. Called about once a second; keeps one sample every ten seconds."""
        if not self._samples or now - self._samples[-1][0] >= self.MIN_INTERVAL:
            self._samples.append((now, dict(uses)))
            while now - self._samples[0][0] > self.HISTORY_SECONDS:
                del self._samples[0]

    def predict(self, now: float, uses: Mapping[str, int], shares: Shares) -> TimeToFull:
        """Returns the seconds until nothing more fits, at the present growth. ``uses``: bytes that each intake uses."""
        total = sum(uses.values())
        growth = self._growth(now, total, ((at, sum(then.values())) for at, then in self._samples))
        left = max(0, shares.limit - total)
        spool = left / growth if growth else None
        intakes: dict[str, float] = {}
        for name in shares.uses:
            used = uses.get(name, 0)
            own = self._growth(now, used, ((at, then.get(name, 0)) for at, then in self._samples))
            if not own:
                continue
            seconds = max(0, shares.room(name)) / own
            if spool is not None and seconds > spool:
                # Others fill the space that it would borrow. It still has its share.
                seconds = max(spool, (shares.share - used) / own)
            intakes[name] = seconds
        return TimeToFull(spool, intakes)

    def _growth(self, now: float, used: int, samples: Iterator[tuple[float, int]]) -> float:
        """Returns the growth in bytes per second since the latest smallest use; 0 without growth."""
        since, least = now, used
        for at, size in samples:
            if now - at >= self.MIN_INTERVAL and size <= least:
                since, least = at, size
        return (used - least) / (now - since) if since < now else 0.0
