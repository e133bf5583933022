"""Parses all frames of one socket read at once into columns.

Row *i* of every column is frame *i*. Only the columns that routes and payloads need are captured. The first frame of a
read decides which layout (``layouts``) its expression is made of. An LF precedes every frame, so the expression finds
each frame by one literal byte, and the last group captures a frame that does not match. The reference parser reads
those rows, and reads in which a frame contains a line end. Property tests assert that both give the same result.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache

from bridge.syslog import parser
from bridge.syslog.columns import FIELDS, Column, Columns
from bridge.syslog.fast.layouts import PLAIN_3164, PLAIN_5424, Layout, expression, layout_of
from bridge.syslog.fast.plain_patterns import PRI
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.grammar import PRIVAL, content_5424
from bridge.syslog.structured_data import auto_text
from bridge.syslog.timestamps import is_time

General = Callable[[bytes, frozenset[str]], Columns]
_WORDS = {"hostname", "app_name", "procid", "msgid", "structured_data"}
_BLANK = b" \t\r\n\0"


def parse_all(frames: Frames, needs: frozenset[str], general: General | None = None) -> Columns:
    """Parses all frames of a read into the columns ``needs``, which include the times.

    Frames that consist of blanks, NUL and line ends only make no row. ``general`` reads the frames of other layouts.
    """
    if isinstance(frames, list):
        return parse_each(frames, needs, holds_lf=True)
    layout = layout_of(frames, needs)[0] or (PLAIN_5424 if b">1 " in frames[:8] else PLAIN_3164)
    matcher, names = _plan(layout, needs)
    rows = matcher.findall(frames)
    if not rows:
        return parse_each((), needs)
    # The last group captures frames that do not match.
    *groups, unmatched = zip(*rows, strict=True)
    fields: dict[str, Column] = dict(zip(names, groups, strict=True))
    if "date" in fields:
        pairs = zip(fields["date"], fields["clock"], strict=True)
        fields["second"] = [date and date + b" " + clock for date, clock in pairs]
    if not _are_times(fields.get("second", (b"",))):
        return general(frames, needs) if general else parse_each(list_of(frames), needs)
    if "format" in needs:
        fields["format"] = [layout.format] * len(rows)
    for name in needs - fields.keys() - {"content", "auto"}:
        fields[name] = [b""] * len(rows)
    # The NILVALUE of RFC 5424 is an empty field.
    for name in fields.keys() & (_WORDS if layout.format == b"rfc5424" else {"procid"}):
        if b"-" in fields[name]:
            fields[name] = [b"" if value == b"-" else value for value in fields[name]]
    blank: dict[int, bytes] = {}
    if layout.format == b"rfc5424":
        if "content" in needs:
            fields["content"] = list(map(content_5424, fields["app_name"], fields["procid"], fields["msg"]))
        if "auto" in needs:
            fields["auto"] = list(map(auto_text, fields["msgid"], fields["structured_data"], fields["text"]))
        if b"" in fields["text"]:
            # An empty frame makes no row.
            each = [frame for frame in list_of(frames) if frame]
            blank = {row: each[row] for row, text in enumerate(fields["text"]) if not text and not unmatched[row]}
    elif "auto" in needs:
        fields["auto"] = fields["text"]
    found = Columns(len(rows), {name: fields[name] for name in needs}, blank)
    return _with_others(found, unmatched, layout, general) if any(unmatched) else found


@cache
def _plan(layout: Layout, needs: frozenset[str]) -> tuple[re.Pattern[bytes], tuple[str, ...]]:
    """Returns an expression for the columns ``needs``, and the column of each of its groups but the last, which
    captures any frame that the layout does not match, so that no frame is skipped."""
    if layout.format == b"rfc5424":
        # An SRX writes no MSG. A read whose texts are not captured would not show it.
        needs |= {"text"}
        needs |= {"app_name", "procid", "msg"} if "content" in needs else set()
        needs |= {"msgid", "structured_data"} if "auto" in needs else set()
    needs |= {"date", "clock", "text"} if "auto" in needs else {"date", "clock"}
    pattern, names = expression(layout, needs)
    first = tuple(name for name in ("raw", "priority") if name in needs)
    pattern = (b"<(" + PRIVAL + b")>" if "priority" in needs else PRI) + pattern
    pattern = b"(" + pattern + b")" if "raw" in needs else pattern
    return re.compile(rb"\n(?:" + pattern + rb"|(.++))"), (*first, *names)


def _are_times(seconds: Column) -> bool:
    """Returns True if every text is a valid time in some year. ``b""`` stands for rows that did not match.

    The expressions do not check the length of a month, so ``Feb 30`` matches. A frame with such a time has no header.
    """
    first = seconds[0]
    if seconds.count(first) == len(seconds):
        return not first or is_time(first)
    return all(map(is_time, filter(None, set(seconds))))


def _with_others(found: Columns, unmatched: Column, layout: Layout, general: General | None) -> Columns:
    """Fills in the rows of frames that the layout does not match: with ``general``, or with another layout that matches
    the first of them, or else with the reference parser. Blank frames make no row."""
    rest = [frame for frame in unmatched if frame.strip(_BLANK)]
    block, needs = b"\n" + b"\n".join(rest), frozenset(found.fields)
    # No frame is left that this layout, or one before it, matches, so each layout is used once.
    if general is None and layout_of(block, needs)[0] not in (None, layout):
        general = parse_all
    others = general(block, needs) if general else parse_each(rest, needs)
    rows = [row for row, frame in enumerate(unmatched) if not frame or frame.strip(_BLANK)]
    fields: dict[str, Column] = {}
    for name, column in found.fields.items():
        values = iter(others[name])
        fields[name] = [next(values) if unmatched[row] else column[row] for row in rows]
    blank = {new: found.blank[row] for new, row in enumerate(rows) if row in found.blank}
    places = [new for new, row in enumerate(rows) if unmatched[row]]
    blank.update((places[row], frame) for row, frame in others.blank.items())
    return Columns(len(rows), fields, blank)


def parse_each(frames: Iterable[bytes], needs: frozenset[str], *, holds_lf: bool = False) -> Columns:
    """Parses frame by frame with the reference parser."""
    fields: dict[str, list[bytes]] = {name: [] for name in FIELDS if name in needs}
    blank: dict[int, bytes] = {}
    for frame in frames:
        if not frame.strip(_BLANK):
            continue
        parts = parser.read(frame)
        text = parts.msg.lstrip(b" \t")
        if not text:
            blank[len(fields["second"])] = frame
        for name, column in fields.items():
            if name == "auto":
                column.append(auto_text(parts.msgid, parts.structured_data, text))
            elif name == "raw":
                column.append(frame)
            elif name == "format":
                column.append(parts.format.encode())
            else:
                column.append(text if name == "text" else getattr(parts, name))
    return Columns(len(fields["second"]), dict(fields), blank, holds_lf=holds_lf)
