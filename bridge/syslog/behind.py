"""What stands behind a time, as parts of ``sweeping``'s expression: each takes the header's rest off and ends where the
text begins.

``rows`` is the tables of shapes as they are: every row in its order, exact and slow, as each looks for the host anew.
``behind`` decides by first letters: behind a plain host the shapes differ in the next word, so the host is read once.
What it does not know goes through ``rows``; what begins with a word that some shape puts in the host's place goes there
at once.
"""

import re
from collections.abc import Iterable

from bridge.syslog import grammar
from bridge.syslog.columns import COLON, HOST, PID, TAG
from bridge.syslog.shapes import TIMED, Shape, cisco


def in_block(pattern: bytes) -> bytes:
    """A row's pattern as a part of the expression: without groups, and with a frame's end where the text's end was."""
    pattern = re.sub(rb"\(\?P<\w+>", b"(?:", pattern)
    pattern = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", pattern)
    pattern = pattern.replace(rb"\\[\x00-\xff]", rb"\\.").replace(rb'[^"\\\]]', rb'[^"\\\]\n]')
    return pattern.replace(rb"\Z", rb"(?=\n|\Z)")


_TAG = rb"(?>(?:" + in_block(grammar.TAG.pattern) + b" ?)?)"
# No word in front of the text but those that the careful reading takes for host and tag.
_HOST_AND_TAG = rb"(?>(?:" + grammar.HOST + rb" ++(?:: ++)?)?)" + _TAG


def rows(of: Iterable[Shape], form: str, last: bytes = rb"(?!)") -> bytes:
    """The rows in their order, for a time of one format; the first that fits decides. ``last``: where none does."""
    alternatives = b""
    for row in of:
        header, has_msg, text = row.pattern.partition(b"(?P<msg>)")
        pattern = in_block(header) + (b"(?=" + in_block(text) + b")" if has_msg else _TAG)
        if row.needs and row.needs != form:
            # What fits it all the same is none of the rows below: left to the careful reading.
            alternatives += b"(?!" + pattern + b")(?:"
            last += b")"
        else:
            alternatives += b"(?:" + pattern + b")|"
    return b"(?>" + alternatives + last + b")"


_PLAIN = HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")"
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
    + grammar.LEVEL + rb" ++[^\s:\[\]<>]++(?:\[[^\]\s]*+\])?: ?"
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
_AFTER_HOST = {
    # RFC 5424 without its version needs four more fields: left to the rows.
    "iso": rb"(?! *+[0-9a-f]{12},)(?!\S++ (?:-|[0-9]++) )",
}


def behind(form: str) -> bytes:
    """What may stand behind the time of RFC 3164, and the blank, up to the text."""
    others = rb"(?!" + cisco.MAY_BE_RELAYED + b")" + _HOST_AND_TAG
    hosted = (
        rb"(?!" + _NO_HOST + rb")[A-Za-z0-9][A-Za-z0-9._-]*+"
        rb"(?: (?=[^ :\n])" + _AFTER_HOST.get(form, rb"(?![0-9a-f]{12},)") + rb"(?:" + b"|".join(_BY_FIRST_LETTER)
        + b"|" + _NO_SECOND + _TAG + rb")"
        rb"|: (?!//)" + _NO_SECOND + b")"
    )  # fmt: skip
    return rb"(?>" + _PLAIN + b"|" + hosted + b"|" + rows(TIMED.rows, form, others) + b")"
