"""Keeps the active alarms and reports each once when it starts and once when it ends.

Alarms are written to the log, shown in the status and, with ``admin.alerts_intake``, delivered as events.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from twisted.logger import Logger

from bridge.syslog.timestamps import rfc3339
from bridge.util.wall_times import WallTimes

EVERY = 5.0
"Seconds between two checks for alarms that end."

log = Logger(namespace="app")


@dataclass(frozen=True, slots=True)
class Alarm:
    """Describes an alarm. ``since`` and ``ended`` are times of the monotonic clock; ``ended`` is None while active."""

    kind: str
    about: str
    text: str
    remedy: str
    since: float
    ended: float | None = None


class Alarms:
    """Holds the alarms of one bridge. ``emit`` sends a self event; it must not raise. ``clock`` is monotonic."""

    MOST = 1000
    "Maximum number of active alarms of one kind. Further ones are ignored: a longer list of sources would not help the"
    " operator. Alarms of other kinds are not affected, so forged senders cannot hide them."
    MOST_ENDED = 20
    "Maximum number of ended alarms of one kind that are remembered, the latest."

    def __init__(
        self,
        emit: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.current: dict[tuple[str, str], Alarm] = {}
        "The active alarms, by (kind, about)."
        self._counts: Counter[str] = Counter()
        "The number of active alarms, by kind."
        self._ended: dict[str, deque[Alarm]] = {}
        "The latest ended alarms by kind."
        self._emit = emit
        self._clock = clock
        self._times = WallTimes(clock, wall)
        self._ends: dict[tuple[str, str], tuple[float, float]] = {}
        "Alarms that end by themselves: (kind, about) -> the time of their end, and the seconds for which they last."

    @property
    def active(self) -> dict[tuple[str, str], str]:
        """Returns the texts of the active alarms, by (kind, about)."""
        return {key: alarm.text for key, alarm in self.current.items()}

    def count(self, kind: str) -> int:
        """Returns the number of active alarms of a kind."""
        return self._counts[kind]

    def on(self, kind: str, about: str, text: str, *, lasts: float | None = None, remedy: str = "") -> None:
        """Raises an alarm. An active alarm is reported again only if its text has changed. With ``lasts``, the alarm
        ends this many seconds after the last call. ``remedy`` says what to do."""
        key = (kind, about)
        if key not in self.current and self.count(kind) >= self.MOST:
            return
        now = self._clock()
        if lasts is None:
            self._ends.pop(key, None)
        else:
            self._ends[key] = (now + lasts, lasts)
        before = self.current.get(key)
        if before is not None and (before.text, before.remedy) == (text, remedy):
            return
        self._counts[kind] += before is None
        self.current[key] = Alarm(kind, about, text, remedy, now if before is None else before.since)
        log.warn("{text}", text=f"{text.rstrip('.')}. To do: {remedy}" if remedy else text)
        self._emit_event(kind, about, "on", text, remedy)

    def off(self, kind: str, about: str, text: str) -> None:
        """Ends an alarm and reports ``text``. Does nothing if the alarm is not active."""
        self._ends.pop((kind, about), None)
        if (alarm := self.current.pop((kind, about), None)) is not None:
            self._counts[kind] -= 1
            ended = self._ended.setdefault(kind, deque(maxlen=self.MOST_ENDED))
            ended.append(replace(alarm, ended=self._clock()))
            log.info("{text}", text=text)
            self._emit_event(kind, about, "off", text)

    def look(self) -> None:
        """Ends the alarms that have lasted long enough. Called every few seconds."""
        now = self._clock()
        for (kind, about), (end, lasts) in list(self._ends.items()):
            if now >= end:
                again = f"{lasts / 3600:.0f} hours" if lasts >= 3600 else f"{lasts:.0f} seconds"
                self.off(kind, about, f"not happened again for {again}: {self.current[kind, about].text}")

    def ended(self) -> Iterator[Alarm]:
        """Yields the latest ended alarms of each kind that are not active again."""
        for alarms in self._ended.values():
            latest = {alarm.about: alarm for alarm in alarms}
            yield from (alarm for about, alarm in latest.items() if (alarm.kind, about) not in self.current)

    def wall_time(self, moment: float) -> float:
        """Returns a time of the monotonic clock as seconds since the epoch, by the current wall clock."""
        return self._times.of(moment)

    def moment(self, seconds: float) -> str:
        """Returns a time of the monotonic clock as RFC 3339."""
        return rfc3339(int(self.wall_time(seconds) * 1000))

    def _emit_event(self, kind: str, about: str, state: str, text: str, remedy: str = "") -> None:
        if self._emit is not None:
            todo = f' remedy="{_quoted(remedy)}"' if remedy else ""
            self._emit(f'alarm={kind} state={state} about="{_quoted(about)}" message="{_quoted(text)}"{todo}')


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
