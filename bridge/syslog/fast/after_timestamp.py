"""Builds the parts of ``mixed_formats``'s expression that match the header after the timestamp.

Each part matches the rest of the header and ends where the text begins. The parts call each other by name; their groups
are defined in ``any_header``.

``AFTER_TIMESTAMP`` matches a plain host and tag, else the shape tables: every row in its order. This is exact but slow,
because each row matches the host again.
"""

import re
from collections.abc import Iterable

from bridge.syslog import grammar
from bridge.syslog.fast.plain_patterns import COLON, HOST, PID, TAG
from bridge.syslog.shapes import TIMED, Shape, cisco


def in_block(pattern: bytes) -> bytes:
    """Converts the pattern of a row for use within a block: without groups, and with an LF as the end of the text."""
    pattern = re.sub(rb"\(\?P<\w+>", b"(?:", pattern)
    pattern = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", pattern)
    pattern = pattern.replace(rb"\\[\x00-\xff]", rb"\\.").replace(rb'[^"\\\]]', rb'[^"\\\]\n]')
    return pattern.replace(rb"\Z", rb"(?=\n|\Z)")


OPTIONAL_TAG = rb"(?>(?:" + in_block(grammar.TAG.pattern) + b" ?)?)"
# Before the text, only the words that the reference parser accepts as host and tag.
_HOST_AND_TAG = rb"(?>(?:" + in_block(grammar.HOST_BEFORE_TAG) + rb" ++(?:: ++)?)?)(?&tag)"
# The host is written twice. Only plain names before a plain tag are read here.
_NOT_TWICE = rb"(?!(?&twice))"
TWICE = rb"(?<word>\S++) ++\k<word> "


TIME_GROUPS = {"bsd": b"b", "iso": b"i", "epoch": b"e"}
"Timestamp formats that rows require -> groups that ``mixed_formats`` sets for a timestamp of that format."


def _header(row: Shape) -> bytes:
    """Returns the part of a row's pattern before its text."""
    header, has_msg, text = row.pattern.partition(b"(?P<msg>)")
    return in_block(header) + (b"(?=" + in_block(text) + b")" if has_msg else b"(?&tag)")


def _reject_other_times(row: Shape) -> bytes:
    """Returns an expression that fails if the row matches after a timestamp of another format than it requires.

    No row below may then match: such a frame is left to the reference parser.
    """
    return b"(?(" + TIME_GROUPS[row.needs] + b")|(?!" + _header(row) + b"))"


def rows(table_rows: Iterable[Shape], last: bytes = rb"(?!)") -> bytes:
    """Joins the patterns of rows in their order. The first that matches decides. ``last`` applies if none matches."""
    pattern = closing = b""
    for row in table_rows:
        if row.needs:
            pattern += _reject_other_times(row) + b"(?:"
            closing += b")"
        pattern += _header(row) + b"|"
    return b"(?>" + pattern + last + closing + b")"


PLAIN_HOST_AND_TAG = HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")"
# Words that are not a host in some shape, or that belong to the text.
_NO_HOST = (
    grammar.NO_HOST + rb"|[0-9]++(?:\.[0-9]++)? |[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T_-]?[0-9]{4}|[0-9.-]++:"
    rb"|(?:GMT|UTC)-[0-9]|(?:CEF|LEEF):|MSWinEventLog|slot[0-9]|[Mm]essage |[Ll]ast "
    rb"|(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|ftp|local[0-7])[a-z]*+\."
)
# A text that begins with the time of an application, without Cisco's mnemonic.
_OF_APPLICATION = (
    rb"(?=[A-Za-z0-9])(?!" + _NO_HOST + rb")[A-Za-z0-9][A-Za-z0-9._-]*+ (?=" + cisco.OF_APPLICATION.pattern
    + rb"[^%\n]*+(?:\n|\Z))"
)  # fmt: skip
_FALLBACK = (
    b"".join(_reject_other_times(row) for row in TIMED.rows if row.needs) + rb"(?!" + cisco.MAY_BE_RELAYED + b")"
    + _NOT_TWICE + _HOST_AND_TAG
)  # fmt: skip
_AFTER_TWICE = (
    rb"(?=[a-z])(?!" + _NO_HOST + rb"|" + grammar.LEVEL + rb" )(?<host_twice>[a-z][A-Za-z0-9._-]*+) \k<host_twice> "
    rb"[a-z_][A-Za-z0-9_./-]*+\[[0-9]++\]: ?+"
)
NO_PLAIN_HOST = b"(?>(?&shapes)|" + _OF_APPLICATION + b"|" + _AFTER_TWICE + b"|" + _FALLBACK + b")"
"Matches what ``AFTER_TIMESTAMP`` matches, except a plain host and tag."
AFTER_TIMESTAMP = rb"(?>" + PLAIN_HOST_AND_TAG + b"|(?&no_plain_host))"
"Matches everything between the timestamp of RFC 3164 (with its blank) and the text."
