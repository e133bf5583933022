"""Defines the timestamp formats. To add a format, add a row to ``FORMATS``.

The ``core`` and ``tail`` of a row form the text of the second. Fraction and zone are between them, or after the core:
``Nov 23 07:24:00`` ``.250`` ``CET`` ``2026``. ``scan`` splits a timestamp into second, fraction and zone. ``civil``
converts the second (core and tail), so that equal texts are converted once.

The fields of a pattern are named groups. ``convert`` interprets them and returns a list of ``Civil`` or ``Epoch``. The
list has more than one item if the text is ambiguous. The reading nearest to reception is then used.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bridge.syslog.time_zones import OFFSET, ZONE

MONTHS = {m: n for n, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}


class Civil(NamedTuple):
    """A date and a time of day. A ``year`` of None means the year nearest to reception."""

    year: int | None
    month: int
    day: int
    hour: int
    minute: int
    second: int


class Epoch(NamedTuple):
    """A time in seconds since 1970-01-01 UTC."""

    seconds: int


Groups = Mapping[str, bytes | None]
Reading = Civil | Epoch


def named_month(groups: Groups) -> list[Reading]:
    """Converts a date whose month is a name. The year may be missing."""
    year = groups.get("year")
    month = MONTHS.get((groups["month"] or b"").capitalize(), 0)
    return [Civil(int(year) if year else None, month, *_day_and_clock(groups))]


def numbers(groups: Groups) -> list[Reading]:
    """Converts a date in numbers whose order is known."""
    return [Civil(int(groups["year"] or 0), int(groups["month"] or 0), *_day_and_clock(groups))]


def either_order(groups: Groups) -> list[Reading]:
    """Converts a date in numbers whose day and month may be swapped. Returns both readings."""
    found = numbers(groups)
    swapped = dict(groups) | {"month": groups["day"], "day": groups["month"]}
    return found + numbers(swapped)


def epoch(groups: Groups) -> list[Reading]:
    """Converts seconds since 1970."""
    return [Epoch(int(groups["epoch"] or 0))]


def _day_and_clock(groups: Groups) -> tuple[int, int, int, int]:
    hour = int(groups["hour"] or 0)
    if half := groups.get("half"):
        # 12 AM is midnight, 12 PM is noon, 13 PM is invalid.
        hour = hour % 12 + (12 if half.upper() == b"PM" else 0) if 1 <= hour <= 12 else 99
    second = int(groups.get("second") or 0)
    # POSIX time has no leap seconds: a leap second is read as the second before it.
    return int(groups["day"] or 0), hour, int(groups["minute"] or 0), 59 if second == 60 else second


class TimeFormat(NamedTuple):
    """A timestamp format: one row of ``FORMATS``."""

    name: str
    core: bytes
    tail: bytes
    "Pattern of the text after fraction and zone, following a blank. b'' for none."
    convert: Callable[[Groups], list[Reading]]
    example: bytes
    example_utc: str
    "The example in UTC, if received on 23 November 2026 at 07:24:05 from a source in UTC."


_MONTH = rb"(?P<month>[A-Za-z]{3})"
_DAY = rb"(?P<day>[0-3]?[0-9])"
_YEAR = rb"(?P<year>(?:19|20)[0-9]{2})"
_CLOCK = rb"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_WEEKDAY = rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
_HALF = rb"(?P<half>[AP]M)(?![A-Za-z0-9_-])"
_N2 = rb"[0-9]{2}"

FORMATS = (
    # RFC 3164 section 4.1.2 and similar formats. ctime(3) puts the year last, date(1) puts the zone before it.
    TimeFormat("bsd-year-before-zone", _WEEKDAY + _MONTH + b" {1,2}" + _DAY + b" " + _CLOCK + b" " + _YEAR
           + rb"(?= )(?=" + ZONE + rb")", b"",
           named_month, b"Nov 23 08:24:00 2026 CET", "2026-11-23T07:24:00Z"),
    TimeFormat("bsd-year-after", _WEEKDAY + _MONTH + b" {1,2}" + _DAY + b" " + _CLOCK, _YEAR,
           named_month, b"Nov 23 07:24:00 2026", "2026-11-23T07:24:00Z"),
    TimeFormat("bsd-12-hours", _MONTH + b" {1,2}" + _DAY + b"(?:,? " + _YEAR + b")? " + _CLOCK + b" ?" + _HALF, b"",
           named_month, b"Nov 23 2026 07:24:00 PM.535 UTC", "2026-11-23T19:24:00.535Z"),
    TimeFormat("bsd-12-hours-fraction-first", _MONTH + b" {1,2}" + _DAY + b"(?:,? " + _YEAR + b")? " + _CLOCK, _HALF,
           named_month, b"Nov 23 2026 12:24:00.535 AM", "2026-11-23T00:24:00.535Z"),
    TimeFormat("bsd-year-before", _WEEKDAY + _MONTH + b" {1,2}" + _DAY + b",? " + _YEAR + b" " + _CLOCK, b"",
           named_month, b"Nov 23 2026 08:24:00.25 CET", "2026-11-23T07:24:00.25Z"),
    TimeFormat("bsd", _WEEKDAY + _MONTH + b" {1,2}" + _DAY + b" " + _CLOCK, b"",
           named_month, b"Nov  3 07:24:00", "2026-11-03T07:24:00Z"),
    # NX-OS
    TimeFormat("bsd-year-first", _YEAR + b" " + _MONTH + b" {1,2}" + _DAY + b" " + _CLOCK, b"",
           named_month, b"2026 Nov 23 00:24:00 PDT", "2026-11-23T07:24:00Z"),
    # RFC 2822, and named(8) with dashes
    TimeFormat("day-first", _WEEKDAY + _DAY + b"[ -]" + _MONTH + b"[ -]" + _YEAR + b" " + _CLOCK, b"",
           named_month, b"23-Nov-2026 07:24:00.205", "2026-11-23T07:24:00.205Z"),
    # RFC 3339, also with a blank instead of the T
    TimeFormat("iso", rb"(?P<year>[0-9]{4})-(?P<month>%b)-(?P<day>%b)[Tt ](?P<hour>%b):(?P<minute>%b):(?P<second>%b)"
           % ((_N2,) * 5), b"",
           numbers, b"2026-11-23T08:24:00.123456789+01:00", "2026-11-23T07:24:00.123456Z"),
    # Huawei
    TimeFormat("iso-unpadded", rb"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})[Tt ]" + _CLOCK, b"",
           numbers, b"2026-11-3 07:24:00.270", "2026-11-03T07:24:00.27Z"),
    TimeFormat("iso-minutes", rb"(?P<year>[0-9]{4})-(?P<month>%b)-(?P<day>%b)T(?P<hour>%b):(?P<minute>%b)"
           % ((_N2,) * 4), b"", numbers, b"2026-11-23T07:24Z", "2026-11-23T07:24:00Z"),
    TimeFormat("iso-basic", _YEAR + rb"(?P<month>%b)(?P<day>%b)T(?P<hour>%b)(?P<minute>%b)(?P<second>%b)"
           % ((_N2,) * 5), b"", numbers, b"20261123T072400Z", "2026-11-23T07:24:00Z"),
    # Windows
    TimeFormat("slashes-12-hours", rb"(?P<day>[0-3]?[0-9])/(?P<month>[0-3]?[0-9])/" + _YEAR + rb",? " + _CLOCK + b" ?"
           + _HALF, b"",
           either_order, b"11/23/2026 7:24:00 PM", "2026-11-23T19:24:00Z"),
    # NetScaler writes all three orders
    TimeFormat("slashes", rb"(?P<day>%b)/(?P<month>%b)/" % (_N2, _N2) + _YEAR + rb"[: ]" + _CLOCK, b"",
           either_order, b"11/23/2026:07:24:00 GMT", "2026-11-23T07:24:00Z"),
    TimeFormat("slashes-year-first", _YEAR + rb"/(?P<month>%b)/(?P<day>%b)[: ]" % (_N2, _N2) + _CLOCK, b"",
           numbers, b"2026/11/23:07:24:00 GMT", "2026-11-23T07:24:00Z"),
    # Web servers
    TimeFormat("slashes-named", rb"(?P<day>%b)/" % _N2 + _MONTH + b"/" + _YEAR + b":" + _CLOCK, b"",
           named_month, b"23/Nov/2026:08:24:00 +0100", "2026-11-23T07:24:00Z"),
    # Sophos UTM
    TimeFormat("colons", _YEAR + rb":(?P<month>%b):(?P<day>%b)-" % (_N2, _N2) + _CLOCK, b"",
           numbers, b"2026:11:23-07:24:00", "2026-11-23T07:24:00Z"),
    # Meraki
    TimeFormat("epoch", rb"(?P<epoch>[0-9]{9,10})(?=\.|\Z)", b"",
           epoch, b"1795418640.795119971", "2026-11-23T07:24:00.795119Z"),
)  # fmt: skip

# Digits beyond the microsecond are ignored.
FRACTION = rb"[.,][0-9]++"


class Stamp(NamedTuple):
    """A timestamp found in a text: its parts, its end position, and the name of its format."""

    second: bytes
    fraction: bytes
    "Begins with a point, also if the sender wrote a comma or a colon."
    offset: bytes
    "Offset or zone name."
    end: int
    format: str


# An unknown name counts as a zone only if a year follows it.
# Seconds since 1970 have no zone.
_OF_EPOCH = rb"(?P<f%b>" + FRACTION + rb")?(?P<z%b>(?!))?"
# Huawei appends a counter to the fraction: `.270.1`.
_BETWEEN = rb"(?:(?P<f%b>" + FRACTION + rb")(?:\.[0-9]{1,3}(?=[ +-]))?)?(?P<z%b>" + ZONE + rb")?"
# Comware writes a colon before the milliseconds: `07:24:00:270 2026`.
_BEFORE_YEAR = rb"(?P<f%b>" + FRACTION + rb"|:[0-9]{3}(?= ))?(?P<z%b> (?:[A-Z]{1,5}|" + OFFSET + rb"))?"
_NAMED = re.compile(rb"\(\?P<\w+>")
# A blank, followed by nothing that could belong to the time.
_NO_TIME_FOLLOWS = rb" (?!(?:GMT|UTC)-|[AP]M|[A-Z]{1,5}(?![A-Za-z0-9_/.-])|[0-9]{4}|[ +-]|[A-Za-z]{3,5} ?:)"
BLANK_ENDS_TIME = b"(?=" + _NO_TIME_FOLLOWS + b")"
# The most common format. It is in the table as well; this expression is only faster.
PLAIN = rb"[A-Z][a-z]{2} [ 0-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}(?=" + _NO_TIME_FOLLOWS + rb"|: )"
_PLAIN = re.compile(PLAIN)


class _Scanner(NamedTuple):
    """Combines several formats into one expression."""

    expression: re.Pattern[bytes]
    groups: Mapping[str, tuple[str, int, int, int, int]]
    "Name of the empty group at a row's end -> format name and group numbers of core, fraction, zone and tail."


def pattern_of(row: TimeFormat, name: bytes = b"") -> bytes:
    """Returns the pattern of a whole timestamp.

    The groups ``c``, ``f``, ``z`` and ``t`` are core, fraction, zone and tail. ``name`` is appended to each group name.
    """
    tail = rb" (?P<t%b>%b)(?![0-9A-Za-z._-]|:\S)" % (name, _NAMED.sub(b"(?:", row.tail)) if row.tail else b""
    between = _BEFORE_YEAR if row.tail == _YEAR else _OF_EPOCH if row.convert is epoch else _BETWEEN
    return b"(?P<c%b>%b)%b%b" % (name, _NAMED.sub(b"(?:", row.core), between % (name, name), tail)


def _scanner(formats: list[tuple[int, TimeFormat]]) -> _Scanner:
    rows = [pattern_of(row, b"%d" % i) + b"(?P<_%d>)" % i for i, row in formats]
    expression = re.compile(b"|".join(rows))
    at = expression.groupindex
    return _Scanner(
        expression,
        {f"_{i}": (row.name, at[f"c{i}"], at[f"f{i}"], at[f"z{i}"], at.get(f"t{i}", 0)) for i, row in formats},
    )


# day-first is here as well as below: a weekday may precede the day.
LETTER_FIRST = [row for row in FORMATS if not row.example[:1].isdigit() or row.name == "day-first"]
DIGIT_FIRST = [row for row in FORMATS if row.example[:1].isdigit()]
_LETTER_FIRST = _scanner(list(enumerate(LETTER_FIRST)))
_DIGIT_FIRST = _scanner(list(enumerate(DIGIT_FIRST)))
_CONVERSIONS = [(re.compile(row.core + (b" " + row.tail if row.tail else b"")), row.convert) for row in FORMATS]


def scan(text: bytes, at: int = 0) -> Stamp | None:
    """Finds the timestamp that begins at ``at``. Does not check that it is a valid time (``Feb 30`` is not)."""
    if match := _PLAIN.match(text, at):
        return Stamp(match[0], b"", b"", match.end(), "bsd")
    return scan_table(text, at)


def scan_table(text: bytes, at: int) -> Stamp | None:
    """Finds the timestamp that begins at ``at``, with the table alone."""
    scanner = _DIGIT_FIRST if text[at : at + 1].isdigit() else _LETTER_FIRST
    match = scanner.expression.match(text, at)
    if match is None:
        return None
    assert match.lastgroup is not None
    name, core, fraction, offset, tail = scanner.groups[match.lastgroup]
    second, fraction_text, zone = match.group(core, fraction, offset)
    if tail:
        second += b" " + match[tail]
    return Stamp(
        second, b"." + fraction_text[1:] if fraction_text else b"", zone.lstrip(b" ") if zone else b"",
        match.end(), name,
    )  # fmt: skip


def civil(second: bytes) -> list[Reading]:
    """Returns the possible readings of a second's text. The list is empty if no format matches."""
    for pattern, convert in _CONVERSIONS:
        if match := pattern.fullmatch(second):
            return convert(match.groupdict())
    return []
