"""Event times of a read: one where all rows share a second, else one per row.

A time outside ``Window`` becomes the reception time: a search would never show such an event. Nothing else is changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from operator import add, itemgetter

from bridge.syslog.fast.columns import Columns
from bridge.syslog.timestamps import TimeReader, fraction_ms

_MILLISECONDS = itemgetter(slice(1, 4))
"Of a fraction that has at least these digits."


@dataclass(frozen=True, slots=True)
class Window:
    """How far from reception an event time may lie, in milliseconds; None is without limit."""

    past_ms: int | None
    future_ms: int | None

    def holds(self, ms: int, received_ms: int) -> bool:
        """Whether an event time is believable at this reception time."""
        earliest, latest = self.bounds(received_ms)
        return earliest <= ms <= latest

    def bounds(self, received_ms: int) -> tuple[float, float]:
        """The earliest and the latest believable time."""
        earliest = -math.inf if self.past_ms is None else received_ms - self.past_ms
        return earliest, math.inf if self.future_ms is None else received_ms + self.future_ms


@dataclass(slots=True)
class EventTimes:
    """Milliseconds since the epoch of a read's rows."""

    count: int
    earliest: int
    latest: int
    rows: Sequence[int] | None = None
    "One per row, where they are not all of one second."
    outside: int = 0
    "Rows whose time lay outside the window, and became the reception time."

    def each(self) -> Sequence[int]:
        """One time per row; ``earliest`` for all of a read within one second."""
        return self.rows if self.rows is not None else [self.earliest] * self.count


def of_read(
    columns: Columns, *, reader: TimeReader, zone: tzinfo, received_ms: int, window: Window, fine: bool
) -> EventTimes:
    """The event times of a read. ``fine``: a time per row even within one second."""
    count = columns.count
    # A stamp is as good as its second: the reader passes over the PRI.
    seconds = columns["second"] if columns.stamps is None else columns.stamps
    offsets, fractions = columns["offset"], columns["fraction"]
    if not fine and seconds.count(seconds[0]) == count and offsets.count(offsets[0]) == count:
        base, believed = _base(seconds[0], offsets[0], reader, zone, received_ms, window)
        if not believed:
            return EventTimes(count, base, base, outside=count if seconds[0] else 0)
        if fractions.count(b"") == count:
            return EventTimes(count, base, base)
        return EventTimes(count, base + fraction_ms(min(fractions)), base + fraction_ms(max(fractions)))
    if offsets.count(offsets[0]) == count:
        whole = reader.all_ms(seconds, offsets[0], zone, received_ms)
        if whole is not None:
            earliest, latest = min(whole), max(whole)
            if window.holds(earliest, received_ms) and window.holds(latest, received_ms):
                if fractions.count(b"") == count:
                    return EventTimes(count, earliest, latest, whole)
                rows = _with_fractions(whole, fractions)
                return EventTimes(count, min(rows), max(rows), rows)
    keys = list(zip(seconds, offsets, strict=True))
    ms: dict[tuple[bytes, bytes], int] = {}
    unbelieved = set()
    for key in set(keys):
        ms[key], believed = _base(*key, reader, zone, received_ms, window)
        if not believed:
            unbelieved.add(key)
    # What is not believed is of reception, so without a fraction.
    rows = [
        ms[key] + fraction_ms(fraction) if fraction and key not in unbelieved else ms[key]
        for key, fraction in zip(keys, fractions, strict=True)
    ]
    outside = sum(key in unbelieved and key[0] != b"" for key in keys) if unbelieved else 0
    return EventTimes(count, min(rows), max(rows), rows, outside)


def _with_fractions(seconds: list[int], fractions: Sequence[bytes]) -> list[int]:
    """Whole seconds with what is behind their point."""
    if min(map(len, fractions)) >= len(b".000"):
        return list(map(add, seconds, map(int, map(_MILLISECONDS, fractions))))
    return [ms + fraction_ms(fraction) for ms, fraction in zip(seconds, fractions, strict=True)]


def of_sender(given: Sequence[int], *, received_ms: int, window: Window) -> EventTimes:
    """Event times that the sender told beside the text, one per row; those that are not believed are reception."""
    earliest, latest = window.bounds(received_ms)
    rows = [ms if earliest <= ms <= latest else received_ms for ms in given]
    return EventTimes(len(rows), min(rows), max(rows), rows, sum(not earliest <= ms <= latest for ms in given))


def _base(
    second: bytes, offset: bytes, reader: TimeReader, zone: tzinfo, received_ms: int, window: Window
) -> tuple[int, bool]:
    """A second's milliseconds and True, or reception and False where there is no time or none to believe."""
    ms = reader.second_ms(second, offset, zone, received_ms) if second else None
    if ms is None or not window.holds(ms, received_ms):
        return received_ms, False
    return ms, True
