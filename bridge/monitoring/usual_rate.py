"""Learns how many events a source usually sends in each hour of the day.

The usual rate of an hour is the lower of two medians: of the same hour on the latest seven days, and of the same hour
on the same weekday. So neither a quiet Sunday after busy days nor a busy day after a quiet Sunday is unusual. It is
known once the same weekday was observed, that is after a week.
"""

from array import array
from collections.abc import Iterator
from datetime import date
from statistics import median

MAX_DAYS = 14
"Days that are remembered."
LATEST_DAYS = 7
MIN_OBSERVATIONS = 3
"Observations of the same hour without which its usual rate is not known."
HOURS = 24
_UNKNOWN = -1
_MOST = 1 << 60
"Events of an hour that are read from a file, at most."


class UsualRate:
    """Holds the events per hour of one source for each hour of the latest days. A day is the ordinal of its date."""

    __slots__ = ("_days",)

    def __init__(self) -> None:
        self._days: dict[int, array[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._days)

    def note(self, day: int, hour: int, events: int) -> None:
        """Records the events of a whole hour. Forgets the days that are furthest away, if there are too many.

        A clock that is wrong for an hour must not make all other days look old.
        """
        hours = self._days.setdefault(day, array("q", [_UNKNOWN] * HOURS))
        hours[hour] = events
        while len(self._days) > MAX_DAYS + 1:
            del self._days[max(self._days, key=lambda each: abs(day - each))]

    def observations(self, day: int, hour: int) -> int:
        """Returns how often an hour was observed before a day."""
        return sum(1 for _ in self._before(day, hour))

    def per_hour(self, day: int, hour: int) -> float | None:
        """Returns the usual events in an hour of a day, None if they are not known yet."""
        found = list(self._before(day, hour))
        same_weekday = [events for before, events in found if not (day - before) % 7]
        if len(found) < MIN_OBSERVATIONS or not same_weekday:
            return None
        latest = [events for _, events in sorted(found, reverse=True)[:LATEST_DAYS]]
        return min(median(latest), median(same_weekday))

    def _before(self, day: int, hour: int) -> Iterator[tuple[int, int]]:
        """Yields day and events of each observation of an hour before a day."""
        for before, hours in self._days.items():
            if 0 < day - before <= MAX_DAYS and hours[hour] != _UNKNOWN:
                yield before, hours[hour]

    def copy(self) -> "UsualRate":
        """Returns a copy, which another thread may read."""
        copied = UsualRate()
        copied._days = {day: hours[:] for day, hours in self._days.items()}
        return copied

    def as_json(self) -> dict[str, list[int | None]]:
        """Returns the events per hour of each day, for a file."""
        return {
            date.fromordinal(day).isoformat(): [None if events == _UNKNOWN else events for events in hours]
            for day, hours in sorted(self._days.items())
        }

    @classmethod
    def from_json(cls, days: dict[str, list[int | None]]) -> "UsualRate":
        """Reads what ``as_json`` has returned. Raises ValueError, TypeError or AttributeError if it is damaged."""
        found = cls()
        for text, hours in list(days.items())[-MAX_DAYS - 1 :]:
            if len(hours) != HOURS:
                raise ValueError("not one number for each hour")
            numbers = [_UNKNOWN if events is None else min(_MOST, max(0, int(events))) for events in hours]
            found._days[date.fromisoformat(text).toordinal()] = array("q", numbers)
        return found
