"""The careful reading of one frame: plain, slow, and the reference for the fast path in ``columns``.

From the first that holds (parsing decisions 1-13):

1. PRI (RFC 5424 section 6.2.1, RFC 3164 section 4.1.1): ``<0>`` to ``<191>`` without leading zeros, blanks after it
   tolerated. Anything else is text. A leading octet count that a sender left in a datagram is stripped.
2. ``1 `` after the PRI starts RFC 5424 only if the whole header holds; else the rest is read as below.
3. A time: then the shapes that differ behind it (``shapes.timed``), another time (``shapes.cisco``), and RFC 3164's
   TIME HOST TAG[PID]: MSG. HOST is missing where the first word ends in a colon or carries a pid; TAG is missing where
   no word before the first blank ends in a colon.
4. No time in front: Cisco's counters, texts of ``key=value``, the shapes of ``shapes.opening``.
5. All else is ``none``: the text after the PRI, or the frame, is the message.

Nothing raises and nothing is lost: what is not read as header stays in ``msg``.
"""

import re

from bridge.syslog.grammar import (
    BOM,
    HOST,
    ISO_SECOND,
    PRI,
    PRIVAL,
    RFC5424,
    RFC5424_LOOSE,
    SD_ELEMENT,
    Header,
    content_5424,
    content_shown,
)
from bridge.syslog.shapes import (
    KIWI,
    LAST,
    NO_TIME,
    OPENINGS,
    TIMED,
    VERSIONED,
    cisco,
    keyvalue,
    tagged,
)
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

__all__ = ["ISO_SECOND", "PRIVAL", "SD_ELEMENT", "Header", "content_5424", "content_shown", "is_time", "read"]

_PRI = re.compile(rb"(?:[1-9][0-9]{0,5} (?=<))?\s*+" + PRI % PRIVAL + rb" ?")
# Behind a time: a blank, a colon or both, a TAB; and a few that leave nothing between time and host.
_AFTER_TIME = re.compile(rb" ++(?!:)|( ?: ++)|:?\t|:?\Z|(?=[A-Za-z])")
_HOST = re.compile(rb"(" + HOST + rb") ++(?:: ++)?")
_VERSION = re.compile(rb"1 ++(?=[0-9])")
_KIWI = re.compile(KIWI.pattern)


def read(frame: bytes) -> Header:
    """Take one frame apart. A NUL, CR or LF at its end is the transport's and must be gone already."""
    priority, device = b"", frame
    if match := _PRI.match(frame):
        priority, device = match[1], frame[match.end() :]
    kiwi = _KIWI.match(device) if priority and device.startswith(b"O") else None
    if kiwi and (header := _read(priority, device[kiwi.end() :])):
        form = "rfc3164" if header.format == "none" else header.format
        return header._replace(format=form, shape="kiwi", hostname=header.hostname or kiwi[1], device=device)
    return _read(priority, device) or Header(
        "none", "none", priority, b"", b"", b"", b"", b"", b"", b"", b"", device, device, device
    )


def _read(priority: bytes, device: bytes) -> Header | None:
    if device.startswith(b"1 "):
        return _rfc5424(priority, device) or _versioned(priority, device)
    if header := _timed(priority, device, 0, 0):
        return header
    blanks = len(device) - len(device.lstrip(b" "))
    if blanks:
        # More than the one blank that is tolerated (SonicWall): a time or a key is looked for behind them.
        if blanks >= 4:
            return None
        if header := _timed(priority, device, 0, blanks):
            return header
        header = keyvalue.read(priority, device[blanks:])
        return header and header._replace(msg=device, content=device, device=device)
    return _untimed(priority, device)


def _untimed(priority: bytes, device: bytes) -> Header | None:
    if header := OPENINGS.read(priority, device, 0, 0, NO_TIME) or cisco.read(priority, device):
        return keyvalue.of_cef(header) if header.shape == "cef-alone" else header
    if header := keyvalue.read(priority, device):
        return header
    if priority and (at := cisco.after_counter(device)) and (header := _timed(priority, device, at, at)):
        return header._replace(shape="counted") if header.shape == "rfc3164" else header
    header = LAST.read(priority, device, 0, 0, NO_TIME)
    return header and keyvalue.of_cef(header)


def _rfc5424(priority: bytes, device: bytes) -> Header | None:
    match = RFC5424.fullmatch(device)
    structured, msg = (match[8], match[9] or b"") if match else (b"", b"")
    shape = "rfc5424"
    if match is None:
        # MSG after malformed structured data keeps its text; a word that starts no data is no RFC 5424 at all.
        match = RFC5424_LOOSE.fullmatch(device)
        if match is None:
            return None
        structured, msg, shape = b"", match[8], "rfc5424-malformed-data"
    second, fraction, offset = match[1] or b"", (match[2] or b"").replace(b",", b"."), match[3] or b""
    if second and not is_time(second, offset):
        return None
    hostname, app_name, procid, msgid = (b"" if f == b"-" else f for f in (match[4], match[5], match[6], match[7]))
    # `TIME HOST TAG: some words - text` holds as RFC 5424 by chance (HPE iLO).
    if app_name.endswith(b":") and (procid or msgid):
        return None
    msg = msg.removeprefix(BOM)
    return Header(
        "rfc5424", shape, priority, second, fraction, offset, hostname, app_name, procid, msgid,
        b"" if structured == b"-" else structured, msg, content_5424(app_name, procid, msg), device,
    )  # fmt: skip


def _versioned(priority: bytes, device: bytes) -> Header | None:
    """What begins like RFC 5424 and is none: fields are missing, or it is RFC 3164 with a version in front."""
    match = _VERSION.match(device)
    return match and _timed(priority, device, 0, match.end(), versioned=True)


def _timed(priority: bytes, text: bytes, start: int, at: int, *, versioned: bool = False) -> Header | None:
    """The header of a text that has a time at ``at``; ``start`` is where the payload ``device`` begins."""
    stamp = scan(text, at)
    if stamp is None or not is_time(stamp.second, stamp.offset):
        return None
    gap = _AFTER_TIME.match(text, stamp.end)
    if gap is None:
        return None
    if versioned and (header := VERSIONED.read(priority, text, start, gap.end(), stamp)):
        return header
    if stamp.format == "epoch":
        # A number is a time only in Meraki's layout.
        header = VERSIONED.read(priority, text, start, gap.end(), stamp)
        return header if header and header.shape == "meraki" else None
    # Cisco has nothing but a colon between time and mnemonic.
    if gap[1] and (header := cisco.read(priority, text[start:])):
        return header
    return _behind(priority, text, start, gap.end(), stamp)


def _behind(priority: bytes, text: bytes, start: int, at: int, stamp: Stamp) -> Header:
    """What stands behind a time: a shape of its own, another time, or HOST TAG: MSG."""
    if header := TIMED.read(priority, text, start, at, stamp):
        return header
    shape = "rfc3164"
    if second := cisco.second(priority, text, start, at):
        if second.header:
            return second.header
        gap = _AFTER_TIME.match(text, second.stamp.end)
        if gap and _HOST.match(text, gap.end()):
            stamp, at, shape = second.stamp, gap.end(), "relayed"
            if header := TIMED.read(priority, text, start, at, stamp):
                return header
    host = _HOST.match(text, at)
    if host is None:
        return tagged(priority, text, start, stamp, shape, b"", at)
    return tagged(priority, text, start, stamp, shape, host[1], host.end())
