"""Syslog time texts to moments (RFC 5424 section 6.2.3, RFC 3164 section 4.1.2, and ``times.FORMATS``).

A time text comes in three parts, because most senders repeat the first within a second and only the second differs:

``second``
    ``Nov 23 07:24:00`` (no year, no zone), ``2026-11-23T07:24:00``, or any other text of ``times.FORMATS``
``fraction``
    ``.250`` or nothing
``offset``
    ``Z``, ``+01:00``, ``CEST`` or nothing: then the zone of the source counts, and so it does where the name is unknown

A year that is missing is the one that brings the moment nearest to reception, so that New Year works both ways; an
hour that the clocks repeat in autumn is read the same way, and so is a day and month of unknown order.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from bridge.syslog.time_formats import MONTHS, Civil, civil
from bridge.syslog.time_zones import zone_of

__all__ = ["MONTHS", "TimeReader", "fraction_ms", "is_time", "milliseconds", "moment", "rfc3339", "zone_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEAP_YEAR = datetime(2024, 7, 1, tzinfo=UTC)


def moment(
    second: bytes, fraction: bytes = b"", offset: bytes = b"", *, zone: tzinfo, received: datetime
) -> datetime | None:
    """The aware moment that a time text names, or None where it names none (``Feb 30``, ``25:00:00``).

    ``received`` is aware; it decides what the text leaves open. Fractions keep microseconds. A leap second (``:60``) is
    the second before it, as POSIX time has no place for it.
    """
    if offset:
        given = zone_of(offset)
        if given is None and not offset.isalpha():
            return None
        zone = given or zone
    microsecond = int(fraction[1:7].ljust(6, b"0")) if fraction else 0
    best: datetime | None = None
    nearest = timedelta.max
    for candidate in _candidates(second, zone, received.year):
        try:
            # Both must be UTC here: the difference of two times in one zone ignores its clock changes.
            distance = abs(candidate.astimezone(UTC) - received.astimezone(UTC))
        except (ValueError, OverflowError):
            continue
        if best is None or distance < nearest:
            best, nearest = candidate.replace(microsecond=microsecond), distance
    return best


def _candidates(second: bytes, zone: tzinfo, year: int) -> Iterator[datetime]:
    for reading in civil(second):
        if not isinstance(reading, Civil):
            yield _EPOCH + timedelta(seconds=reading.seconds)
            continue
        # 29 February is up to eight years away (1896-1904, 2096-2104).
        reach = 8 if (reading.month, reading.day) == (2, 29) else 1
        years = range(year - reach, year + reach + 1) if reading.year is None else (reading.year,)
        for some in years:
            for fold in (0, 1):
                try:
                    yield datetime(some, *reading[1:], tzinfo=zone, fold=fold)
                except ValueError:
                    break


@lru_cache(maxsize=20_000)
def is_time(second: bytes, offset: bytes = b"") -> bool:
    """Whether the text names a moment in some year (``Feb 29`` does, ``Feb 30`` does not)."""
    return moment(second, offset=offset, zone=UTC, received=_LEAP_YEAR) is not None


def milliseconds(when: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC, rounded down."""
    return (when - _EPOCH) // _MILLISECOND


def fraction_ms(fraction: bytes) -> int:
    """``.2501`` as whole milliseconds (250)."""
    return int(fraction[1:4].ljust(3, b"0")) if fraction else 0


def rfc3339(ms: int) -> str:
    """Milliseconds since the epoch as ``2026-11-23T07:24:00.250Z``, the form of X-SEKOIAIO-EVENT-TIMESTAMP."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


class TimeReader:
    """Converts each distinct (second, offset, zone) once; a read of 300 messages has one or two.

    The answers for texts without a year depend on reception, so they are forgotten once an hour of reception time.
    """

    MOST = 20_000
    "Distinct texts kept; a thousand random clocks must not grow the memory."

    def __init__(self) -> None:
        self._known: dict[tuple[tzinfo, bytes], dict[bytes, int]] = {}
        self._strange: set[tuple[tzinfo, bytes, bytes]] = set()
        "Zone, offset and second that are no time."
        self._count = 0
        self._hour = -1

    def second_ms(self, second: bytes, offset: bytes, zone: tzinfo, received_ms: int) -> int | None:
        """Milliseconds since the epoch of a whole second, or None where the text is no time."""
        found = self.all_ms((second,), offset, zone, received_ms)
        return None if found is None else found[0]

    def all_ms(self, seconds: Sequence[bytes], offset: bytes, zone: tzinfo, received_ms: int) -> list[int] | None:
        """The same of many seconds with one offset, in their order; None where any of the texts is no time. A PRI may
        stand before a second."""
        hour = received_ms // 3_600_000
        if hour != self._hour or self._count >= self.MOST:
            self._hour, self._count = hour, 0
            self._known.clear()
            self._strange.clear()
        known = self._known.setdefault((zone, offset), {})
        try:
            return list(map(known.__getitem__, seconds))
        except KeyError:
            fresh = set(seconds) - known.keys()
        received = _EPOCH + timedelta(milliseconds=received_ms)
        for second in fresh:
            if (zone, offset, second) in self._strange:
                return None
            self._count += 1
            _, pri, bare = second.rpartition(b">")
            if pri and bare in known:
                known[second] = known[bare]
                continue
            when = moment(bare, offset=offset, zone=zone, received=received)
            if when is None:
                self._strange.add((zone, offset, second))
                return None
            known[second] = known[bare] = milliseconds(when)
        return list(map(known.__getitem__, seconds))
