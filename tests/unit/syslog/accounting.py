"""Where every byte of a frame went: the meaning of "nothing is lost" (parsing decision 1).

A frame is COUNT, PRI, header and MSG. MSG is the end of the frame, byte for byte. Every byte before it belongs to a
field (also to one that MSG repeats, as Cisco's mnemonic), is a separator, or is one of the words that the shape says it
drops (``Shape.drops``: counters, a relay's own header, F5's level ...).
"""

import re

from bridge.syslog.header import Header, read
from bridge.syslog.shapes import SHAPES

_BEFORE_DEVICE = re.compile(rb"(?:[1-9][0-9]{0,5} (?=<))?\s*(?:<[0-9]{1,3}> ?)?")
_SEPARATORS = rb"[ \t:\[\]]|\xef\xbb\xbf"
_DROPS = {name: shape.drops for name, shape in SHAPES.items() if shape.drops}
# The version, and NILVALUE.
_VERSION = rb"1 |-(?= |$)"


def account(frame: bytes) -> Header:
    """The header of a frame, after every byte has been found again."""
    parts = read(frame)
    assert frame.endswith(parts.device), parts
    assert parts.device.endswith(parts.msg), parts
    if parts.format != "rfc5424":
        assert parts.device.endswith(parts.content), parts
        assert parts.content.endswith(parts.msg), parts
    if parts.format == "none":
        assert parts.msg == parts.device, parts
    header = frame[: len(frame) - len(parts.msg)]
    start = _BEFORE_DEVICE.match(header).end()
    if parts.priority:
        assert b"<" + parts.priority + b">" in header[:start], parts
    elif parts.shape in ("none", "rfc3164", "rfc5424"):
        start = 0
    fields = [parts.second, parts.fraction, parts.fraction.replace(b".", b","), parts.offset, parts.hostname,
              parts.app_name, parts.procid, parts.msgid, parts.structured_data]  # fmt: skip
    words = sorted({word for field in fields for word in (field, *field.split(b" ")) if word}, key=len, reverse=True)
    for word in fields[4:]:
        assert word in frame, parts
    known = [re.escape(word) for word in words]
    if parts.shape in _DROPS:
        known.append(_DROPS[parts.shape])
    token = re.compile(b"|".join([*known, _VERSION, _SEPARATORS]))
    at = start
    while at < len(header):
        found = token.match(header, at)
        assert found and found.end() > at, (header[at:], parts)
        at = found.end()
    return parts
