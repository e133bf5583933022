"""Finds the rule that gave the timestamp of a frame."""

import re
from datetime import UTC, datetime, timedelta

from bridge.explain.field_rule import FieldRule, Reception
from bridge.explain.shape_rules import SHAPE_RULES, Reason
from bridge.syslog.grammar import Header
from bridge.syslog.time_formats import FORMATS, Civil, Stamp, civil, scan
from bridge.syslog.time_zones import zone_of
from bridge.syslog.timestamps import is_time

LAYOUTS = {
    "bsd-year-before-zone": "the layout 'Mmm d hh:mm:ss yyyy ZONE'",
    "bsd-year-after": "the layout 'Mmm d hh:mm:ss yyyy'",
    "bsd-12-hours": "the layout 'Mmm d yyyy hh:mm:ss AM'",
    "bsd-12-hours-fraction-first": "the layout 'Mmm d yyyy hh:mm:ss.fff AM'",
    "bsd-year-before": "the layout 'Mmm d yyyy hh:mm:ss'",
    "bsd": "the layout 'Mmm d hh:mm:ss'",
    "bsd-year-first": "the layout 'yyyy Mmm d hh:mm:ss'",
    "day-first": "the layout 'd Mmm yyyy hh:mm:ss'",
    "iso": "the layout of RFC 3339",
    "iso-unpadded": "the layout of RFC 3339, with numbers of one digit",
    "iso-minutes": "the layout of RFC 3339, without seconds",
    "iso-basic": "the basic layout of ISO 8601, 'yyyymmddThhmmss'",
    "slashes-12-hours": "numbers with slashes, day and month in any order, and AM or PM",
    "slashes": "numbers with slashes, day and month in any order, the year last",
    "slashes-year-first": "the layout 'yyyy/mm/dd hh:mm:ss'",
    "slashes-named": "the layout 'dd/Mmm/yyyy:hh:mm:ss'",
    "colons": "the layout 'yyyy:mm:dd-hh:mm:ss'",
    "epoch": "seconds since 1970",
}
"What the operator calls the formats of ``time_formats.FORMATS``."

_PLAIN_3164 = re.compile(rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (?: [1-9]|[12][0-9]|3[01]) [0-9:]{8}")
_PLAIN_5424 = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
_PLAIN_FRACTION = re.compile(rb"(?:\.[0-9]{1,6})?")
_PLAIN_OFFSET = re.compile(rb"Z|[+-][0-9]{2}:[0-9]{2}")
_SECONDS = [(row.name, re.compile(row.core + (b" " + row.tail if row.tail else b""))) for row in FORMATS]
_UPTIME = re.compile(rb"(?:[0-9]++[ywdhms]){1,5}: |[0-9]{1,3}:[0-9]{2}:[0-9]{2}: ")
_UPTIME_WITHIN = 200
_COUNTER = re.compile(rb"[0-9]++: ")
_BEFORE_TIME = re.compile(rb"(?:1 ++)?(?:[0-9]*+: )?[ *.]*+")
_UTC_NAMES = (b"Z", b"z", b"UTC", b"GMT")


def rule_of(header: Header, before: bytes, when: datetime | None, reception: Reception) -> FieldRule:
    """Returns the rule of the timestamp ``when``. ``before``: the frame up to the payload form ``device``."""
    if not header.second or when is None:
        return _without_time(header)
    layout = _layout(header.second)
    reason = _reason(header, before, layout)
    remarks = _remarks(header)
    plain = not remarks and (_is_plain_5424(header) if header.format == "rfc5424" else _is_plain_3164(header))
    outside, doubtful = _outside(header, when, reception)
    if plain and reason.decision in (5, 8):
        return FieldRule(reason.decision, layout, reason.text, doubtful, outside)
    return FieldRule(reason.decision, layout, "; ".join((reason.text, *remarks)), True, outside)


def _without_time(header: Header) -> FieldRule:
    outside = {"time": "of reception"}
    device = header.device
    if header.format == "rfc5424" and not header.second:
        return FieldRule(5, header.shape, "the header says - for an unknown time", outside=outside)
    if header.second:
        text = "the time is at an end of the calendar and cannot be used"
    elif header.shape == "none" and not time_at_begin(device):
        return FieldRule(1, "none", "no header could be read", True, outside)
    elif time_at_begin(device):
        text = "the text begins like a time, but is not a valid one"
    elif header.shape.startswith("cisco") and _UPTIME.search(device, 0, _UPTIME_WITHIN):
        text = "an uptime is not a time; set 'service timestamps log datetime'"
    else:
        text = "the header has no time that can be read"
    return FieldRule(8, header.shape, text, True, outside)


def time_at_begin(device: bytes) -> Stamp | None:
    """Returns the text that looks like a time at the beginning of a device's text."""
    begin = _BEFORE_TIME.match(device)
    return scan(device, begin.end() if begin else 0)


def _layout(second: bytes) -> str:
    """Returns the name of the format that converts a second's text: the first that matches, as in ``civil``."""
    return next((name for name, pattern in _SECONDS if pattern.fullmatch(second)), "")


def zone_shown(header: Header, configured: str) -> str:
    """Returns the zone of the timestamp and its origin, or "" if there is no timestamp.

    ``configured``: the zone of times that have none, and the setting that gives it.
    """
    if not header.second:
        return ""
    if _layout(header.second) == "epoch":
        return "UTC, as the time is in seconds since 1970"
    if not header.offset:
        return configured
    if zone_of(header.offset) is None:
        return f"{configured}, as {_text(header.offset)} in the message is unknown"
    return f"{_text(header.offset)}, in the message"


def _reason(header: Header, before: bytes, layout: str) -> Reason:
    text = LAYOUTS.get(layout, layout)
    if layout == "iso" and header.second[10:11] == b" ":
        text += ", with a blank instead of the T"
    special = SHAPE_RULES[header.shape].timestamp if header.shape in SHAPE_RULES else None
    first = time_at_begin(header.device)
    if special:
        return special._replace(text=f"{special.text}; {text}")
    if first and is_time(first.second, first.offset) and first[:3] != (header.second, header.fraction, header.offset):
        return Reason(17, f"the device's time, after the relay's; {text}")
    if header.format == "rfc5424":
        return Reason(5, "the TIMESTAMP of RFC 5424")
    if header.device.startswith(b"1 "):
        return Reason(20, f"{text}; the 1 before it is dropped, as the header is not RFC 5424")
    if _COUNTER.search(before) and header.shape != "kiwi":
        return Reason(9, f"{text}, after a message counter that is dropped")
    return Reason(8, "the TIMESTAMP of RFC 3164" if _is_plain_3164(header) else text)


def _is_plain_3164(header: Header) -> bool:
    """Returns True if the time is that of RFC 3164, directly after the PRI."""
    return (
        _PLAIN_3164.fullmatch(header.second) is not None
        and not header.fraction
        and not header.offset
        and header.device.startswith(header.second)
    )


def _is_plain_5424(header: Header) -> bool:
    return all(
        pattern.fullmatch(part)
        for pattern, part in (
            (_PLAIN_5424, header.second), (_PLAIN_FRACTION, header.fraction), (_PLAIN_OFFSET, header.offset),
        )
    ) and header.second + b"," not in header.device  # fmt: skip


def _remarks(header: Header) -> list[str]:
    """Returns what is unusual in the time: the mark of a wrong clock, a leap second, digits that are not kept."""
    found = []
    if header.shape.startswith("cisco") and (mark := _clock_mark(header)):
        found.append(f"the device marks its clock as not synchronised ({mark})")
    if b":60" in header.second[-8:]:
        found.append("a leap second is read as the second before it")
    if len(header.fraction) > 7:
        found.append("digits beyond the microsecond are ignored")
    if header.format == "rfc5424" and header.second + b"," in header.device:
        found.append("a comma before the fraction")
    return found


def _clock_mark(header: Header) -> str:
    clock = header.second[:12]
    for mark in (b"*", b"."):
        if mark + clock in header.device:
            return mark.decode()
    return ""


def _outside(header: Header, when: datetime, reception: Reception) -> tuple[dict[str, str], bool]:
    """Returns the parts of the time that are not in the frame, and True if one of them may well be wrong."""
    valid = [one for one in civil(header.second) if not isinstance(one, Civil) or _is_date(one)]
    if not valid or not isinstance(valid[0], Civil):
        return {}, False
    found, doubtful = {}, False
    if valid[0].year is None:
        found["year"] = f"{when.year}, nearest to reception"
        doubtful = when.year != reception.received.astimezone(when.tzinfo).year
    if len(set(valid)) > 1:
        found["order"] = "of day and month, nearest to reception"
        doubtful = True
    known = zone_of(header.offset) if header.offset else None
    if not header.offset:
        found["zone"] = reception.zone
    elif known is None:
        found["zone"] = f"{reception.zone}, as {_text(header.offset)} is unknown"
        doubtful = True
    elif header.offset[:1].isalpha() and header.offset[:3] not in _UTC_NAMES:
        offset = datetime(2000, 1, 1, tzinfo=known).isoformat()[-6:]
        found["offset"] = f"{offset}, by a table of abbreviations ({_text(header.offset)})"
    if (not header.offset or known is None) and _is_repeated(when):
        found["hour"] = "of summer or winter time, nearest to reception"
        doubtful = True
    return found, doubtful


def _is_date(civil_time: Civil) -> bool:
    try:
        datetime(civil_time.year or 2024, *civil_time[1:], tzinfo=UTC)
    except ValueError:
        return False
    return True


def _is_repeated(when: datetime) -> bool:
    """Returns True if the local time exists twice, because daylight saving time ends."""
    try:
        first, second = when.replace(fold=0).utcoffset(), when.replace(fold=1).utcoffset()
    except (ValueError, OverflowError):
        return False
    return first is not None and second is not None and first - second > timedelta(0)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
