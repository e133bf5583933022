"""Groups the rows of one read by time slot and encodes each group for one append to the spool.

Slots are aligned to the timestamp resolution, so that all events of a slot lie within it. Most reads form a single
group and are handled as a block, without a loop over rows. No slots are used if the intake's endpoint sends a time
with each event, or if the times of a read are scattered. Each line then carries its own time.
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
from bridge.batching.event_times import EventTimes, times_from_headers, times_from_sender
from bridge.batching.groups import NO_TIME, Group, GroupLimits
from bridge.formats import MAX_EXAMINED, Format, FormatRule
from bridge.routing.disposition import Disposition
from bridge.syslog.fast.columns import Columns
from bridge.syslog.fast.precompiled_times import MANY_SECONDS, is_scattered
from bridge.syslog.timestamps import TimeReader

SHOWS_TIME = ("line", "rfc5424")

MOST_SAMPLED = 6
"""Maximum number of events of one read that are compared with the intake's format, exceeded by at most two. A
mismatch is the only sign that the intake will not parse the events."""


@dataclass(slots=True)
class Grouped:
    """Groups of one read's rows for one disposition, and counts of what was changed."""

    groups: list[Group]
    converted: int = 0
    "Events that were not UTF-8 and were converted."
    emptied: int = 0
    "Events that would have been empty and were sent in another form."
    outside: int = 0
    "Events whose time was out of range and was replaced by the reception time."
    oversize: list[bytes] = field(default_factory=list)
    "Events above the size limit. They are in no group."
    sampled: int = 0
    "Events that were compared with the intake's format."
    mismatched: int = 0
    "Sampled events that do not match the intake's format."


def group(
    columns: Columns,
    disposition: Disposition,
    *,
    reader: TimeReader,
    received_ms: int,
    peer: bytes = b"-",
    listener: str = "",
    limits: GroupLimits,
    sender_times: Sequence[int] | None = None,
) -> Grouped:
    """Groups rows that share one disposition of kind ``deliver``. ``columns`` must not be empty. ``sender_times``
    are event times that the sender gave outside the event text, in milliseconds, one per row."""
    result = Grouped([])
    endpoint = ENDPOINTS[disposition.endpoint]
    spool_encoding = endpoint.encoding
    zone = disposition.zone or UTC
    shows_time = disposition.payload in SHOWS_TIME
    shown = sent = EventTimes(columns.count, received_ms, received_ms)
    format_ = formats.find(disposition.format) if disposition.format else None
    rule = format_.rule if format_ and disposition.refined else None
    if (stamped := columns.timed) is not None:
        lines = encoding.escaped_lines(stamped.lines)
        if (
            rule is None
            and spool_encoding == encoding.LINES
            and _fit(lines, lambda: columns["text"], disposition.encoding, limits.event_bytes)
        ):
            sent = EventTimes(columns.count, stamped.earliest, stamped.latest)
            timed_group = _group(disposition, spool_encoding, sent, limits, columns.count, lines)
            return _add_timed(result, timed_group, columns, format_)
        sender_times = stamped.times()
    if sender_times is not None:
        shown = times_from_sender(sender_times, received_ms=received_ms, window=limits.window)
        result.outside = shown.outside
    elif disposition.timestamp == "event" or shows_time:
        shown = times_from_headers(
            columns, reader=reader, zone=zone, received_ms=received_ms, window=limits.window,
            fine=limits.resolution_ms % 1000 != 0 or shows_time or endpoint.exact,
        )  # fmt: skip
        result.outside = shown.outside
    if disposition.timestamp == "event":
        sent = shown
    elif disposition.timestamp == "none":
        sent = EventTimes(columns.count, NO_TIME, NO_TIME)
    if (data := _block_lines(columns, disposition, rule, sent, spool_encoding, limits)) is not None:
        result.groups.append(_group(disposition, spool_encoding, sent, limits, columns.count, data))
        if format_ is not None:
            _sample(_three_lines(data), format_, result, as_lines=False)
        return result
    timed = endpoint.exact or _scattered(sent, limits.resolution_ms)
    if timed and (data := _interleaved(columns, disposition, rule, sent, spool_encoding, limits)) is not None:
        timed_group = _group(disposition, spool_encoding, sent, limits, columns.count, data)
        return _add_timed(result, timed_group, columns, format_)
    make_events = payload.events if rule is None else partial(payload.refined_events, rule)
    events = make_events(
        disposition.payload, columns, times=shown.each() if shows_time else (), peer=peer,
        zone=zone, received_ms=received_ms,
        extra_fields={"listener": listener, "route": disposition.route, "intake": disposition.intake},
    )  # fmt: skip
    if columns.blank and disposition.payload in ("message", "content", "device", "structured"):
        events = _replace_empty(events, columns.blank, result)
    for part, times in [(events, sent)] if timed else _slots(events, sent, limits.resolution_ms):
        if format_ is not None and result.sampled < MOST_SAMPLED:
            _sample(part, format_, result, as_lines=spool_encoding == encoding.LINES)
        each = times.each() if timed else None
        data, count = _encoded(
            part, columns.holds_lf, disposition.encoding, spool_encoding, limits.event_bytes, result, each
        )
        if count:
            new_group = _group(disposition, spool_encoding, times, limits, count, data)
            new_group.timed = timed
            result.groups.append(new_group)
    return result


def _group(
    disposition: Disposition, spool_encoding: str, times: EventTimes, limits: GroupLimits, count: int, data: bytes
) -> Group:
    slot = times.earliest // limits.resolution_ms
    return Group(disposition.intake or "", spool_encoding, slot, times.earliest, times.latest, count, data)


def _block_lines(
    columns: Columns,
    disposition: Disposition,
    rule: FormatRule | None,
    times: EventTimes,
    spool_encoding: str,
    limits: GroupLimits,
) -> bytes | None:
    """Returns the lines of a read that arrived as one block of lines, edited as a block if a rule applies. Returns
    None if the rows must be handled one by one."""
    if columns.lines is None or disposition.payload != "message" or spool_encoding != encoding.LINES:
        return None
    if rule is not None and rule.choices:
        return None
    if times.earliest // limits.resolution_ms != times.latest // limits.resolution_ms:
        return None
    lines = columns.lines if rule is None else rule.edited_block(b"\n" + columns.lines[:-1])[1:] + b"\n"
    data = encoding.escaped_lines(lines)
    return data if len(data) <= limits.event_bytes and _is_text(data, disposition.encoding) else None


def _interleaved(
    columns: Columns,
    disposition: Disposition,
    rule: FormatRule | None,
    times: EventTimes,
    spool_encoding: str,
    limits: GroupLimits,
) -> bytes | None:
    """Returns the timed lines of a read whose columns are interleaved already. Returns None if the texts cannot be
    used unchanged."""
    if columns.interleaved is None or rule is not None:
        return None
    if disposition.payload != "message" or spool_encoding != encoding.LINES:
        return None
    data = encoding.interleaved_timed_lines(columns.interleaved.copy(), times.each())
    return data if _fit(data, lambda: columns["text"], disposition.encoding, limits.event_bytes) else None


def _add_timed(result: Grouped, timed_group: Group, columns: Columns, format_: Format | None) -> Grouped:
    """Adds a whole read as one timed group."""
    timed_group.timed = True
    result.groups.append(timed_group)
    if format_ is not None:
        _sample(columns["text"], format_, result, as_lines=True)
    return result


def _fit(data: bytes, events: Callable[[], Sequence[bytes]], text_encoding: str, limit: int) -> bool:
    """Returns True if the lines can be used unchanged: each event is valid text and within the size limit. Both are
    checked on the whole block first. ``events`` is called only if the block is larger than the limit."""
    return (len(data) <= limit or max(map(len, events())) * 4 <= limit) and _is_text(data, text_encoding)


def _is_text(data: bytes, text_encoding: str) -> bool:
    """Returns True if the bytes need no conversion in this text encoding."""
    return text_encoding == "bytes" or data.isascii() or (text_encoding == "auto" and encoding.is_utf8(data))


def _replace_empty(events: Sequence[bytes], blank: dict[int, bytes], result: Grouped) -> Sequence[bytes]:
    filled = list(events)
    for row, frame in blank.items():
        if not filled[row].strip(b" \t"):
            filled[row] = payload.replacement_for_empty(frame)
            result.emptied += 1
    return filled


def _sample(events: Sequence[bytes], format_: Format, result: Grouped, *, as_lines: bool) -> None:
    """Compares the first, the middle and the last event of a group with the intake's format, as they are delivered."""
    for row in {0, len(events) // 2, len(events) - 1}:
        result.sampled += 1
        event = events[row][:MAX_EXAMINED]
        result.mismatched += not format_.fits(encoding.escaped(event.lstrip(b" \n")) if as_lines else event)


def _three_lines(data: bytes) -> list[bytes]:
    """Returns the first line, one from the middle and the last line; fewer if the lines coincide."""
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1
    last = data.rfind(b"\n", 0, -1) + 1
    return [data[start : min(data.find(b"\n", start), start + MAX_EXAMINED)] for start in sorted({0, middle, last})]


def _scattered(times: EventTimes, resolution_ms: int) -> bool:
    """Returns True if the times are so scattered that nearly every event would need a slot of its own. Causes are
    senders with random clocks, or a relay that replays a day. Each line then carries its time, and the courier sorts
    and cuts the batch."""
    if times.rows is None or (times.latest - times.earliest) < MANY_SECONDS * resolution_ms:
        return False
    # A quarter of the rows is usually enough to see it.
    for rows in (times.rows[: times.count // 4], times.rows):
        if is_scattered(len(set(map(floordiv, set(rows), repeat(resolution_ms)))), times.count):
            return True
    return False


def _slots(
    events: Sequence[bytes], times: EventTimes, resolution_ms: int
) -> Iterable[tuple[Sequence[bytes], EventTimes]]:
    """Splits events by slot."""
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
    """Encodes the events of a group as lines. Returns the lines and their number. Events above the limit are in
    neither. ``times``, if given, puts a time before each event."""
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
