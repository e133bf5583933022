"""Compares the gateway's clock with the ``Date`` header of the collector's responses.

``Date`` has a resolution of one second, and the collector sets it at some moment between request and response. So one
response gives only an interval for the offset of the two clocks. Further responses narrow the interval. The alarm
starts only if the whole interval is beyond ``MAX_OFFSET``.
"""

from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from bridge.monitoring.alarms import Alarms

MAX_OFFSET = 5.0
"Seconds that the two clocks may differ."
MAX_RESPONSES = 20
"Number of consecutive responses that are evaluated."


class GatewayClock:
    """Estimates the offset of the gateway's clock. ``wall`` returns seconds since the epoch."""

    def __init__(self, alarms: Alarms, *, wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._wall = wall
        self._bounds: deque[tuple[float, float]] = deque(maxlen=MAX_RESPONSES)

    @property
    def offset(self) -> float | None:
        """The seconds that this clock is ahead of the collector's. 0 if the clocks agree within the resolution of
        ``Date``, None if no response had a ``Date`` yet."""
        if not self._bounds:
            return None
        low, high = self._interval()
        return 0.0 if low <= 0.0 <= high else round(low if low > 0 else high, 1)

    def answered(self, date: str | None, took: float) -> None:
        """Evaluates the ``Date`` of an accepted request. ``took``: seconds between sending it and this call."""
        try:
            collector_time = parsedate_to_datetime(date or "").timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        now = self._wall()
        # The response was made in (now - took, now) by this clock and in (collector_time, collector_time + 1) by the
        # collector's.
        low, high = now - took - (collector_time + 1.0), now - collector_time
        if self._bounds and not (low <= self._interval()[1] and high >= self._interval()[0]):
            # The interval contradicts the earlier ones: one of the clocks was set.
            self._bounds.clear()
        self._bounds.append((low, high))
        self._update_alarm()

    def _interval(self) -> tuple[float, float]:
        return max(low for low, _ in self._bounds), min(high for _, high in self._bounds)

    def _update_alarm(self) -> None:
        offset = self.offset or 0.0
        if abs(offset) > MAX_OFFSET:
            # The text of an active alarm stays: a new offset in it would report the alarm again.
            if ("clock", "gateway") not in self._alarms.active:
                where = "ahead of" if offset > 0 else "behind"
                self._alarms.on(
                    "clock", "gateway",
                    f"this gateway's clock is {abs(offset):.0f} s {where} the collector's. Reception times are"
                    f" wrong, and so are event times without year or time zone. Set the clock (timedatectl, NTP)",
                )  # fmt: skip
        elif abs(offset) < MAX_OFFSET - 1:
            self._alarms.off("clock", "gateway", "this gateway's clock agrees with the collector's again")
