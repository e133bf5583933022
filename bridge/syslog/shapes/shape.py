"""Defines a shape, and the table that tries many shapes with one expression.

The pattern of a shape matches at the beginning of the text (``untimed.UNTIMED``) or directly after a time
(``timed.TIMED``). Its groups:

``host`` ``pid`` ``msgid`` ``sd``
    fields
``app``
    the tag, or a mnemonic that stays in MSG (then the group is inside a lookahead)
``content``
    empty group at the beginning of the ``content`` payload. Default: the beginning of ``app``, otherwise of MSG
``msg``
    empty group at the beginning of MSG. Without it, the tag of RFC 3164 is read from the end of the match

The first row that matches decides, so special rows come before general ones. ``fast.mixed_formats`` uses the same
patterns in an expression for PCRE2, so a pattern must mean the same to ``re`` and PCRE2.
"""

import re
from typing import NamedTuple

from bridge.syslog.grammar import TAG, Header, content_5424
from bridge.syslog.time_formats import Stamp

NO_TIME = Stamp(b"", b"", b"", 0, "")

_GROUPS = ("host", "app", "pid", "msgid", "sd", "content", "msg")
_GROUP = re.compile(rb"\(\?P<(\w+)>")


class Shape(NamedTuple):
    """A header layout of a device: one row of a ``ShapeTable``."""

    name: str
    pattern: bytes
    example: bytes
    "A whole frame, written for the tests."
    drops: bytes = b""
    "Expression for the parts of the header, besides separators, that no field keeps."
    format: str = "rfc3164"
    needs: str = ""
    """Name of the only timestamp format that the row accepts; ``bsd`` stands for all formats with the name of a month.
    ``pri`` if the frame must have a PRI. Empty for neither."""


class ShapeTable:
    """Matches many shapes with one expression."""

    def __init__(self, *rows: Shape) -> None:
        self.rows = rows
        numbered = [_GROUP.sub(rb"(?P<\1_%d>" % i, row.pattern) + b"(?P<_%d>)" % i for i, row in enumerate(rows)]
        self._expression = re.compile(b"|".join(numbered))
        index = self._expression.groupindex
        self._groups = {f"_{i}": (row, [index.get(f"{name}_{i}", 0) for name in _GROUPS]) for i, row in enumerate(rows)}

    def read(self, priority: bytes, text: bytes, start: int, at: int, stamp: Stamp) -> Header | None:
        """Parses ``text`` at ``at`` with the first row that matches. Returns None if no row matches.

        The payload ``device`` begins at ``start``.
        """
        match = self._expression.match(text, at)
        if match is None or match.lastgroup is None:
            return None
        row, (host, app, pid, msgid, sd, content, msg) = self._groups[match.lastgroup]
        if row.needs and not (priority if row.needs == "pri" else _is_of(stamp.format, row.needs)):
            return None
        field = _nil if row.format == "rfc5424" else _given
        hostname = field(match[host]) if host else b""
        if not msg:
            return tagged(priority, text, start, stamp, row.name, hostname, match.end())
        app_name, procid = field(match[app]) if app else b"", field(match[pid]) if pid else b""
        begin = match.start(msg)
        text_of_msg = text[begin:]
        if row.format == "rfc5424":
            shown = content_5424(app_name, procid, text_of_msg)
        elif content:
            shown = text[match.start(content) :]
        else:
            shown = text[match.start(app) :] if app and 0 <= match.start(app) < begin else text_of_msg
        return Header(
            row.format, row.name, priority, stamp.second, stamp.fraction, stamp.offset, hostname, app_name, procid,
            _nil(match[msgid]) if msgid else b"", _nil(match[sd]) if sd else b"", text_of_msg, shown, text[start:],
        )  # fmt: skip


def _is_of(timestamp_format: str, needs: str) -> bool:
    return timestamp_format == needs or (needs == "bsd" and timestamp_format.startswith("bsd-"))


def _nil(field: bytes | None) -> bytes:
    return b"" if field is None or field == b"-" else field


def _given(field: bytes | None) -> bytes:
    return field or b""


def tagged(priority: bytes, text: bytes, start: int, stamp: Stamp, shape: str, hostname: bytes, at: int) -> Header:
    """Builds a header from ``TAG[PID]: MSG`` at ``at``. Without a tag, the whole rest is MSG."""
    hostname = _nil(hostname)
    app_name = procid = b""
    msg = at
    if tag := TAG.match(text, at):
        app_name, procid = tag[1] or tag[3], _nil(tag[2] or tag[4])
        # One blank separates tag and MSG. Further blanks belong to MSG.
        msg = tag.end()
        if text[msg : msg + 1] == b" ":
            msg += 1
    return Header(
        "rfc3164", shape, priority, stamp.second, stamp.fraction, stamp.offset, hostname, app_name, procid, b"", b"",
        text[msg:], text[at:], text[start:],
    )  # fmt: skip
