"""What stands behind a time, as parts of ``sweeping``'s expression: each takes the header's rest off and ends where the
text begins. They call each other by name: ``tag`` and ``shapes`` are defined there.

``rows`` is the tables of shapes as they are: every row in its order, exact and slow, as each looks for the host anew.
``BEHIND`` decides by first letters: behind a plain host the shapes differ in the next word, so the host is read once.
What it does not know goes through the rows; what begins with a word that some shape puts in the host's place goes there
at once.
"""

import re
from collections.abc import Iterable

from bridge.syslog import grammar
from bridge.syslog.fast.plain_patterns import (
    COLON,
    HOST,
    PID,
    TAG,
)
from bridge.syslog.shapes import TIMED, Shape, cisco


def in_block(pattern: bytes) -> bytes:
    """A row's pattern as a part of the expression: without groups, and with a frame's end where the text's end was."""
    pattern = re.sub(rb"\(\?P<\w+>", b"(?:", pattern)
    pattern = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", pattern)
    pattern = pattern.replace(rb"\\[\x00-\xff]", rb"\\.").replace(rb'[^"\\\]]', rb'[^"\\\]\n]')
    return pattern.replace(rb"\Z", rb"(?=\n|\Z)")


TAG_OR_NONE = rb"(?>(?:" + in_block(grammar.TAG.pattern) + b" ?)?)"
# No word in front of the text but those that the careful reading takes for host and tag.
_HOST_AND_TAG = rb"(?>(?:" + grammar.HOST + rb" ++(?:: ++)?)?)(?&tag)"


FORMS = {"bsd": b"b", "iso": b"i", "epoch": b"e"}
"Formats of times that rows ask for, and the groups that ``sweeping`` sets where a time is of them."


def _header(row: Shape) -> bytes:
    """What of a row stands before its text."""
    header, has_msg, text = row.pattern.partition(b"(?P<msg>)")
    return in_block(header) + (b"(?=" + in_block(text) + b")" if has_msg else b"(?&tag)")


def _unless_needed(row: Shape) -> bytes:
    """What fits a row that asks for a time, behind another time, is none of those below: left to the careful
    reading."""
    return b"(?(" + FORMS[row.needs] + b")|(?!" + _header(row) + b"))"


def rows(of: Iterable[Shape], last: bytes = rb"(?!)") -> bytes:
    """The rows in their order; the first that fits decides. ``last``: where none does."""
    pattern = closing = b""
    for row in of:
        if row.needs:
            pattern += _unless_needed(row) + b"(?:"
            closing += b")"
        pattern += _header(row) + b"|"
    return b"(?>" + pattern + last + closing + b")"


PLAIN_HOST_AND_TAG = HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")"
_MNEMONIC = b"(?=" + grammar.MNEMONIC + b"|%%[0-9]{2}[A-Za-z0-9_]++/[0-7]/[A-Za-z0-9_])"
# Words that are no host in some shape, or belong to the text.
_NO_HOST = (
    rb"(?:CEF|LEEF):|MSWinEventLog|slot[0-9]|[Mm]essage |[Ll]ast "
    rb"|(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|ftp|local[0-7])[a-z]*+\."
)
_PAN_OS = rb"[0-9A-Fx]*+,20[0-9]{2}/[0-9]{2}/[0-9]{2} "
_WORD = rb"[A-Za-z_][A-Za-z0-9_./-]*+"
_NO_SECOND = b"(?!(?:\\S++ )?" + cisco.MAY_BE_SECOND + b")"
# In the order of the rows, as far as one text could be two of them.
_BY_FIRST_LETTER = (
    rb"(?=%)" + _MNEMONIC,
    rb"(?=[a-z])(?:"
    + grammar.LEVEL + rb" ++(?!" + grammar.CEF + rb")[^\s:\[\]<>]++(?:\[[^\]\s]*+\])?: ?"
    + rb"|vectra\w*+ (?=-: (?!" + grammar.CEF + rb"))"
    + rb"|syslogd [0-9][0-9.]*+(?:#[0-9]++)?: ?"
    + rb"|(?=(?:last m|m)essage repeated [0-9]++ time))",
    rb"(?=[0-9x,])(?:(?=[0-9]++-PPE-[0-9]++ :)|(?=" + _PAN_OS + rb")|[0-9]{5} [A-Za-z0-9_-]++: ?)",
    rb"(?=[A-Z])(?:(?=MSWinEventLog[ \t#,])"
    + rb"|[A-Z]{2,5} ?: ++(?=" + grammar.MNEMONIC + rb")"
    + rb"|(?=(?:Last m|M)essage repeated [0-9]++ time)"
    + rb"|(?=[A-F]++" + _PAN_OS + rb")"
    + rb"|[A-Z][A-Za-z]*+(?: [A-Z0-9][A-Za-z0-9.]*+){1,3}\[[0-9]++\]: ?)",
    rb"(?:" + _WORD + rb" (?:-: ?)?)?(?=" + grammar.CEF + rb")",
)  # fmt: skip
# RFC 5424 without its version needs four more fields: left to the rows.
_NO_ROW = rb"(?(i)(?! *+[0-9a-f]{12},)(?!\S++ (?:-|[0-9]++) )|(?![0-9a-f]{12},))"
_HOSTED = (
    rb"(?!" + _NO_HOST + rb")[A-Za-z0-9][A-Za-z0-9._-]*+"
    rb"(?: (?=[^ :\n])" + _NO_ROW + rb"(?:" + b"|".join(_BY_FIRST_LETTER) + b"|" + _NO_SECOND + b"(?&tag))"
    rb"|: (?!//)" + _NO_SECOND + rb"|\[" + PID + rb"\]: (?!%)" + _NO_SECOND + b")"
)  # fmt: skip
_OTHERS = (
    b"".join(_unless_needed(row) for row in TIMED.rows if row.needs) + rb"(?!" + cisco.MAY_BE_RELAYED + b")"
    + _HOST_AND_TAG
)  # fmt: skip
BEHIND = rb"(?>" + PLAIN_HOST_AND_TAG + b"|" + _HOSTED + b"|(?&shapes)|" + _OTHERS + b")"
"What may stand behind the time of RFC 3164, and the blank, up to the text."
