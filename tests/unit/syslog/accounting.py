"""Accounts for every byte of a frame: the definition of "nothing is lost" (parsing decision 1).

A frame is COUNT, PRI, header and MSG. MSG is the end of the frame, byte for byte. Every byte before it belongs to a
field (also to one that MSG repeats, such as Cisco's mnemonic), is a separator or a message counter, belongs to a
relay's own time and name, or is a word that the shape drops (``Shape.drops``, such as F5's level).
"""

import re

from bridge.syslog.columns import FIELDS, stamp_of
from bridge.syslog.frames import block_of
from bridge.syslog.grammar import Header
from bridge.syslog.parser import read
from bridge.syslog.reader import read_columns
from bridge.syslog.shapes import SHAPES
from bridge.syslog.time_formats import scan
from tests.unit.syslog.fast.generated import stamps

_BEFORE_DEVICE = re.compile(rb"(?:\xef\xbb\xbf)?(?:[1-9][0-9]{0,5} (?:\xef\xbb\xbf)?(?=<))?\s*(?:<[0-9]{1,3}> ?)?")
# Includes a clock mark, the version, NILVALUE, the BOM, FreeBSD's `<facility.level>` and the counter after Huawei's
# fraction.
_SEPARATORS = (
    rb"[ \t:\[\]]|[*.](?=[A-Z][a-z]{2} |[12][0-9]{3}[ -])|\xef\xbb\xbf|1 |-(?= |\]|\Z)"
    rb"|<[a-z0-9]+\.[a-z0-9]+>(?= )|\.[0-9]{1,3}(?=[ +-])"
)
_PLAIN = re.compile(_SEPARATORS)
_CLOCK_MARK = re.compile(rb"[*.](?=[A-Z12])")
# A message counter, or the version of RFC 5424.
_VERSION = re.compile(rb"[0-9]*: |1 +")
_RELAY = re.compile(rb"(?:[ :\t]*<[a-z0-9]+\.[a-z0-9]+>(?= ))?[ :\t]*[^\s]+[ :\t]*")
_DROPPED = {
    name: re.compile(shape.drops + rb"|" + _SEPARATORS) for name, shape in SHAPES.items() if shape.drops
}  # fmt: skip


def account(frame: bytes) -> Header:
    """Returns the header of a frame, and asserts that every byte is accounted for."""
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
    fractions = [parts.fraction.replace(b".", mark) for mark in (b".", b",", b":")]
    fields = [*fractions, parts.second, parts.offset, parts.hostname, parts.app_name, parts.procid, parts.msgid,
              parts.structured_data]  # fmt: skip
    words = sorted({word for field in fields for word in (field, *field.split(b" ")) if word}, key=len, reverse=True)
    for word in fields[5:]:
        assert word in frame, parts
    dropped = _DROPPED.get(parts.shape, _PLAIN)
    # All positions that a sequence of words and separators can reach. A time in a tag looks like a relay's.
    reached = {_own_header(header, start, parts), start}
    while reached and (at := min(reached)) < len(header):
        reached.remove(at)
        reached.update(at + len(word) for word in words if header.startswith(word, at))
        if found := dropped.match(header, at):
            reached.add(found.end())
    assert reached, (header[at:], parts)
    return parts


def _own_header(header: bytes, at: int, parts: Header) -> int:
    """Returns the position of the device's own header, after a counter and a relay's time and name."""
    if parts.shape not in ("none", "rfc5424", "rfc5424-malformed-data"):
        if version := _VERSION.match(header, at):
            at = version.end()
        at += len(header[at:]) - len(header[at:].lstrip(b" "))
        if mark := _CLOCK_MARK.match(header, at):
            at = mark.end()
        stamp = scan(header, at)
        if stamp and scan(header, after := len(header) - len(header[stamp.end :].lstrip(b" :"))):
            # The time of a relay without a name.
            return after
        relay = _RELAY.match(header, stamp.end) if stamp else None
        if relay and ((stamp.second, stamp.fraction) != (parts.second, parts.fraction) or scan(header, relay.end())):
            at = relay.end()
    return at


def assert_fast_equals_reference(frame: bytes) -> None:
    """Asserts that the fast reader and the reference parser agree in every field. The frame must not be blank."""
    columns = read_columns(block_of([frame, frame]), frozenset(FIELDS))
    header = read(frame)
    assert stamps(columns) == [stamp_of(header.second, header.fraction, header.offset)] * 2
    for name in ("hostname", "app_name", "procid", "msgid", "msg", "content", "device"):
        assert list(columns[name]) == [getattr(header, name)] * 2, name
