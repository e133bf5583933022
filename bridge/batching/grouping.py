"""Groups the rows of one read by time slot and encodes each group for one append to the spool.

Slots are aligned to the timestamp resolution, so that all events of a slot lie within it. Most reads form a single
group and are handled as a block, without a loop over rows. No slots are used if the intake's endpoint sends a time
with each event, or if the times of a read are scattered. Each line then carries its own time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache
from itertools import repeat
from operator import floordiv
from typing import NamedTuple

from bridge import formats
from bridge.batching import encoding, payload
from bridge.batching.endpoints import ENDPOINTS, Endpoint
from bridge.batching.event_times import EventTimes, times_from_headers, times_from_sender
from bridge.batching.groups import NO_TIME, Group, GroupLimits
from bridge.formats import MAX_EXAMINED, Format, FormatRule
from bridge.routing.profile import OF_BLOCK, Disposition
from bridge.syslog.columns import Columns, SameSecond, Stamped, TextBlock
from bridge.syslog.timestamps import MANY_SECONDS, TimeConversion, TimeReader, is_scattered

SHOWS_TIME = ("line", "rfc5424")
MADE_OF_MSG = ("message", "auto", "content", "device", "structured")
"Payload forms whose event may be empty."

MOST_SAMPLED = 6
"""Maximum number of events of one read that are compared with the intake's format, exceeded by at most two. A
mismatch is the only sign that the intake will not parse the events."""


@dataclass(slots=True)
class Grouped:
    """Groups of one read's rows for one disposition, and counts of what was changed."""

    groups: list[Group] = field(default_factory=list)
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

    def compare(self, events: Sequence[bytes], format_: Format) -> None:
        """Compares events, as they are delivered, with the intake's format."""
        self.sampled += len(events)
        self.mismatched += sum(not format_.fits(event) for event in events)

    def replace_empty(self, events: Sequence[bytes], blank: dict[int, bytes]) -> Sequence[bytes]:
        """Returns the events with another form for those that would be empty. ``blank``: see ``Columns``."""
        filled = list(events)
        replacement = cache(payload.replacement_for_empty)
        for row, frame in blank.items():
            if not filled[row].strip(b" \t"):
                filled[row] = replacement(frame)
                self.emptied += 1
        return filled

    def encode(self, events: Sequence[bytes], target: "_Target", times: Sequence[int] | None) -> list[bytes]:
        """Encodes each event as a line without LF, except events above the size limit.

        ``times``, if given, puts a time before each event.
        """
        lines = []
        to_line = encoding.escaped if target.in_lines else encoding.json_line
        for row, event in enumerate(events):
            text, converted = encoding.as_utf8(event, target.disposition.encoding)
            line = to_line(text)
            if len(line) > target.limits.event_bytes:
                self.oversize.append(event)
                continue
            self.converted += converted
            lines.append(line if times is None else b"%d\t%b" % (times[row], line))
        return lines


class _Target(NamedTuple):
    """A disposition and everything that it refers to."""

    disposition: Disposition
    limits: GroupLimits
    endpoint: Endpoint
    format: Format | None
    rule: FormatRule | None

    @property
    def in_lines(self) -> bool:
        """True if the spool encoding is ``lines``."""
        return self.endpoint.encoding == encoding.LINES

    def group(self, times: EventTimes, count: int, data: bytes, *, timed: bool) -> Group:
        """Makes a group of encoded events."""
        intake, slot = self.disposition.intake or "", times.earliest // self.limits.resolution_ms
        return Group(intake, self.endpoint.encoding, slot, times.earliest, times.latest, count, data, timed)

    def fits(self, lines: bytes) -> bool:
        """Returns True if all lines are valid text and within the size limit. Both are checked on the block first."""
        limit, text_encoding = self.limits.event_bytes, self.disposition.encoding
        if len(lines) > limit and max(map(len, lines.split(b"\n"))) > limit:
            return False
        return text_encoding == "bytes" or lines.isascii() or (text_encoding == "auto" and encoding.is_utf8(lines))


def group(
    read: Columns | TextBlock, disposition: Disposition, *, reader: TimeReader, received_ms: int, limits: GroupLimits,
    peer: bytes = b"-", listener: str = "", sender_times: Sequence[int] | None = None, scattered: bool = False,
) -> Grouped:  # fmt: skip
    """Groups rows that share one disposition of kind ``deliver``. ``read`` must not be empty. ``sender_times``
    are event times that the sender gave outside the event text, in milliseconds, one per row. ``scattered`` is True if
    the times of the intake are known to be scattered, which a small read does not show."""
    format_ = formats.find(disposition.format) if disposition.format else None
    rule = format_.rule if format_ and disposition.refined else None
    target = _Target(disposition, limits, ENDPOINTS[disposition.endpoint], format_, rule)
    zone = disposition.zone or UTC
    shows_time = disposition.payload in SHOWS_TIME
    if sender_times is not None:
        shown = times_from_sender(sender_times, received_ms=received_ms, window=limits.window)
    elif disposition.timestamp == "event" or shows_time:
        shown = times_from_headers(
            read, TimeConversion(reader, zone, limits.window), received_ms,
            fine=limits.resolution_ms % 1000 != 0 or shows_time or target.endpoint.exact,
        )  # fmt: skip
    else:
        shown = EventTimes(read.count, received_ms, received_ms)
    if disposition.timestamp == "event":
        sent = shown
    else:
        sent_ms = NO_TIME if disposition.timestamp == "none" else received_ms
        sent = EventTimes(read.count, sent_ms, sent_ms)
    timed = target.endpoint.exact or _scattered(sent, limits.resolution_ms, known=scattered)
    if isinstance(read, TextBlock) and (whole := _whole(read, target, sent, timed=timed)):
        return whole
    result = Grouped(outside=shown.outside)
    if isinstance(read, TextBlock) and rule is None and disposition.payload in OF_BLOCK:
        events, holds_lf = read.texts(), False
    else:
        columns = read.rows()
        extra_fields = {"listener": listener, "route": disposition.route, "intake": disposition.intake}
        context = payload.EventContext(shown.each() if shows_time else (), peer, zone, received_ms, extra_fields)
        events, holds_lf = payload.refined_events(rule, disposition.payload, columns, context), columns.holds_lf
        if columns.blank and disposition.payload in MADE_OF_MSG:
            events = result.replace_empty(events, columns.blank)
    parts = [(events, sent)] if timed else _slots(events, sent, limits.resolution_ms)
    _add_parts(result, parts, target, timed=timed, holds_lf=holds_lf)
    return result


def _whole(read: TextBlock, target: _Target, times: EventTimes, *, timed: bool) -> Grouped | None:
    """Groups a block without splitting it into rows. Returns None if its rows must be handled one by one."""
    rule, resolution = target.rule, target.limits.resolution_ms
    if target.disposition.payload not in OF_BLOCK or target.endpoint.json:
        return None
    if isinstance(read, SameSecond):
        if timed or times.earliest // resolution != times.latest // resolution or (rule and rule.choices):
            return None
        lines = read.lines if rule is None else rule.edited_block(b"\n" + read.lines[:-1])[1:] + b"\n"
        data = encoding.escaped_lines(lines)
    elif rule is not None or not timed:
        return None
    elif isinstance(read, Stamped):
        data = encoding.interleaved_timed_lines(read.interleaved.copy(), times.each())
    else:
        return None
    if not target.fits(data):
        return None
    result = Grouped([target.group(times, read.count, data, timed=timed)], outside=times.outside)
    if target.format is not None:
        sample = _three_lines(data)
        result.compare([line.partition(b"\t")[2] for line in sample] if timed else sample, target.format)
    return result


def _add_parts(
    result: Grouped, parts: list[tuple[Sequence[bytes], EventTimes]], target: _Target, *, timed: bool, holds_lf: bool
) -> None:
    """Encodes the events of each group as lines, as a block if possible."""
    for events, times in parts:
        if target.format is not None and result.sampled < MOST_SAMPLED:
            sample = [events[row][:MAX_EXAMINED] for row in {0, len(events) // 2, len(events) - 1}]
            if target.in_lines:
                sample = [encoding.escaped(event.lstrip(b" \n")) for event in sample]
            result.compare(sample, target.format)
        each = times.each() if timed else None
        count = len(events)
        data = b""
        if target.in_lines and not holds_lf:
            data = encoding.joined_lines(events) if each is None else encoding.joined_timed_lines(events, each)
        if not data or not target.fits(data):
            lines = result.encode(events, target, each)
            count, data = len(lines), b"\n".join((*lines, b""))
        if count:
            result.groups.append(target.group(times, count, data, timed=timed))


def _three_lines(data: bytes) -> list[bytes]:
    """Returns the first line, one from the middle and the last line; fewer if the lines coincide."""
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1
    last = data.rfind(b"\n", 0, -1) + 1
    return [data[start : data.find(b"\n", start)] for start in sorted({0, middle, last})]


def _scattered(times: EventTimes, resolution_ms: int, *, known: bool) -> bool:
    """Returns True if the times are so scattered that nearly every event would need a slot of its own. Causes are
    senders with random clocks, or a relay that replays a day. Each line then carries its time, and the courier sorts
    and cuts the batch."""
    if times.rows is None or (times.latest - times.earliest) < MANY_SECONDS * resolution_ms:
        return False
    if known:
        return True
    # A quarter of the rows is usually enough to see it.
    for rows in (times.rows[: times.count // 4], times.rows):
        if is_scattered(len(set(map(floordiv, set(rows), repeat(resolution_ms)))), times.count):
            return True
    return False


def _slots(events: Sequence[bytes], times: EventTimes, resolution_ms: int) -> list[tuple[Sequence[bytes], EventTimes]]:
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
