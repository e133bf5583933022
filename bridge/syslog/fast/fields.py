"""Parses all frames of one socket read at once into columns.

Row *i* of every column is frame *i*. Only the columns that routes and payloads need are captured. There is one
expression per RFC, and one of them runs once over the whole read. An LF precedes every frame, so the expression finds
each frame by one literal byte, and the last group captures a frame that does not match. The reference parser reads
those rows, and reads in which a frame contains a line end. Property tests assert that both give the same result.

The expressions accept less than the reference parser (plain host names, plain tags, a blank after the colon). What they
accept has the same meaning for both. If the first frame of a read matches neither RFC but a vendor whose frames fill
whole reads, an expression of ``vendor_patterns`` is used instead.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.columns import FIELDS, Column, Columns
from bridge.syslog.fast import vendor_patterns
from bridge.syslog.fast.plain_patterns import BOM, BSD, COLON, FRACTION, HOST, ISO, OFFSET, PID, PRI, SD, TAG, WORD
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.grammar import PRIVAL, content_5424
from bridge.syslog.structured_data import auto_text
from bridge.syslog.timestamps import is_time


def parse_all(frames: Frames, needs: frozenset[str]) -> Columns:
    """Parses all frames of a read into the columns ``needs``, which include the times.

    Frames that consist of blanks, NUL and line ends only make no row.
    """
    if isinstance(frames, list):
        return parse_each(frames, needs, holds_lf=True)
    plan = _plan("rfc5424" if _looks_like_5424(frames) else "rfc3164", needs)
    rows = plan.expression.findall(frames)
    if not rows:
        return parse_each((), needs)
    # The last group captures frames that do not match.
    if rows[0][-1] and (kind := vendor_patterns.kind_of(rows[0][-1])):
        plan = _plan(kind, needs)
        rows = plan.expression.findall(frames)
    *groups, unmatched = zip(*rows, strict=True)
    fields: dict[str, Column] = dict(zip(plan.names, groups, strict=True))
    if "date" in fields:
        fields["second"] = [date and date + b" " + clock for date, clock in zip(*map(fields.pop, _DATE), strict=True)]
    if "second" in fields and not _are_times(fields["second"]):
        return parse_each(list_of(frames), needs)
    if "format" in needs:
        fields["format"] = [plan.format] * len(rows)
    for name in plan.absent:
        fields[name] = [b""] * len(rows)
    if plan.format == b"rfc5424":
        _nil(fields, ("hostname", "app_name", "procid", "msgid", "structured_data"))
        if "content" in needs:
            fields["content"] = list(map(content_5424, fields["app_name"], fields["procid"], fields["msg"]))
        if "auto" in needs:
            fields["auto"] = list(map(auto_text, fields["msgid"], fields["structured_data"], fields["text"]))
    else:
        _nil(fields, ("procid",))
        if "auto" in needs:
            fields["auto"] = fields["text"]
    blank = _blank_rows(fields, unmatched, frames) if plan.format == b"rfc5424" else {}
    return parse_each(unmatched, needs, fields, blank) if any(unmatched) else Columns(len(rows), fields, blank)


def _blank_rows(fields: dict[str, Column], unmatched: Column, frames: bytes) -> dict[int, bytes]:
    """Returns the frames that have matched without MSG, by row."""
    texts = fields.get("text", fields.get("msg", ()))
    if b"" not in texts:
        return {}
    rows = [row for row, text in enumerate(texts) if not text and not unmatched[row]]
    # An empty frame makes no row.
    each = [frame for frame in list_of(frames) if frame] if rows else []
    return {row: each[row] for row in rows}


class _Plan(NamedTuple):
    """An expression, and the column of each of its groups."""

    format: bytes
    expression: re.Pattern[bytes]
    "Its last group captures any frame that the grammar does not match, so that no frame is skipped."
    names: tuple[str, ...]
    absent: frozenset[str]
    "Columns that are empty in each row."


# FortiGate sends date and time of day in two fields.
_DATE = ("date", "clock")


@cache
def _plan(kind: str, needs: frozenset[str]) -> _Plan:
    names: list[str] = []
    requested = needs
    if kind == "fortinet":
        needs |= {*_DATE}
    if kind == "rfc5424" and "content" in needs:
        needs |= {"app_name", "procid", "msg"}
    if "auto" in needs:
        needs |= {"text", "msgid", "structured_data"} if kind == "rfc5424" else {"text"}

    def group(name: str, pattern: bytes) -> bytes:
        if name not in needs:
            return b"(?:" + pattern + b")"
        names.append(name)
        return b"(" + pattern + b")"

    # Groups are numbered by their opening parenthesis, so the outer ones are opened here and closed at the frame's end.
    def opening(name: str) -> bytes:
        if name not in needs:
            return b"(?:"
        names.append(name)
        return b"("

    pattern = opening("raw") + (b"<" + group("priority", PRIVAL) + b">" if "priority" in needs else PRI)
    if kind == "rfc5424":
        pattern += opening("device") + b"1 "
        pattern += group("second", ISO) + group("fraction", FRACTION) + group("offset", OFFSET) + b" "
        for name in ("hostname", "app_name", "procid", "msgid"):
            # An APP-NAME that ends with a colon may be the tag of RFC 3164.
            pattern += group(name, WORD) + (b"(?<!:) " if name == "app_name" else b" ")
        pattern += group("structured_data", SD)
        msg = b" " + BOM + opening("msg") + rb"[ \t]*+" + group("text", rb".++") + b")"
        # An SRX writes no MSG. A read whose texts are not captured would not show it.
        pattern += (b"(?:" + msg + rb"|(?=\n|\Z))" if needs & {"text", "msg"} else msg) + b"))"
    elif kind == "rfc3164":
        pattern += opening("device") + group("second", BSD + b"|" + ISO) + group("fraction", FRACTION)
        pattern += group("offset", b"(?:" + OFFSET + b")?") + b" "
        pattern += group("hostname", HOST) + b" "
        # Cisco's mnemonic is the tag, also after a zone with a colon.
        pattern += (
            opening("content")
            + group("app_name", TAG)
            + rb"(?:\["
            + group("procid", PID)
            + rb"\]: |"
            + COLON
            + b"(?!%))"
        )
        pattern += opening("msg") + rb"[ \t]*+" + group("text", rb".++") + b"))))"
    else:
        pattern += vendor_patterns.pattern(kind, group, opening) + b")"
    absent = (
        requested
        - {*names, "format", "auto"}
        - ({"second"} if kind == "fortinet" else {"content"} if kind == "rfc5424" else set())
    )
    format_ = {"rfc5424": b"rfc5424", "fortinet": b"none"}.get(kind, b"rfc3164")
    return _Plan(format_, re.compile(rb"\n(?:" + pattern + rb"|(.++))"), tuple(names), absent)


def _looks_like_5424(block: bytes) -> bool:
    end = block.find(b">", 1, 6)
    return block[end + 1 : end + 3] == b"1 "


def _are_times(seconds: Column) -> bool:
    """Returns True if every text is a valid time in some year. ``b""`` stands for rows that did not match.

    The expressions do not check the length of a month, so ``Feb 30`` matches. A frame with such a time has no header.
    """
    first = seconds[0]
    if seconds.count(first) == len(seconds):
        return not first or is_time(first)
    return all(map(is_time, filter(None, set(seconds))))


def _nil(fields: dict[str, Column], names: Iterable[str]) -> None:
    """Replaces the NILVALUE of RFC 5424 by an empty field."""
    for name in names:
        column = fields.get(name)
        if column is not None and b"-" in column:
            fields[name] = [b"" if value == b"-" else value for value in column]


def parse_each(
    frames: Iterable[bytes], needs: frozenset[str], known: dict[str, Column] | None = None,
    known_blank: Mapping[int, bytes] = MappingProxyType({}), *, holds_lf: bool = False,
) -> Columns:  # fmt: skip
    """Parses frame by frame with the reference parser.

    With ``known``, an empty frame stands for its row there. ``known_blank`` has those of its frames that have no MSG.
    """
    fields: dict[str, list[bytes]] = {name: [] for name in FIELDS if name in needs}
    blank: dict[int, bytes] = {}
    for row, frame in enumerate(frames):
        if frame or known is None:
            _append_parsed(fields, blank, frame)
        else:
            if row in known_blank:
                blank[len(fields["second"])] = known_blank[row]
            for name, column in fields.items():
                column.append(known[name][row])
    return Columns(len(fields["second"]), dict(fields), blank, holds_lf=holds_lf)


def _append_parsed(fields: dict[str, list[bytes]], blank: dict[int, bytes], frame: bytes) -> None:
    """Appends the row of one frame, read by the reference parser. A blank frame makes no row."""
    if not frame.strip(b" \t\r\n\0"):
        return
    parts = parser.read(frame)
    if not parts.msg.strip(b" \t"):
        blank[len(fields["second"])] = frame
    for name, column in fields.items():
        if name == "raw":
            column.append(frame)
        elif name == "text":
            column.append(parts.msg.lstrip(b" \t"))
        elif name == "auto":
            column.append(auto_text(parts.msgid, parts.structured_data, parts.msg.lstrip(b" \t")))
        elif name == "format":
            column.append(parts.format.encode())
        else:
            column.append(getattr(parts, name))
