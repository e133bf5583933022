"""What the figures were, for the plots: one reading every few seconds for an hour, one a minute for a day.

Readings are kept in rings of plain floats: 1,440 a figure and span, whatever the traffic.
"""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan, nan

from bridge.accounting import UNROUTED, Ledger
from bridge.monitoring.runtime_metrics import Histogram

EVERY = 5.0
"Seconds between two readings."

FIGURES = ("received", "delivered", "dropped", "waiting", "oldest", "delay")
"Events a second in, out and lost; events that wait; the age of the oldest; the mean delay of what was delivered."

NOTHING = nan
"No delay where nothing was delivered."


class Ring:
    """The last readings of every figure, ``step`` seconds apart."""

    def __init__(self, step: float, most: int) -> None:
        self.step = step
        self._most = most
        self._times = array("d")
        self._columns = {name: array("d") for name in FIGURES}

    def add(self, when: float, reading: Mapping[str, float]) -> None:
        """One reading; the oldest goes for it."""
        if len(self._times) >= self._most:
            # In bulk, as the front of an array is far from its end.
            spare = self._most // 10
            del self._times[:spare]
            for column in self._columns.values():
                del column[:spare]
        self._times.append(when)
        for name, column in self._columns.items():
            column.append(reading[name])

    def report(self) -> dict[str, object]:
        """Times in seconds since the epoch, and a column a figure; None where there is nothing to say."""
        columns = {
            name: [None if isnan(value) else round(value, 3) for value in column]
            for name, column in self._columns.items()
        }
        return {"step": self.step, "time": [round(when, 1) for when in self._times], **columns}


@dataclass(slots=True)
class _Totals:
    at: float
    received: int
    delivered: int
    dropped: int
    batches: int
    delay: float
    by_intake: dict[str, tuple[int, int]]


class RateHistory:
    """The rates of one bridge. ``clock`` rises steadily, ``wall`` is in seconds since the epoch."""

    def __init__(
        self,
        ledger: Ledger,
        delays: Histogram,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.hour = Ring(EVERY, 720)
        self.day = Ring(60.0, 1440)
        self.rates: dict[str, tuple[float, float]] = {}
        "Intake -> events a second in and out, over the last interval."
        self.received = self.delivered = 0.0
        "Events a second over all, over the last interval."
        self.waiting: Callable[[], tuple[int, float]] = lambda: (0, 0.0)
        "Gives the events that wait, and the age of the oldest in seconds."
        self._ledger = ledger
        self._delays = delays
        self._clock = clock
        self._wall = wall
        self._last = self._minute = self._totals()

    def beat(self) -> None:
        """Called every ``EVERY`` seconds."""
        totals = self._totals()
        waiting, oldest = self.waiting()
        reading = _between(self._last, totals, waiting, oldest)
        passed = max(totals.at - self._last.at, 0.001)
        self.received, self.delivered = reading["received"], reading["delivered"]
        before = self._last.by_intake
        self.rates = {}
        for name, (received, delivered) in totals.by_intake.items():
            received_then, delivered_then = before.get(name, (0, 0))
            self.rates[name] = ((received - received_then) / passed, (delivered - delivered_then) / passed)
        self._last = totals
        self.hour.add(self._wall(), reading)
        if totals.at - self._minute.at >= self.day.step:
            self.day.add(self._wall(), _between(self._minute, totals, waiting, oldest))
            self._minute = totals

    def _totals(self) -> _Totals:
        total = self._ledger.total()
        accounts = self._ledger.accounts.items()
        return _Totals(
            self._clock(), total.received, total.delivered, total.dropped.total(), self._delays.count,
            self._delays.total, {name: (one.received, one.delivered) for name, one in accounts if name != UNROUTED},
        )  # fmt: skip


def _between(then: _Totals, now: _Totals, waiting: int, oldest: float) -> dict[str, float]:
    passed = max(now.at - then.at, 0.001)
    batches = now.batches - then.batches
    return {
        "received": (now.received - then.received) / passed,
        "delivered": (now.delivered - then.delivered) / passed,
        "dropped": (now.dropped - then.dropped) / passed,
        "waiting": float(waiting),
        "oldest": oldest,
        "delay": (now.delay - then.delay) / batches if batches else NOTHING,
    }
