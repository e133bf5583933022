"""Parses the header of one frame. This is the reference parser: simple and slow; the fast readers must agree with it.

The first rule that matches decides (parsing decisions 1-13 and 15-22):

1. PRI (RFC 5424 section 6.2.1, RFC 3164 section 4.1.1): ``<0>`` to ``<191>`` without leading zeros. Blanks after it are
   tolerated. Anything else is text. A BOM, and an octet count that a sender left in a datagram, are removed before it.
2. ``1 `` after the PRI starts an RFC 5424 header only if the whole header matches. Otherwise the rules below apply;
   before an ISO time, headers that lack fields are read as well (``shapes.timed``).
3. A timestamp: after it the device shapes of ``shapes.timed``, a second timestamp (``shapes.cisco``), or RFC 3164's
   TIME HOST TAG[PID]: MSG. ``grammar`` defines which words are a host and a tag. A second timestamp belongs to the
   header only before a host and a tag, or a device shape. No host follows ``TIME: ``.
4. No leading timestamp: Cisco's counters, ``key=value`` texts, and the shapes of ``shapes.untimed``.
5. Anything else has the format ``none``: the text after the PRI, or the whole frame, is the message.

No input raises an exception and no text is lost: bytes that are not part of the header stay in ``msg``.
"""

import re

from bridge.syslog.grammar import (
    BOM,
    CEF,
    FACILITY_AND_LEVEL,
    HOST,
    HOST_BEFORE_TAG,
    PRI,
    PRIVAL,
    RFC5424,
    RFC5424_LOOSE,
    TAG_FOLLOWS,
    UPPER_LEVEL,
    Header,
    content_5424,
)
from bridge.syslog.shapes import (
    EPOCH,
    KIWI,
    LAST,
    NO_TIME,
    TIMED,
    UNTIMED,
    VERSIONED,
    WITHOUT_DATA,
    cisco,
    keyvalue,
    tagged,
)
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

_PRI = re.compile(rb"(?:\xef\xbb\xbf)?(?:[1-9][0-9]{0,5} (?:\xef\xbb\xbf)?(?=<))?\s*+" + PRI % PRIVAL + rb" ?")
# The separator after a time: blanks, a colon, both, or a TAB. A few devices write the host directly after the time.
_AFTER_TIME = re.compile(rb"(?: ++(?!:(?!:))|( ?: ++)|:?\t|:?\Z|(?=[A-Za-z]))(?:" + FACILITY_AND_LEVEL + rb")?")
_HOST = re.compile(rb"(" + HOST_BEFORE_TAG + rb") ++(?:: ++)?")
_TWICE = re.compile(rb"(" + HOST + rb") ++(?=\1 )")
# The device's header behind the time of a relay: a host and a tag that is not a level.
RELAYED = re.compile(rb"(" + HOST_BEFORE_TAG + rb") ++(?:: ++)?(?!(?i:" + UPPER_LEVEL + rb")[:\[])" + TAG_FOLLOWS)
# Only what ``cisco.MAY_BE_RELAYED`` matches as well, so that the fast readers leave it to this parser.
RELAY_AND_VERSION = re.compile(HOST + rb" (?=1 (?:(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{9,10}\.))")
_VERSION = re.compile(rb"1 ++(?=[0-9A-Z])")
_KIWI = re.compile(KIWI.pattern)
# Cisco's mark of a clock that is not synchronised.
_CLOCK_MARK = re.compile(rb"[*.](?=[A-Z][a-z]{2} [ 0-9]|(?:19|20)[0-9]{2}[ -])")
_BEFORE_OBJECT = re.compile(rb"((?![0-9]++(?:\.[0-9]++)? )" + HOST + rb") ++(?=\{|" + CEF + rb")")


def read(frame: bytes) -> Header:
    """Parses one frame. The caller has already removed NUL, CR and LF at its end, which belong to the transport."""
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
        # More than the one tolerated blank (SonicWall). A time or a key may follow up to three blanks.
        if blanks >= 4:
            return None
        if header := _timed(priority, device, 0, blanks):
            return header
        header = keyvalue.read(priority, device[blanks:])
        return header and header._replace(msg=device, content=device, device=device)
    return _untimed(priority, device)


def _untimed(priority: bytes, device: bytes) -> Header | None:
    if header := UNTIMED.read(priority, device, 0, 0, NO_TIME) or cisco.read(priority, device):
        return keyvalue.of_cef(header) if header.shape == "cef-alone" else header
    if header := keyvalue.read(priority, device):
        return header
    if priority and (at := cisco.after_counter(device)) and (header := _timed(priority, device, at, at)):
        return header._replace(shape="counted") if header.shape == "rfc3164" else header
    if _CLOCK_MARK.match(device) and (header := _timed(priority, device, 0, 1)):
        return header
    header = LAST.read(priority, device, 0, 0, NO_TIME)
    return header and keyvalue.of_cef(header)


def _rfc5424(priority: bytes, device: bytes) -> Header | None:
    match = RFC5424.fullmatch(device)
    structured, msg = (match[8], match[9] or b"") if match else (b"", b"")
    shape = "rfc5424"
    if match is None:
        # Malformed structured data stays in MSG. If the word does not start with `[`, the header is not RFC 5424.
        match = RFC5424_LOOSE.fullmatch(device)
        if match is None:
            return None
        structured, msg, shape = b"", match[8], "rfc5424-malformed-data"
    second, fraction, offset = match[1] or b"", (match[2] or b"").replace(b",", b"."), match[3] or b""
    if second and not is_time(second, offset):
        return None
    hostname, app_name, procid, msgid = (b"" if f == b"-" else f for f in (match[4], match[5], match[6], match[7]))
    # `TIME HOST TAG: some words - text` matches RFC 5424 by chance (HPE iLO). QNAP writes valid fields after a colon.
    if (
        app_name.endswith(b":")
        and (procid or msgid)
        and not ((not procid or procid.isdigit()) and structured[:1] == b"[")
    ):
        return None
    msg = msg.removeprefix(BOM)
    return Header(
        "rfc5424", shape, priority, second, fraction, offset, hostname, app_name, procid, msgid,
        b"" if structured == b"-" else structured, msg, content_5424(app_name, procid, msg), device,
    )  # fmt: skip


def _versioned(priority: bytes, device: bytes) -> Header | None:
    """Parses a header that begins like RFC 5424 but lacks fields, or is RFC 3164 after a version."""
    match = _VERSION.match(device)
    return match and _timed(priority, device, 0, match.end(), versioned=True)


def _timed(priority: bytes, text: bytes, start: int, at: int, *, versioned: bool = False) -> Header | None:
    """Parses the header of a text with a time at ``at``. The payload ``device`` begins at ``start``."""
    stamp = scan(text, at)
    if stamp is None or not is_time(stamp.second, stamp.offset):
        return None
    gap = _AFTER_TIME.match(text, stamp.end)
    if gap is None:
        return None
    if stamp.format == "epoch":
        header = EPOCH.read(priority, text, start, gap.end(), stamp)
        return header or (None if gap[1] else _after_epoch(priority, text, start, gap.end(), stamp))
    like_5424 = versioned and stamp.format == "iso"
    if like_5424 and (header := VERSIONED.read(priority, text, start, gap.end(), stamp)):
        return header
    if gap[1]:
        # Cisco writes only a colon between time and mnemonic. In other texts, no host follows a colon.
        return cisco.read(priority, text[start:]) or (
            TIMED.read(priority, text, start, gap.end(), stamp)
            or tagged(priority, text, start, stamp, "rfc3164", b"", gap.end())
        )
    if not versioned and (header := _after_relay(priority, text, start, gap.end())):
        return header
    return _header_after_time(priority, text, start, gap.end(), stamp, like_5424=like_5424)


def _after_epoch(priority: bytes, text: bytes, start: int, at: int, stamp: Stamp) -> Header | None:
    """Parses HOST TAG: MSG after seconds since 1970.

    Proxies begin their text with such a number, so it is a header's time only before a host and a tag, JSON or CEF.
    """
    host = RELAYED.match(text, at) or _BEFORE_OBJECT.match(text, at)
    return host and tagged(priority, text, start, stamp, "rfc3164", host[1], host.end())


def _header_after_time(priority: bytes, text: bytes, start: int, at: int, stamp: Stamp, *, like_5424: bool) -> Header:
    """Parses the rest of the header after a time: a device shape, a second time, or HOST TAG: MSG."""
    if header := TIMED.read(priority, text, start, at, stamp):
        # The host may be written twice before CEF. In the fields of RFC 5424, a program may have the name of its host.
        twice = header.format == "rfc3164" and header.app_name == header.hostname
        return header._replace(app_name=b"") if twice else header
    if header := _after_second_time(priority, text, start, at, stamp):
        return header
    if like_5424 and (header := WITHOUT_DATA.read(priority, text, start, at, stamp)):
        return header
    # The host is written twice (UniFi OS).
    if (again := _TWICE.match(text, at)) and (host := _HOST.match(text, again.end())):
        header = TIMED.read(priority, text, start, again.end(), stamp) or tagged(
            priority, text, start, stamp, "rfc3164", host[1], host.end()
        )
        if header.hostname == again[1] and (header.app_name or header.shape != "rfc3164"):
            return header
    host = _HOST.match(text, at)
    if host is None:
        return tagged(priority, text, start, stamp, "rfc3164", b"", at)
    return tagged(priority, text, start, stamp, "rfc3164", host[1], host.end())


def _after_relay(priority: bytes, text: bytes, start: int, at: int) -> Header | None:
    """Parses a header of RFC 5424 or of Meraki, if a relay that does not know it has put ``TIME HOST`` before it."""
    relay = RELAY_AND_VERSION.match(text, at)
    header = relay and _read(priority, text[relay.end() :])
    if not header or (header.shape in ("rfc3164", "none") and not (header.hostname and header.app_name)):
        return None
    shape = "rfc5424-relayed" if header.format == "rfc5424" else header.shape
    return header._replace(shape=shape, device=text[start:])


def _after_second_time(priority: bytes, text: bytes, start: int, at: int, first: Stamp) -> Header | None:
    """Parses the device's own header, if a relay has put its ``TIME`` or ``TIME HOST`` before it.

    Returns None if there is no second time, or if it is part of the text that an application has written.
    """
    second = cisco.second(priority, text, start, at, first)
    if second is None or second.header:
        return second and second.header
    gap = _AFTER_TIME.match(text, second.stamp.end)
    if gap is None:
        return None
    header = TIMED.read(priority, text, start, gap.end(), second.stamp)
    if header and header.shape != "level-before-tag":
        return header._replace(hostname=header.hostname or second.relay)
    host = RELAYED.match(text, gap.end())
    return host and tagged(priority, text, start, second.stamp, "relayed", host[1], host.end())
