"""Groups one read's rows by time slot, in payload form and spool encoding: what one append takes.

Slots are aligned to the resolution, so that all events of one slot are within it. Most reads are one group: then no
row is looked at. Where the intake's endpoint has a time for each event there are no slots: each line has its time
before it. So it has where the times of a read are scattered.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from itertools import repeat
from operator import floordiv

from bridge import formats
from bridge.batching import encoding, payload
from bridge.batching.endpoints import ENDPOINTS
from bridge.batching.event_times import EventTimes, of_read, of_sender
from bridge.batching.groups import NO_TIME, Group, GroupLimits
from bridge.formats import LOOKED_AT, Format, FormatRule
from bridge.routing.disposition import Disposition
from bridge.syslog.fast.columns import Columns
from bridge.syslog.fast.precompiled_times import MANY_SECONDS, is_scattered
from bridge.syslog.timestamps import TimeReader

SHOWS_TIME = ("line", "rfc5424")

MOST_SAMPLED = 6
"Events of one read that are held against a format, and two more at most: the only sign that nobody will parse them."


@dataclass(slots=True)
class Grouped:
    """What became of one read's rows for one disposition."""

    groups: list[Group]
    converted: int = 0
    "Events that were no UTF-8."
    emptied: int = 0
    "Events that would have been empty, and were sent in another form."
    outside: int = 0
    "Events whose time was not believed."
    oversize: list[bytes] = field(default_factory=list)
    "Events above the limit: not in the groups."
    sampled: int = 0
    "Events that were held against the intake's format."
    mismatched: int = 0
    "Those of them that do not look like it."


def group(
    columns: Columns,
    disposition: Disposition,
    *,
    reader: TimeReader,
    received_ms: int,
    peer: bytes = b"-",
    listener: str = "",
    limits: GroupLimits,
    given: Sequence[int] | None = None,
) -> Grouped:
    """The groups of rows that all have one disposition of kind ``deliver``. ``columns`` must not be empty. ``given``:
    the rows' times as their sender told them beside the text, in milliseconds."""
    result = Grouped([])
    endpoint = ENDPOINTS[disposition.endpoint]
    spool_encoding = endpoint.encoding
    zone = disposition.zone or UTC
    shows_time = disposition.payload in SHOWS_TIME
    shown = sent = EventTimes(columns.count, received_ms, received_ms)
    of_format = formats.find(disposition.format) if disposition.format else None
    rule = of_format.rule if of_format and disposition.refined else None
    if (stamped := columns.timed) is not None:
        lines = encoding.escaped_lines(stamped.lines)
        if (
            rule is None
            and spool_encoding == encoding.LINES
            and _fit(lines, lambda: columns["text"], disposition.encoding, limits.event_bytes)
        ):
            sent = EventTimes(columns.count, stamped.earliest, stamped.latest)
            whole = _group(disposition, spool_encoding, sent, limits, columns.count, lines)
            return _add_timed(result, whole, columns, of_format)
        given = stamped.times()
    if given is not None:
        shown = of_sender(given, received_ms=received_ms, window=limits.window)
        result.outside = shown.outside
    elif disposition.timestamp == "event" or shows_time:
        shown = of_read(
            columns, reader=reader, zone=zone, received_ms=received_ms, window=limits.window,
            fine=limits.resolution_ms % 1000 != 0 or shows_time or endpoint.exact,
        )  # fmt: skip
        result.outside = shown.outside
    if disposition.timestamp == "event":
        sent = shown
    elif disposition.timestamp == "none":
        sent = EventTimes(columns.count, NO_TIME, NO_TIME)
    if (data := _in_one(columns, disposition, rule, sent, spool_encoding, limits)) is not None:
        result.groups.append(_group(disposition, spool_encoding, sent, limits, columns.count, data))
        if of_format is not None:
            _sample(_three_lines(data), of_format, result, as_lines=False)
        return result
    timed = endpoint.exact or _scattered(sent, limits.resolution_ms)
    if timed and (data := _woven(columns, disposition, rule, sent, spool_encoding, limits)) is not None:
        whole = _group(disposition, spool_encoding, sent, limits, columns.count, data)
        return _add_timed(result, whole, columns, of_format)
    making = payload.events if rule is None else partial(payload.refined, rule)
    events = making(
        disposition.payload, columns, times=shown.each() if shows_time else (), peer=peer,
        zone=zone, received_ms=received_ms,
        about={"listener": listener, "route": disposition.route, "intake": disposition.intake},
    )  # fmt: skip
    if columns.blank and disposition.payload in ("message", "content", "device", "structured"):
        events = _filled(events, columns.blank, result)
    for part, times in [(events, sent)] if timed else _slots(events, sent, limits.resolution_ms):
        if of_format is not None and result.sampled < MOST_SAMPLED:
            _sample(part, of_format, result, as_lines=spool_encoding == encoding.LINES)
        each = times.each() if timed else None
        data, count = _encoded(
            part, columns.holds_lf, disposition.encoding, spool_encoding, limits.event_bytes, result, each
        )
        if count:
            made = _group(disposition, spool_encoding, times, limits, count, data)
            made.timed = timed
            result.groups.append(made)
    return result


def _group(
    disposition: Disposition, spool_encoding: str, times: EventTimes, limits: GroupLimits, count: int, data: bytes
) -> Group:
    slot = times.earliest // limits.resolution_ms
    return Group(disposition.intake or "", spool_encoding, slot, times.earliest, times.latest, count, data)


def _in_one(
    columns: Columns,
    disposition: Disposition,
    rule: FormatRule | None,
    times: EventTimes,
    spool_encoding: str,
    limits: GroupLimits,
) -> bytes | None:
    """The lines of a read whose texts came as lines already, where they can go as they are, or edited as one."""
    if columns.lines is None or disposition.payload != "message" or spool_encoding != encoding.LINES:
        return None
    if rule is not None and rule.choices:
        return None
    if times.earliest // limits.resolution_ms != times.latest // limits.resolution_ms:
        return None
    lines = columns.lines if rule is None else rule.edited_block(b"\n" + columns.lines[:-1])[1:] + b"\n"
    data = encoding.escaped_lines(lines)
    return data if len(data) <= limits.event_bytes and _is_text(data, disposition.encoding) else None


def _woven(
    columns: Columns,
    disposition: Disposition,
    rule: FormatRule | None,
    times: EventTimes,
    spool_encoding: str,
    limits: GroupLimits,
) -> bytes | None:
    """The timed lines of a read that came woven already, where its texts can go as they are."""
    if columns.woven is None or rule is not None:
        return None
    if disposition.payload != "message" or spool_encoding != encoding.LINES:
        return None
    data = encoding.woven_timed_lines(columns.woven.copy(), times.each())
    return data if _fit(data, lambda: columns["text"], disposition.encoding, limits.event_bytes) else None


def _add_timed(result: Grouped, whole: Group, columns: Columns, of_format: Format | None) -> Grouped:
    """A read that is one timed group."""
    whole.timed = True
    result.groups.append(whole)
    if of_format is not None:
        _sample(columns["text"], of_format, result, as_lines=True)
    return result


def _fit(data: bytes, events: Callable[[], Sequence[bytes]], text_encoding: str, limit: int) -> bool:
    """Whether the lines of events can go as they are: each is text and not above the limit. Both are looked at once for
    all; ``events`` are asked for where that does not show it."""
    return (len(data) <= limit or max(map(len, events())) * 4 <= limit) and _is_text(data, text_encoding)


def _is_text(data: bytes, text_encoding: str) -> bool:
    """Whether all events are as they should be sent."""
    return text_encoding == "bytes" or data.isascii() or (text_encoding == "auto" and encoding.is_utf8(data))


def _filled(events: Sequence[bytes], blank: dict[int, bytes], result: Grouped) -> Sequence[bytes]:
    filled = list(events)
    for row, frame in blank.items():
        if not filled[row].strip(b" \t"):
            filled[row] = payload.instead_of_empty(frame)
            result.emptied += 1
    return filled


def _sample(events: Sequence[bytes], of_format: Format, result: Grouped, *, as_lines: bool) -> None:
    """Hold the first, the middle and the last event of a group against the intake's format, as they are delivered."""
    for row in {0, len(events) // 2, len(events) - 1}:
        result.sampled += 1
        event = events[row][:LOOKED_AT]
        result.mismatched += not of_format.fits(encoding.escaped(event.lstrip(b" \n")) if as_lines else event)


def _three_lines(data: bytes) -> list[bytes]:
    """The first line, one in the middle and the last; fewer where there are fewer."""
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1
    last = data.rfind(b"\n", 0, -1) + 1
    return [data[start : min(data.find(b"\n", start), start + LOOKED_AT)] for start in sorted({0, middle, last})]


def _scattered(times: EventTimes, resolution_ms: int) -> bool:
    """Whether a read's times lie so far apart that a group for each slot would be one for nearly each event: clocks at
    random, a relay that replays its day. Then each line has its time, and the courier sorts and cuts."""
    if times.rows is None or (times.latest - times.earliest) < MANY_SECONDS * resolution_ms:
        return False
    # Mostly a part of the rows shows it.
    for rows in (times.rows[: times.count // 4], times.rows):
        if is_scattered(len(set(map(floordiv, set(rows), repeat(resolution_ms)))), times.count):
            return True
    return False


def _slots(
    events: Sequence[bytes], times: EventTimes, resolution_ms: int
) -> Iterable[tuple[Sequence[bytes], EventTimes]]:
    """The events of each slot."""
    if times.earliest // resolution_ms == times.latest // resolution_ms:
        return [(events, times)]
    slots: dict[int, tuple[list[bytes], list[int]]] = {}
    for event, ms in zip(events, times.each(), strict=True):
        try:
            part = slots[ms // resolution_ms]
        except KeyError:
            part = slots[ms // resolution_ms] = ([], [])
        part[0].append(event)
        part[1].append(ms)
    return [(part, EventTimes(len(part), min(moments), max(moments))) for part, moments in slots.values()]


def _encoded(
    events: Sequence[bytes],
    holds_lf: bool,
    text_encoding: str,
    spool_encoding: str,
    limit: int,
    result: Grouped,
    times: Sequence[int] | None = None,
) -> tuple[bytes, int]:
    """The lines of a group and their number; events above the limit are left out of both. ``times``: before each."""
    if spool_encoding == encoding.LINES and not holds_lf:
        data = encoding.joined_lines(events) if times is None else encoding.joined_timed_lines(events, times)
        if _fit(data, lambda: events, text_encoding, limit):
            return data, len(events)
    lines = []
    to_line = encoding.escaped if spool_encoding == encoding.LINES else encoding.json_line
    for row, event in enumerate(events):
        text, converted = encoding.as_utf8(event, text_encoding)
        line = to_line(text)
        if len(line) > limit:
            result.oversize.append(event)
            continue
        result.converted += converted
        lines.append(line if times is None else b"%d\t%b" % (times[row], line))
    lines.append(b"")
    return b"\n".join(lines), len(lines) - 1
