"""Finds the next frame of an octet-counted stream after a wrong count.

A count may be wrong by a constant (it includes a blank or an LF that is not sent), or by the number of its multi-byte
characters (the sender counted characters). The next frame begins where ``COUNT SP [BOM]<PRI>`` leads exactly to another
such start or to the end of the connection. If the counts of a sender are all wrong, they lead near one.
"""

import re
from enum import Enum

from bridge.syslog.grammar import PRIVAL

BOM = rb"(?:\xef\xbb\xbf)?"
PRI = rb"<(?:" + PRIVAL + rb")>"
# The digits before a count may belong to the text of the frame before it, so each end of a run may be the count.
CANDIDATE = re.compile(rb"([0-9]{1,32}) (?=" + BOM + PRI + rb")|\n(?=" + PRI + rb")")
MAY_BECOME_CANDIDATE = re.compile(rb"(?:\n|[0-9]{1,32}(?: (?:\xef(?:\xbb(?:\xbf)?)?)?)?)?(?:<[0-9]{0,3})?\Z")
_START = re.compile(BOM + rb"(?:[1-9][0-9]{0,5} " + BOM + rb")?" + PRI)
_MAY_BECOME_START = re.compile(
    rb"(?:\xef|\xef\xbb|\xef\xbb\xbf)?(?:[1-9][0-9]{0,5}(?: (?:\xef|\xef\xbb|\xef\xbb\xbf)?)?)?(?:<[0-9]{0,3})?"
)
_ENDS = b"\n\0\r"
UNSENT = 2
"Bytes that a count may be too large by: the blank after it, or an LF or CR LF that was not sent."
_DIGITS = b"0123456789"
_BLANK = ord(" ")
_LONGEST = 48
"Limit of the length of a match of ``CANDIDATE``, with the text that it looks ahead."


class Lead(Enum):
    """States where a count leads."""

    TO_START = 1
    NEAR = 2
    NOWHERE = 3
    UNKNOWN = 4
    "More bytes must arrive."


def begins_frame(data: bytes, at: int) -> Lead:
    """Returns whether a frame begins at ``at``: TO_START, NOWHERE or UNKNOWN."""
    if _START.match(data, at):
        return Lead.TO_START
    return Lead.UNKNOWN if _MAY_BECOME_START.fullmatch(data, at) else Lead.NOWHERE


def lead_of(data: bytes, at: int, *, closed: bool) -> Lead:
    """Returns where the count at ``at`` leads. ``closed`` means that ``data`` ends with the connection."""
    space = data.index(b" ", at)
    count, body = int(data[at:space]), space + 1
    end, size = body + count, len(data)
    if end < size:
        lead = Lead.TO_START if data[end] in _ENDS else begins_frame(data, end)
        if lead is not Lead.NOWHERE and not (closed and lead is Lead.UNKNOWN):
            return lead
    elif not closed:
        return Lead.UNKNOWN
    elif end == size:
        return Lead.TO_START
    following = CANDIDATE.search(data, body)
    if following is None and not closed:
        return Lead.UNKNOWN if size < body + 2 * count + UNSENT + _LONGEST else Lead.NOWHERE
    first, last = following.span() if following else (size, size)
    # A character has at most four bytes, but most of a header has one.
    return Lead.NEAR if last - body >= count - UNSENT and first - body <= 2 * count + UNSENT else Lead.NOWHERE


def lead_between(data: bytes, end: int, *, closed: bool) -> Lead:
    """Returns whether a frame ends at ``end``, if the bytes before and after it may be one count.

    Returns TO_START, NOWHERE or UNKNOWN.
    """
    if data[end] in _DIGITS:
        lead = lead_of(data, end, closed=closed)
        return Lead.TO_START if lead is Lead.NEAR else lead
    if data[end] != _BLANK:
        return Lead.TO_START
    for begin in range(end - 1, max(-1, end - 7), -1):
        if data[begin] not in _DIGITS:
            break
        lead = Lead.NOWHERE if data[begin] == _DIGITS[0] else lead_of(data, begin, closed=closed)
        if lead is not Lead.NOWHERE:
            return Lead.UNKNOWN if lead is Lead.UNKNOWN else Lead.NOWHERE
    return Lead.TO_START


def next_frame(data: bytes, at: int, max_frame_size: int, *, closed: bool) -> int | None:
    """Returns the position after ``at`` at which the next frame begins, or None if more bytes must arrive.

    Without another frame it is the end of a connection that is ``closed``. Otherwise None.
    """
    for candidate in CANDIDATE.finditer(data, at, min(len(data), at + max_frame_size + _LONGEST)):
        if candidate.start() - at > max_frame_size:
            break
        if candidate[1] is None:
            return candidate.start()
        near = 0
        for begin in range(candidate.end(1) - 1, max(candidate.start(1), candidate.end(1) - 6) - 1, -1):
            # The shortest count needs the fewest bytes, so the result does not depend on how many have arrived.
            if data[begin] == _DIGITS[0] or int(data[begin : candidate.end(1)]) > max_frame_size:
                continue
            lead = lead_of(data, begin, closed=closed)
            if lead is Lead.TO_START:
                return begin
            if lead is Lead.UNKNOWN:
                return None
            if lead is Lead.NEAR:
                near = begin
        if near:
            return near
    if len(data) - at > max_frame_size and (beyond := CANDIDATE.search(data, at + max_frame_size)):
        return beyond.start()
    return len(data) if closed else None
