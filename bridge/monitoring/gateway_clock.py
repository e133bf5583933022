"""The gateway's own clock, held against the ``Date`` of the collector's answers.

A ``Date`` is a whole second, made somewhere between our request and its answer. So one answer says only that the
difference of the two clocks lies in an interval; answers in a row narrow it down. Only when the whole interval is
beyond ``MOST`` is the clock called wrong.
"""

from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from bridge.monitoring.alarms import Alarms

MOST = 5.0
"Seconds that the two clocks may differ."
LOOKED_AT = 20
"Answers in a row."


class GatewayClock:
    """What the answers say of our clock. ``wall`` is in seconds since the epoch."""

    def __init__(self, alarms: Alarms, *, wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._wall = wall
        self._bounds: deque[tuple[float, float]] = deque(maxlen=LOOKED_AT)

    @property
    def offset(self) -> float | None:
        """Seconds that our clock is ahead of the collector's, None: no answer has told. 0 where they agree as far as
        whole seconds can tell."""
        if not self._bounds:
            return None
        low, high = self._interval()
        return 0.0 if low <= 0.0 <= high else round(low if low > 0 else high, 1)

    def answered(self, date: str | None, took: float) -> None:
        """An accepted request's ``Date``, and the seconds between sending it and this call."""
        try:
            theirs = parsedate_to_datetime(date or "").timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        now = self._wall()
        # Our clock's time when the answer was made is in (now - took, now); theirs was in (theirs, theirs + 1).
        low, high = now - took - (theirs + 1.0), now - theirs
        if self._bounds and not (low <= self._interval()[1] and high >= self._interval()[0]):
            # One of the clocks was set.
            self._bounds.clear()
        self._bounds.append((low, high))
        self._judge()

    def _interval(self) -> tuple[float, float]:
        return max(low for low, _ in self._bounds), min(high for _, high in self._bounds)

    def _judge(self) -> None:
        offset = self.offset or 0.0
        if abs(offset) > MOST:
            # The words stay while it lasts.
            if ("clock", "gateway") not in self._alarms.active:
                where = "ahead of" if offset > 0 else "behind"
                self._alarms.on(
                    "clock", "gateway",
                    f"this gateway's clock is {abs(offset):.0f} s {where} the collector's: times of reception are"
                    f" wrong, and so are event times without a year or zone; set it (timedatectl, NTP)",
                )  # fmt: skip
        elif abs(offset) < MOST - 1:
            self._alarms.off("clock", "gateway", "this gateway's clock agrees with the collector's again")
