"""Parses all frames of one socket read at once into columns.

Row *i* of every column is frame *i*. Only the columns that routes and payloads need are captured. The first frame of a
read decides which layout (``layouts``) its expression is made of. An LF precedes every frame, so the expression finds
each frame by one literal byte, and the last group captures a frame that does not match. The reference parser reads
those rows, and reads in which a frame contains a line end. Property tests assert that both give the same result.
"""

import re
from collections.abc import Iterable
from functools import cache

from bridge.syslog import parser
from bridge.syslog.columns import FIELDS, Column, Columns
from bridge.syslog.fast.layouts import PLAIN_3164, PLAIN_5424, Layout, expression, layout_of, second_of
from bridge.syslog.fast.plain_patterns import PRI
from bridge.syslog.frames import BLANK, Frames, list_of
from bridge.syslog.grammar import PRIVAL, content_5424
from bridge.syslog.structured_data import auto_text
from bridge.syslog.timestamps import is_time

_WORDS = {"hostname", "app_name", "procid", "msgid", "structured_data"}


def parse_all(frames: Frames, needs: frozenset[str]) -> Columns:
    """Parses all frames of a read into the columns ``needs``, which include the times.

    Frames that consist of blanks, NUL and line ends only make no row.
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
    if layout.format == b"none":
        fields["second"] = list(map(second_of, fields["second"]))
    if not _are_times(fields.get("second", (b"",))):
        return parse_each(list_of(frames), needs)
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
    return _with_others(found, unmatched) if any(unmatched) else found


@cache
def _plan(layout: Layout, needs: frozenset[str]) -> tuple[re.Pattern[bytes], tuple[str, ...]]:
    """Returns an expression for the columns ``needs``, and the column of each of its groups but the last, which
    captures any frame that the layout does not match, so that no frame is skipped."""
    if layout.format == b"rfc5424":
        # An SRX writes no MSG. A read whose texts are not captured would not show it.
        needs |= {"text"}
        needs |= {"app_name", "procid", "msg"} if "content" in needs else set()
        needs |= {"msgid", "structured_data"} if "auto" in needs else set()
    needs |= {"text"} if "auto" in needs else set()
    pattern = (b"<(?P<priority>" + PRIVAL + b")>" if "priority" in needs else PRI) + expression(layout, needs)
    pattern = b"(?P<raw>" + pattern + b")" if "raw" in needs else pattern
    matcher = re.compile(rb"\n(?:" + pattern + rb"|(.++))")
    return matcher, tuple(matcher.groupindex)


def _are_times(seconds: Column) -> bool:
    """Returns True if every text is a valid time in some year. ``b""`` stands for rows that did not match.

    The expressions do not check the length of a month, so ``Feb 30`` matches. A frame with such a time has no header.
    """
    first = seconds[0]
    if seconds.count(first) == len(seconds):
        return not first or is_time(first)
    return all(map(is_time, filter(None, set(seconds))))


def _with_others(found: Columns, unmatched: Column) -> Columns:
    """Fills in the rows of frames that the layout does not match. Blank frames make no row."""
    needs = frozenset(found.fields)
    rest = [row for row, frame in enumerate(unmatched) if frame.strip(BLANK)]
    # The frames before the first that matches some layout match none. No frame is left that the layout of ``found``
    # matches, so each layout is used once.
    known = next((n for n, row in enumerate(rest) if layout_of(b"\n" + unmatched[row], needs)[0]), len(rest))
    blank: dict[int, bytes] = {}
    values: dict[str, list[bytes]] = {name: list(column) for name, column in found.fields.items()}
    for places, parse in ((rest[:known], parse_each), (rest[known:], _parse_block)):
        others = parse([unmatched[row] for row in places], needs)
        for name, column in others.fields.items():
            for row, value in zip(places, column, strict=True):
                values[name][row] = value
        blank.update((places[n], frame) for n, frame in others.blank.items())
    columns = Columns(found.count, dict(values), {**found.blank, **blank})
    empty = {row for row, frame in enumerate(unmatched) if frame and not frame.strip(BLANK)}
    return columns.take([row for row in range(found.count) if row not in empty]) if empty else columns


def _parse_block(frames: list[bytes], needs: frozenset[str]) -> Columns:
    return parse_all(b"\n" + b"\n".join(frames), needs)


def parse_each(frames: Iterable[bytes], needs: frozenset[str], *, holds_lf: bool = False) -> Columns:
    """Parses frame by frame with the reference parser."""
    fields: dict[str, list[bytes]] = {name: [] for name in FIELDS if name in needs}
    blank: dict[int, bytes] = {}
    for frame in frames:
        if not frame.strip(BLANK):
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
