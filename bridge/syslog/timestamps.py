"""Converts syslog timestamps (RFC 5424 section 6.2.3, RFC 3164 section 4.1.2, and ``time_formats.FORMATS``).

A timestamp has three parts. Within one second, most senders repeat the first part and change only the fraction:

``second``
    ``Nov 23 07:24:00`` (no year, no zone), ``2026-11-23T07:24:00``, or any other text of ``time_formats.FORMATS``
``fraction``
    ``.250`` or empty
``offset``
    ``Z``, ``+01:00``, ``CEST`` or empty. If it is empty or the name is unknown, the zone of the source is used

An ambiguous timestamp is read as the time nearest to reception. This covers a missing year (before and after New Year),
an hour that is repeated when daylight saving time ends, and an unknown order of day and month.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog.time_formats import Civil, civil
from bridge.syslog.time_zones import zone_of

MANY_SECONDS, FEW_A_SECOND = 16, 8
"The times of a read are scattered if it has more than 16 distinct seconds, and on average fewer than 8 events each."

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEAP_YEAR = datetime(2024, 7, 1, tzinfo=UTC)

# The end of a second's text -> milliseconds.
_HOURS = {b"%02d" % hour: 3_600_000 * hour for hour in range(24)}
_WITHIN_HOUR = {b":%02d:%02d" % divmod(second, 60): 1000 * second for second in range(3600)}
_ENDS_OF_DAY = (b"00:00:00", b"23:59:59")
_ENDS_APART_MS = 86_399_000


def moment(
    second: bytes, fraction: bytes = b"", offset: bytes = b"", *, zone: tzinfo, received: datetime
) -> datetime | None:
    """Converts a timestamp to an aware datetime, or None if it is not a valid time (``Feb 30``, ``25:00:00``).

    ``received`` is aware and resolves ambiguity. Fractions are kept to the microsecond. A leap second (``:60``) becomes
    the second before it, because POSIX time has no leap seconds.
    """
    zone_or_none = _zone(offset, zone)
    if zone_or_none is None:
        return None
    found = _nearest(_candidates(second, zone_or_none, received.year), received)
    return found.replace(microsecond=int(fraction[1:7].ljust(6, b"0"))) if found and fraction else found


def _zone(offset: bytes, zone: tzinfo) -> tzinfo | None:
    """Returns the zone of a time with this offset. ``zone`` applies if there is none, or a name that is unknown."""
    if not offset:
        return zone
    return zone_of(offset) or (zone if offset.isalpha() else None)


def _nearest(candidates: Iterable[datetime], received: datetime) -> datetime | None:
    """Returns the candidate nearest to reception, the first of two at the same distance."""
    # Both must be in UTC: the difference of two times in one zone ignores its clock changes.
    received = received.astimezone(UTC)
    best: datetime | None = None
    nearest = timedelta.max
    for candidate in candidates:
        try:
            distance = abs(candidate.astimezone(UTC) - received)
        except (ValueError, OverflowError):
            continue
        if best is None or distance < nearest:
            best, nearest = candidate, distance
    return best


def _candidates(second: bytes, zone: tzinfo, year: int) -> Iterator[datetime]:
    for reading in civil(second):
        if not isinstance(reading, Civil):
            yield _EPOCH + timedelta(seconds=reading.seconds)
            continue
        # The next 29 February is up to eight years away (1896-1904, 2096-2104).
        reach = 8 if (reading.month, reading.day) == (2, 29) else 1
        years = range(year - reach, year + reach + 1) if reading.year is None else (reading.year,)
        for candidate_year in years:
            for fold in (0, 1):
                try:
                    yield datetime(candidate_year, *reading[1:], tzinfo=zone, fold=fold)
                except ValueError:
                    break


@lru_cache(maxsize=20_000)
def is_time(second: bytes, offset: bytes = b"") -> bool:
    """Returns True if the text is a valid time in some year (``Feb 29`` is, ``Feb 30`` is not)."""
    day, clock_ms = _split_clock(second)
    valid = None if clock_ms is None else _is_day(day, offset)
    return _is_moment(second, offset) if valid is None else valid


@lru_cache(maxsize=20_000)
def _is_day(day: bytes, offset: bytes) -> bool | None:
    """Returns True if all times of a day are valid, False if none is, and None at the ends of the calendar."""
    first, last = (_is_moment(day + clock, offset) for clock in _ENDS_OF_DAY)
    return first if first is last else None


def _is_moment(second: bytes, offset: bytes) -> bool:
    return moment(second, offset=offset, zone=UTC, received=_LEAP_YEAR) is not None


def _split_clock(second: bytes) -> tuple[bytes, int | None]:
    """Splits a second's text into its date and its time of day, in milliseconds. Most formats end with the latter;
    None if it does not, or if it may be invalid."""
    hour, within_hour = _HOURS.get(second[-8:-6]), _WITHIN_HOUR.get(second[-6:])
    return second[:-8], None if hour is None or within_hour is None else hour + within_hour


def midnight_ms(day: bytes, offset: bytes = b"", *, zone: tzinfo, received: datetime) -> int | None:
    """Converts the beginning of a day (``Nov 23 ``, up to the time of day) to milliseconds since the epoch.

    Returns None if the times of the day are not simply as far from it as their clock says: there is no such day, the
    zone changes its clocks, or another year becomes the nearest to reception. Its times are then converted one by one.
    """
    zone_or_none = _zone(offset, zone)
    if zone_or_none is None:
        return None
    first, last = ([*_candidates(day + clock, zone_or_none, received.year)] for clock in _ENDS_OF_DAY)
    # With the same candidates at both ends, and the same of them nearest, this holds at each second between them.
    for begin, end in ((_nearest(first, received), _nearest(last, received)), *zip(first, last, strict=True)):
        if begin is None or end is None or milliseconds(end) - milliseconds(begin) != _ENDS_APART_MS:
            return None
    found = _nearest(first, received)
    return None if found is None else milliseconds(found)


def milliseconds(when: datetime) -> int:
    """Converts an aware datetime to milliseconds since 1970-01-01 UTC, rounded down."""
    return (when - _EPOCH) // _MILLISECOND


def fraction_ms(fraction: bytes) -> int:
    """Converts a fraction to whole milliseconds: ``.2501`` is 250."""
    return int(fraction[1:4].ljust(3, b"0")) if fraction else 0


def rfc3339(ms: int) -> str:
    """Formats milliseconds since the epoch as ``2026-11-23T07:24:00.250Z``, the form of X-SEKOIAIO-EVENT-TIMESTAMP."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def is_scattered(slots: int, events: int) -> bool:
    """Returns True if ``events`` events in ``slots`` timestamp slots would need a group for nearly every event."""
    return slots > MANY_SECONDS and events < slots * FEW_A_SECOND


class TimeReader:
    """Converts each distinct (second, offset, zone) once. A read of 300 messages has one or two of them.

    Senders with random clocks hardly repeat a second, so days are cached as well: a time of a known day is a sum. The
    results for texts without a year depend on the reception time, so the caches are cleared once per hour of reception
    time.
    """

    MAX_TEXTS = 20_000
    "Limit of cached texts, and of cached days. It bounds the memory when a thousand devices have random clocks."

    def __init__(self) -> None:
        self._known: dict[tuple[tzinfo, bytes], dict[bytes, int | None]] = {}
        "Milliseconds by text, by zone and offset. None: the text is not a valid time."
        self._count = 0
        self._midnights: dict[tuple[tzinfo, bytes, bytes], int | None] = {}
        "(zone, offset, day) -> ``midnight_ms``."
        self._hour = -1

    def second_ms(self, second: bytes, offset: bytes, zone: tzinfo, received_ms: int) -> int | None:
        """Converts one second to milliseconds since the epoch, or None if the text is not a valid time."""
        return self.all_ms((second,), offset, zone, received_ms)[0]

    def all_ms(self, seconds: Sequence[bytes], offset: bytes, zone: tzinfo, received_ms: int) -> list[int | None]:
        """Converts many seconds with one offset to milliseconds since the epoch, in order. None: not a valid time.

        A PRI may precede a second. A stamp has a fraction and an offset of its own (see ``columns.TimeColumns``).
        """
        hour = received_ms // 3_600_000
        if hour != self._hour:
            self._hour = hour
            self._midnights.clear()
            self._forget_seconds()
        elif self._count >= self.MAX_TEXTS:
            self._forget_seconds()
        known = self._known.setdefault((zone, offset), {})
        try:
            return list(map(known.__getitem__, seconds))
        except KeyError:
            # The difference of two sets would walk through all known seconds, for each read.
            unknown = {second for second in seconds if second not in known}
        received = _EPOCH + timedelta(milliseconds=received_ms)
        self._count += len(unknown)
        for text in unknown:
            second, fraction, own_offset = text.split(b"\t") if b"\t" in text else (text, b"", offset)
            ms = self._convert(second.rpartition(b">")[2], own_offset, zone, received)
            known[text] = ms if ms is None else ms + fraction_ms(fraction)
        return list(map(known.__getitem__, seconds))

    def _forget_seconds(self) -> None:
        self._count = 0
        self._known.clear()

    def _convert(self, second: bytes, offset: bytes, zone: tzinfo, received: datetime) -> int | None:
        day, clock_ms = _split_clock(second)
        if clock_ms is not None:
            key = zone, offset, day
            try:
                midnight = self._midnights[key]
            except KeyError:
                if len(self._midnights) >= self.MAX_TEXTS:
                    self._midnights.clear()
                midnight = self._midnights[key] = midnight_ms(day, offset, zone=zone, received=received)
            if midnight is not None:
                return midnight + clock_ms
        when = moment(second, offset=offset, zone=zone, received=received)
        return None if when is None else milliseconds(when)


@dataclass(frozen=True, slots=True)
class Window:
    """Allowed distance of an event time from reception, in milliseconds. None means no limit."""

    past_ms: int | None
    future_ms: int | None

    def holds(self, ms: int, received_ms: int) -> bool:
        """Returns True if an event time is within the window around this reception time."""
        earliest, latest = self.bounds(received_ms)
        return earliest <= ms <= latest

    def bounds(self, received_ms: int) -> tuple[float, float]:
        """Returns the earliest and the latest event time in the window."""
        earliest = -math.inf if self.past_ms is None else received_ms - self.past_ms
        return earliest, math.inf if self.future_ms is None else received_ms + self.future_ms


class TimeConversion(NamedTuple):
    """States how the times of a read are converted."""

    reader: TimeReader
    zone: tzinfo
    "Zone of times without zone."
    window: Window = Window(None, None)
    "Reads with a time outside are left to the caller to convert."
