"""Removes an intake key that a relay has put into the text of its messages, and masks keys in anything that is shown.

The vendor's forwarder templates put ``[SEKOIA@53288 intake_key="KEY"]`` before MSG, as structured data of RFC 5424. The
element addresses the vendor's own syslog endpoint and is no part of the event. ``without_keys`` removes it wherever it
stands, so that everything parsed from the rest is free of it. Structured data that had no other element becomes ``-``.

A relay may have damaged the element: other quotes, quotes escaped within JSON, no closing bracket, a frame that ends
within it. Text after an element that is not closed is kept. A frame never becomes blank: if nothing else is in it, the
element stays, with its value masked.

``masked`` is for display, and recognises keys in any place: other elements, headers and query strings of HTTP.
"""

import re

from bridge.syslog.columns import Column
from bridge.syslog.frames import BLANK, Frames, list_of

ELEMENT_ID = b"SEKOIA@53288"
MASK = b"***"

_AT = b"@"
# A value in quotes as RFC 5424 has them, in quotes that are escaped, in other quotes, or bare. Nothing but RFC 5424's
# quotes may contain a bracket, so that the search takes linear time: no element is scanned as a part of many others.
# No value contains an LF, so that the expressions serve frames and blocks.
_VALUE = rb'(?:"(?:[^"\\\]\n]++|\\[^\n])*+"|\\++"[^"\\\[\]\n]*+\\++"|\'[^\'\[\]\n]*+\'|[^\s\[\]"\\]*+)'
_CLOSED = rb'(?:[ \t]++[^\s=\[\]"\\]++=' + _VALUE + rb")*+[ \t]*+\]"
# Without a closing bracket only the key is part of the element. It may end in the middle of its value.
_PART = rb"[^\s\[\]\"'\\,;}]*+"
_OPEN = (
    rb'[ \t]++intake_key(?:=(?:\\++"' + _PART + rb'(?:\\++")?+|"' + _PART + rb"\"?+|'" + _PART + rb"'?+|" + _PART
    + rb"))?+"
)  # fmt: skip
_ELEMENT = rb"\[SEKOIA@53288(?:" + _CLOSED + b"|" + _OPEN + b")"
# All structured data of a header of RFC 5424, without any other element: PRI, version, time and four words precede it.
_HEADER = rb"(?:[1-9][0-9]{0,5} (?=<))?+[ \t]*+<[0-9]{1,3}> ?+1 (?:-|[0-9]{4}-\S++) (?:\S++ ){4}"
_ALL = b"(?:" + _ELEMENT + b")++"
_IN_FRAME = re.compile(rb"\A(" + _HEADER + b")" + _ALL + rb"(?= |\Z)")
_IN_BLOCK = re.compile(rb"(\n" + _HEADER + b")" + _ALL + rb"(?=[ \n]|\Z)")
_ELEMENTS = re.compile(_ELEMENT + b"(?:" + _ELEMENT + b")*+ ?+")
_BLANK_FRAME = re.compile(rb"\n[ \t\r\0]*+(?=\n|\Z)")

_KEY = re.compile(
    rb"(?i)(intake[_-]key(?:\\*+[\"'])?+[ \t]*+(?:[=:]|%3D)[ \t]*+(?:\\*+[\"']|&quot;|&\#34;|%22)?+)"
    rb"[^\s\"'\\&,;%<>\]]++"
)


def has_key(frames: Frames) -> bool:
    """Returns True if the frames of one read contain the element's name.

    Nearly all reads do not. Most of them have no ``@``, which is found much faster than a longer text.
    """
    if isinstance(frames, bytes):
        return _AT in frames and ELEMENT_ID in frames
    return any(ELEMENT_ID in frame for frame in frames)


def without_keys(frames: Frames) -> Frames:
    """Returns the frames of one read without the elements. The number of frames and blank frames is the same."""
    if isinstance(frames, list):
        return [without_key(frame) if ELEMENT_ID in frame else frame for frame in frames]
    rest = _ELEMENTS.sub(_rest, _IN_BLOCK.sub(rb"\1-", frames))
    if _BLANK_FRAME.search(rest) is None:
        return rest
    return b"".join(b"\n" + without_key(frame) for frame in list_of(frames))


def with_original(column: Column, frames: Frames) -> Column:
    """Returns the column ``raw`` of a read of ``without_keys`` with the frames as they were received."""
    found = [frame for frame in list_of(frames) if frame.strip(BLANK)]
    return found if len(found) == len(column) else column


def count_keyed(frames: Frames) -> int:
    """Returns how many frames contain the element's name."""
    return sum(ELEMENT_ID in frame for frame in list_of(frames))


def masked(text: bytes) -> bytes:
    """Returns a frame or an event with the value of each intake key replaced by ``***``."""
    return _KEY.sub(rb"\g<1>" + MASK, text) if b"ntake" in text or b"NTAKE" in text else text


def without_key(frame: bytes) -> bytes:
    """Returns one frame without the elements."""
    rest = _ELEMENTS.sub(_rest, _IN_FRAME.sub(rb"\1-", frame))
    return rest if rest.strip(BLANK) or not frame.strip(BLANK) else masked(frame)


def _rest(found: re.Match[bytes]) -> bytes:
    """Returns what remains of elements and the blank after them. Between blanks, one of them goes with the elements."""
    before = found.string[max(0, found.start() - 1) : found.start()]
    return b"" if before in (b"", b" ", b"\t", b"\n", b">") else found[0][len(found[0].rstrip(b" ")) :]
