"""Syslog time texts to moments (RFC 5424 section 6.2.3, RFC 3164 section 4.1.2).

A time text comes in three parts, because most senders repeat the first within a second and only the second differs:

``second``
    ``Nov 23 07:24:00`` (no year, no zone) or ``2026-11-23T07:24:00``
``fraction``
    ``.250`` or nothing
``offset``
    ``Z``, ``+01:00`` or nothing: then the zone of the source counts

A year that is missing is the one that brings the moment nearest to reception, so that New Year works both ways; an
hour that the clocks repeat in autumn is read the same way.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

MONTHS = {m: n for n, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}

_BSD = re.compile(rb"([A-Za-z]{3}) {1,2}([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_ISO = re.compile(rb"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})")
_OFFSET = re.compile(rb"([+-])([0-9]{2}):?([0-9]{2})")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def moment(
    second: bytes, fraction: bytes = b"", offset: bytes = b"", *, zone: tzinfo, received: datetime
) -> datetime | None:
    """The aware moment that a time text names, or None where it names none (``Feb 30``, ``25:00:00``).

    ``received`` is aware; it decides a missing year and the repeated hour. Fractions keep microseconds. A leap second
    (``:60``) is the second before it, as POSIX time has no place for it.
    """
    if offset:
        given = zone_of(offset)
        if given is None:
            return None
        zone = given
    if match := _ISO.fullmatch(second):
        years = range(int(match[1]), int(match[1]) + 1)
        month, (day, hour, minute, seconds) = int(match[2]), map(int, match.group(3, 4, 5, 6))
    elif match := _BSD.fullmatch(second):
        month, (day, hour, minute, seconds) = MONTHS.get(match[1].capitalize(), 0), map(int, match.group(2, 3, 4, 5))
        # 29 February is up to eight years away (1896-1904, 2096-2104).
        reach = 8 if (month, day) == (2, 29) else 1
        years = range(received.year - reach, received.year + reach + 1)
    else:
        return None
    seconds = 59 if seconds == 60 else seconds
    microsecond = int(fraction[1:7].ljust(6, b"0")) if fraction else 0
    best: datetime | None = None
    for year in years:
        for fold in (0, 1):
            try:
                candidate = datetime(year, month, day, hour, minute, seconds, microsecond, tzinfo=zone, fold=fold)
                # Both must be UTC here: the difference of two times in one zone ignores its clock changes.
                distance = abs(candidate.astimezone(UTC) - received.astimezone(UTC))
            except (ValueError, OverflowError):
                continue
            if best is None or distance < abs(best.astimezone(UTC) - received.astimezone(UTC)):
                best = candidate
    return best


def zone_of(offset: bytes) -> tzinfo | None:
    """The zone of ``Z`` or ``+01:00``; None where the offset is out of range."""
    if offset in (b"Z", b"z"):
        return UTC
    match = _OFFSET.fullmatch(offset)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    delta = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-delta if match[1] == b"-" else delta)


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
        self._known: dict[tuple[bytes, bytes, tzinfo], int | None] = {}
        self._hour = -1

    def second_ms(self, second: bytes, offset: bytes, zone: tzinfo, received_ms: int) -> int | None:
        """Milliseconds since the epoch of a whole second, or None where the text is no time."""
        hour = received_ms // 3_600_000
        if hour != self._hour or len(self._known) >= self.MOST:
            self._hour = hour
            self._known.clear()
        key = (second, offset, zone)
        try:
            return self._known[key]
        except KeyError:
            received = _EPOCH + timedelta(milliseconds=received_ms)
            when = moment(second, offset=offset, zone=zone, received=received)
            self._known[key] = answer = None if when is None else milliseconds(when)
            return answer
