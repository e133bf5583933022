"""Builds the parts of ``mixed_formats``'s expression that match the header after the timestamp.

Each part matches the rest of the header and ends where the text begins. The parts call each other by name; the groups
``tag`` and ``shapes`` are defined in ``mixed_formats``.

``rows`` returns the shape tables unchanged: every row in its order. This is exact but slow, because each row matches
the host again. ``AFTER_TIMESTAMP`` is faster: it matches a plain host once and chooses by the first letters of the next
word, in which the shapes differ. A header that it does not recognise is tried with the rows. A header that begins with
a word that some shape has in the place of the host goes to the rows directly.
"""

import re
from collections.abc import Iterable

from bridge.syslog import grammar
from bridge.syslog.fast.plain_patterns import COLON, HOST, NO_MAC, PID, TAG
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
_MNEMONIC = b"(?=" + grammar.STACK_UNIT + grammar.MNEMONIC + b"|%%[0-9]{2}[A-Za-z0-9_]++/[0-7]/[A-Za-z0-9_])"
# Words that are not a host in some shape, or that belong to the text.
_NO_HOST = (
    grammar.NO_HOST + rb"|[0-9]++(?:\.[0-9]++)? |[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T_-]?[0-9]{4}|[0-9.-]++:"
    rb"|(?:GMT|UTC)-[0-9]|(?:CEF|LEEF):|MSWinEventLog|slot[0-9]|[Mm]essage |[Ll]ast "
    rb"|(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|ftp|local[0-7])[a-z]*+\."
)
_PAN_OS = rb"[0-9A-Fx]*+,20[0-9]{2}/[0-9]{2}/[0-9]{2} "
_WORD = rb"[A-Za-z_][A-Za-z0-9_./-]*+"
_NO_SECOND_TIME = b"(?!(?:\\S++ )?" + cisco.MAY_BE_SECOND + b")"
# In the order of the rows, where a text could match two of them.
_BY_FIRST_LETTER = (
    rb"(?=%)" + _MNEMONIC,
    rb"(?=[a-z])(?:"
    + grammar.LEVEL + rb" ++(?!" + grammar.CEF + rb")[^\s:\[\]<>]++(?:\[[^\]\s]*+\])?: ?"
    + rb"|vectra\w*+ (?=-: (?!" + grammar.CEF + rb"))"
    + rb"|syslogd [0-9][0-9.]*+(?:#[0-9]++)?: ?"
    + rb"|ansible-<[a-z]++>: ?"
    + rb"|(?=(?:last m|m)essage repeated [0-9]++ time))",
    rb"(?=[0-9x,])(?:(?=[0-9]++-PPE-[0-9]++ :)|(?=" + _PAN_OS + rb")|[0-9]{5} [A-Za-z0-9_-]++: ?)",
    rb"(?=[A-Z])(?:(?=MSWinEventLog[ \t#,])"
    + rb"|[A-Z]{2,5} ?: ++(?=" + grammar.MNEMONIC + rb")"
    + rb"|(?=(?:Last m|M)essage repeated [0-9]++ time)"
    + rb"|(?=[A-F]++" + _PAN_OS + rb")"
    + rb"|[A-Z][A-Za-z]*+(?: [A-Z0-9][A-Za-z0-9.]*+){1,3}\[[0-9]++\]: ?)",
    rb"(?:" + _WORD + rb" (?:-: ?)?)?(?=" + grammar.CEF + rb")",
)  # fmt: skip
# RFC 5424 without its version needs four more fields and is left to the rows. So are WatchGuard's time in parentheses,
# Infoblox' address, and the name of a relay before Cisco's host.
_NO_ROW = (
    rb"(?! *+[0-9A-Fa-f]{12},|(?:[0-9A-Z]{6,20} )?\([0-9A-Z]|\*%"
    rb"|\S++ ++(?:: ++)?(?:[A-Z]{2,5} ?: ++)?\*?%"
    rb"|[0-9A-Fa-f.:]++(?:%[^ \n]*+)? [^ \n:\[]++(?:\[[0-9]++\])?:)"
    rb"(?!-: ?" + grammar.CEF + rb")(?(i)(?!\S++ (?:-|[0-9]++) ))"
)
# A text that begins with the time of an application, without Cisco's mnemonic.
_OF_APPLICATION = b"(?=" + cisco.OF_APPLICATION.pattern + rb"[^%\n]*+(?:\n|\Z))"
_AFTER_PLAIN_HOST = (
    rb"(?=[A-Za-z0-9])(?!" + _NO_HOST + rb")" + _NOT_TWICE + rb"[A-Za-z0-9][A-Za-z0-9._-]*+"
    rb"(?: (?=[^ :\n])" + _NO_ROW + rb"(?:" + b"|".join((*_BY_FIRST_LETTER, _OF_APPLICATION))
    + b"|" + _NO_SECOND_TIME + b"(?&tag))"
    rb"|" + NO_MAC + rb": (?!//|\*%)" + _NO_SECOND_TIME + rb"|\[" + PID + rb"\]: (?!%)" + _NO_SECOND_TIME + b")"
)  # fmt: skip
_FALLBACK = (
    b"".join(_reject_other_times(row) for row in TIMED.rows if row.needs) + rb"(?!" + cisco.MAY_BE_RELAYED + b")"
    + _NOT_TWICE + _HOST_AND_TAG
)  # fmt: skip
_AFTER_TWICE = (
    rb"(?=[a-z])(?!" + _NO_HOST + rb"|" + grammar.LEVEL + rb" )(?<host_twice>[a-z][A-Za-z0-9._-]*+) \k<host_twice> "
    rb"[a-z_][A-Za-z0-9_./-]*+\[[0-9]++\]: ?+"
)
AFTER_TIMESTAMP = (
    rb"(?>" + PLAIN_HOST_AND_TAG + b"|" + _AFTER_PLAIN_HOST + b"|" + _AFTER_TWICE + b"|(?&shapes)|" + _FALLBACK + b")"
)
"Matches everything between the timestamp of RFC 3164 (with its blank) and the text."
