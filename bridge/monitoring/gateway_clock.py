"""Compares the gateway's clock with the ``Date`` header of the collector's responses, and notices when it is set.

``Date`` has a resolution of one second, and the collector sets it at some moment between request and response. So one
response gives only an interval for the offset of the two clocks. Further responses narrow the interval. The alarm
starts only if the whole interval is beyond ``MAX_OFFSET``.
"""

from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from bridge.ingest.clock_skew import TOLERANCE
from bridge.monitoring.alarms import Alarms
from bridge.util.clock import MAX_STEP, SETTLED_AFTER

MAX_OFFSET = 5.0
"Seconds that the two clocks may differ."
SET_CLOCK = "set the clock (timedatectl, NTP)"
EVERY = 5.0
"Seconds between two looks at the clock."
MAX_RESPONSES = 20
"Number of consecutive responses that are evaluated."


class GatewayClock:
    """Estimates the offset of the gateway's clock. ``wall`` returns seconds since the epoch."""

    def __init__(self, alarms: Alarms, *, wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._wall = wall
        self._bounds: deque[tuple[float, float]] = deque(maxlen=MAX_RESPONSES)
        self._reported = 0.0
        "The offset in the text of the latest alarm."

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
            # The text of an active alarm stays, or each new offset would report the alarm again, unless the clock was
            # set to another wrong time.
            differs = abs(offset - self._reported) > max(MAX_OFFSET, abs(self._reported) / 2)
            if ("clock", "gateway") not in self._alarms.current or differs:
                self._reported = offset
                where = "ahead of" if offset > 0 else "behind"
                self._alarms.on(
                    "clock", "gateway",
                    f"this gateway's clock is {abs(offset):.0f} s {where} the collector's. Reception times are"
                    f" wrong, and so are event times without year or time zone",
                    remedy=SET_CLOCK,
                )  # fmt: skip
        elif abs(offset) < MAX_OFFSET - 1:
            self._alarms.off("clock", "gateway", "this gateway's clock agrees with the collector's again")


class ClockWatch:
    """Raises alarms for a clock that was never set, and for one that was set while the bridge runs.

    ``wall`` is in seconds since the epoch, ``clock`` is monotonic. ``is_set`` returns False while the machine's clock
    was never set. ``changed`` is called when its result has changed, ``stepped`` when the clock was set: clock offsets
    of sources that were measured before do not apply any more.
    """

    def __init__(
        self, alarms: Alarms, *, wall: Callable[[], float], is_set: Callable[[], bool], clock: Callable[[], float],
        changed: Callable[[], object], stepped: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._alarms = alarms
        self._wall = wall
        self._is_set = is_set
        self._clock = clock
        self._changed = changed
        self._source_offsets_end = stepped
        self._was_set = is_set()
        self._offset = wall() - clock()
        self._stepped = float("-inf")

    def look(self) -> None:
        """Compares the clock with the monotonic clock. Called every few seconds."""
        now = self._clock()
        offset = self._wall() - now
        step, self._offset = offset - self._offset, offset
        is_set = self._is_set()
        if abs(step) > TOLERANCE:
            self._source_offsets_end()
        if not is_set:
            self._alarms.on(
                "clock", "unset",
                "this gateway's clock was never set since it booted. Reception times are estimates, TLS connections may"
                " fail, and event times without year may be wrong",
                remedy=SET_CLOCK,
            )  # fmt: skip
        elif not self._was_set:
            self._alarms.off("clock", "unset", "this gateway's clock is set")
            self._report_step("for the first time since it booted. Reception times before are estimates", now)
        elif abs(step) > MAX_STEP:
            direction = "ahead" if step > 0 else "back"
            self._report_step(f"{direction} by {_span(abs(step))}. Reception times before or after are wrong", now)
        elif now - self._stepped >= SETTLED_AFTER:
            self._alarms.off("clock", "step", "this gateway's clock has run evenly for an hour")
        if is_set is not self._was_set:
            self._was_set = is_set
            self._changed()

    def _report_step(self, how: str, now: float) -> None:
        self._stepped = now
        self._alarms.off("clock", "step", "this gateway's clock was set again")
        self._alarms.on(
            "clock", "step",
            f"this gateway's clock was set {how}. Nothing is deleted by its age for an hour",
            remedy="check that the clock is right (timedatectl, NTP)",
        )  # fmt: skip


def _span(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.0f} hours" if seconds < 172_800 else f"{seconds / 86_400:,.0f} days"
