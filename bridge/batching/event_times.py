"""Computes the event times of a read: one time if all rows share a second, otherwise one per row.

A time outside ``Window`` is replaced by the reception time, because a search would never show such an event. All other
times stay unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from typing import cast

from bridge.syslog.columns import NO_STAMP, Columns, SameSecond, TextBlock
from bridge.syslog.timestamps import TimeConversion, Window, fraction_ms


@dataclass(slots=True)
class EventTimes:
    """Event times of a read's rows, in milliseconds since the epoch."""

    count: int
    earliest: int
    latest: int
    rows: Sequence[int] | None = None
    "One time per row, or None if all rows share one second."
    outside: int = 0
    "Rows whose time was outside the window and was replaced by the reception time."

    def each(self) -> Sequence[int]:
        """Returns one time per row. If all rows share one second, each row gets ``earliest``."""
        return self.rows if self.rows is not None else [self.earliest] * self.count


def times_from_headers(
    read: Columns | TextBlock, conversion: TimeConversion, received_ms: int, *, fine: bool
) -> EventTimes:
    """Reads the event times from the syslog headers of a read. ``fine`` requests a time per row even within one
    second."""
    count = read.count
    if isinstance(read, SameSecond) and not fine:
        return _times_of_second(count, read.second, read.offset, read.fractions, conversion, received_ms)
    seconds, fractions, offsets = read.times()
    if not fine and seconds.count(seconds[0]) == count and offsets.count(offsets[0]) == count:
        given = () if fractions.count(b"") == count else fractions
        return _times_of_second(count, seconds[0], offsets[0], given, conversion, received_ms)
    if offsets.count(offsets[0]) != count:
        seconds, offsets = list(map(b"%b\t\t%b".__mod__, zip(seconds, offsets, strict=True))), (b"",)
    known = conversion.reader.all_ms(seconds, offsets[0], conversion.zone, received_ms)
    outside = 0
    if None in known:
        outside = known.count(None) - seconds.count(b"") - seconds.count(NO_STAMP)
        rows = [received_ms if ms is None else ms for ms in known]
    else:
        rows = cast("list[int]", known)
    earliest, latest = min(rows), max(rows)
    if not (conversion.window.holds(earliest, received_ms) and conversion.window.holds(latest, received_ms)):
        replaced = {ms for ms in set(rows) if not conversion.window.holds(ms, received_ms)}
        outside += sum(map(replaced.__contains__, rows))
        rows = [received_ms if ms in replaced else ms for ms in rows]
        earliest, latest = min(rows), max(rows)
    if fractions.count(b"") != count:
        if outside:
            # A replaced time is the reception time, which gets no fraction.
            fractions = [text if ms == row else b"" for text, ms, row in zip(fractions, known, rows, strict=True)]
        rows = list(map(add, rows, map(_fraction_ms.__getitem__, fractions)))
        earliest, latest = min(rows), max(rows)
    return EventTimes(count, earliest, latest, rows, outside)


class _FractionMs(dict[bytes, int]):
    """Caches the milliseconds of fractions."""

    MOST = 20_000

    def __missing__(self, fraction: bytes) -> int:
        if len(self) >= self.MOST:
            self.clear()
        ms = self[fraction] = fraction_ms(fraction)
        return ms


_fraction_ms = _FractionMs()


def _times_of_second(
    count: int, second: bytes, offset: bytes, fractions: Sequence[bytes], conversion: TimeConversion, received_ms: int
) -> EventTimes:
    """Returns the times of rows that share a second."""
    base, in_window = _second_or_reception(second, offset, conversion, received_ms)
    if not in_window:
        return EventTimes(count, base, base, outside=count if second not in (b"", NO_STAMP) else 0)
    if not fractions:
        return EventTimes(count, base, base)
    return EventTimes(count, base + fraction_ms(min(fractions)), base + fraction_ms(max(fractions)))


def times_from_sender(sender_times: Sequence[int], *, received_ms: int, window: Window) -> EventTimes:
    """Returns the event times that the sender gave outside the event text, one per row. Times outside the window are
    replaced by the reception time."""
    earliest, latest = window.bounds(received_ms)
    rows = [ms if earliest <= ms <= latest else received_ms for ms in sender_times]
    return EventTimes(len(rows), min(rows), max(rows), rows, sum(not earliest <= ms <= latest for ms in sender_times))


def _second_or_reception(
    second: bytes, offset: bytes, conversion: TimeConversion, received_ms: int
) -> tuple[int, bool]:
    """Returns the milliseconds of a second and True, or the reception time and False if the time is missing,
    unreadable or outside the window."""
    ms = conversion.reader.second_ms(second, offset, conversion.zone, received_ms) if second else None
    if ms is None or not conversion.window.holds(ms, received_ms):
        return received_ms, False
    return ms, True
