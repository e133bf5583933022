"""Records rates and backlog for the plots: a reading every few seconds for an hour and every minute for a day.

Readings are stored in rings of floats. Each ring has at most 1,440 values per figure, whatever the traffic.
"""

from array import array
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan, nan

from bridge.accounting import UNROUTED, Ledger
from bridge.monitoring.intake_history import DAY, HOUR, IntakeRing
from bridge.monitoring.runtime_metrics import Histogram

EVERY = 5.0
"Seconds between two readings."

TREND_SECONDS = 60.0
"Seconds over which it is decided whether a backlog grows, and whether an intake moves events."

FIGURES = ("received", "delivered", "dropped", "waiting", "oldest", "delay")
"""Events per second received, delivered and dropped; waiting events; age of the oldest; mean delay of delivered batches
(NaN if none was delivered)."""


class Ring:
    """Holds the last ``max_readings`` readings of every figure, ``step`` seconds apart."""

    def __init__(self, step: float, max_readings: int) -> None:
        self.step = step
        self._max_readings = max_readings
        self._times = array("d")
        self._columns = {name: array("d") for name in FIGURES}

    def add(self, when: float, reading: Mapping[str, float]) -> None:
        """Adds one reading and removes the oldest ones if the ring is full."""
        if len(self._times) >= self._max_readings:
            # A tenth at a time: removing the front of an array moves all the rest.
            spare = self._max_readings // 10
            del self._times[:spare]
            for column in self._columns.values():
                del column[:spare]
        self._times.append(when)
        for name, column in self._columns.items():
            column.append(reading[name])

    def report(self) -> dict[str, object]:
        """Returns times in seconds since the epoch and one column per figure; None where there is no value."""
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

    def seconds_since(self, then: "_Totals") -> float:
        return max(self.at - then.at, 0.001)


class RateHistory:
    """Measures the rates of one bridge. ``clock`` returns monotonic seconds, ``wall`` seconds since the epoch."""

    def __init__(
        self, ledger: Ledger, delays: Histogram, *, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.hour = Ring(EVERY, 720)
        self.day = Ring(60.0, 1440)
        self.intakes_hour, self.intakes_day = IntakeRing(*HOUR), IntakeRing(*DAY)
        self.rates: dict[str, tuple[float, float]] = {}
        "Intake -> events per second received and delivered, over the last interval."
        self.changes: dict[str, float] = {}
        "Intake -> change of its waiting events per second, over the last ``TREND_SECONDS``; negative while it drains."
        self.moving: frozenset[str] = frozenset()
        "Intakes that have received or delivered events within the last ``TREND_SECONDS``."
        self.received = self.delivered = 0.0
        "Events per second of all intakes, over the last interval."
        self._ledger = ledger
        self._delays = delays
        self._clock = clock
        self._wall = wall
        self._last = self._minute = self._totals()
        self._recent = deque([self._last], maxlen=int(TREND_SECONDS / EVERY) + 1)
        for ring in (self.intakes_hour, self.intakes_day):
            ring.begin(self._last.at, self._last.by_intake)

    def beat(self, waiting_events: Mapping[str, int], oldest: float) -> None:
        """Takes one reading; called every ``EVERY`` seconds.

        ``waiting_events`` has the number of waiting events of each intake, ``oldest`` is the age of the oldest in
        seconds.
        """
        then, now, waiting = self._last, self._totals(), sum(waiting_events.values())
        self._last = now
        passed = now.seconds_since(then)
        self.rates = {}
        for name, (received, delivered) in now.by_intake.items():
            received_then, delivered_then = then.by_intake.get(name, (0, 0))
            self.rates[name] = ((received - received_then) / passed, (delivered - delivered_then) / passed)
        self._recent.append(now)
        self._update_trend(self._recent[0], now)
        reading = _between(then, now, waiting, oldest)
        self.received, self.delivered = reading["received"], reading["delivered"]
        self.hour.add(self._wall(), reading)
        if now.at - self._minute.at >= self.day.step:
            self.day.add(self._wall(), _between(self._minute, now, waiting, oldest))
            self._minute = now
        for ring in (self.intakes_hour, self.intakes_day):
            ring.add(now.at, self._wall(), now.by_intake, waiting_events)

    def _update_trend(self, then: _Totals, now: _Totals) -> None:
        self.changes = {}
        for name, (received, delivered) in now.by_intake.items():
            received_then, delivered_then = then.by_intake.get(name, (0, 0))
            change = (received - received_then) - (delivered - delivered_then)
            self.changes[name] = change / now.seconds_since(then)
        self.moving = frozenset(
            name for name, counts in now.by_intake.items() if counts != then.by_intake.get(name, (0, 0))
        )

    def _totals(self) -> _Totals:
        total = self._ledger.total()
        accounts = self._ledger.accounts.items()
        return _Totals(
            self._clock(), total.received, total.delivered, total.dropped.total(), self._delays.count,
            self._delays.total, {name: (one.received, one.delivered) for name, one in accounts if name != UNROUTED},
        )  # fmt: skip


def _between(then: _Totals, now: _Totals, waiting: int, oldest: float) -> dict[str, float]:
    passed, batches = now.seconds_since(then), now.batches - then.batches
    return {
        "received": (now.received - then.received) / passed,
        "delivered": (now.delivered - then.delivered) / passed,
        "dropped": (now.dropped - then.dropped) / passed,
        "waiting": float(waiting),
        "oldest": oldest,
        "delay": (now.delay - then.delay) / batches if batches else nan,
    }
