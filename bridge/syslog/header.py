"""The careful reading of one frame: plain, slow, and the reference for the fast path in ``columns``.

Rules, from the first that holds (parsing decisions 1-7, 13):

1. PRI (RFC 5424 section 6.2.1, RFC 3164 section 4.1.1): ``<0>`` to ``<191>`` without leading zeros, a blank after it
   tolerated. Anything else is text. A leading octet count that a sender left in a datagram is stripped.
2. ``1 `` after the PRI starts RFC 5424 only if the whole header holds.
3. A time that is followed by a blank starts RFC 3164: TIME HOST TAG[PID]: MSG. HOST is missing where the first word
   ends in a colon or carries a pid; TAG is missing where no word before the first blank ends in a colon.
4. All else is ``none``: the text after the PRI, or the frame, is the message.

Nothing raises and nothing is lost: what is not read as header stays in ``msg``.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from bridge.syslog.timestamps import moment


class Header(NamedTuple):
    """One frame, taken apart into its own bytes; ``b""`` is a field that is absent or ``-``."""

    format: str
    "rfc5424, rfc3164 or none"
    shape: str
    "The name of the rule that matched."
    priority: bytes
    second: bytes
    fraction: bytes
    offset: bytes
    hostname: bytes
    app_name: bytes
    procid: bytes
    msgid: bytes
    structured_data: bytes
    msg: bytes
    content: bytes
    "Tag and MSG, as sent where the format has a tag; ``sshd[123]: text``."
    device: bytes
    "All after the PRI, as sent."


# --- The grammar, shared with the fast path -------------------------------------------------------------------------
# RFC 5424 section 6: PRI is 0..191 without leading zeros.
PRI = rb"<(%b)>"
PRIVAL = rb"[1-9]?[0-9]|1[0-8][0-9]|19[01]"
# RFC 3164 section 4.1.2, and what is sent in its place: day blank-padded, zero-padded or bare; fractions.
BSD_SECOND = rb"[A-Za-z]{3} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
# RFC 3339, whose fraction may have up to nine digits in the field.
ISO_SECOND = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
FRACTION = rb"[.,][0-9]{1,9}"
OFFSET = rb"Z|[+-][0-9]{2}:[0-9]{2}"
# RFC 5424 section 6.3: [ID name="value" ...]; inside a value, `"`, `\` and `]` are escaped. Possessive, so linear.
SD_ELEMENT = rb'\[[^\s=\]"]++(?: [^\s=\]"]++="(?:[^"\\\]]++|\\[\x00-\xff])*+")*+\]'

_COUNT = re.compile(rb"[1-9][0-9]{0,5} (?=<)")
_PRI = re.compile(rb"\s*+" + PRI % PRIVAL + rb" ?")
_RFC5424 = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (-|(?:%b)++)(?: ([\x00-\xff]*+))?"
    % (ISO_SECOND, FRACTION, OFFSET, SD_ELEMENT)
)
# The header before structured data that does not hold: its text stays in front of MSG (decision 5).
_RFC5424_LOOSE = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) ([\x00-\xff]++)" % (ISO_SECOND, FRACTION, OFFSET)
)
_TIME = re.compile(rb"(?:(%b)|(%b))(%b)?(%b)?(?::? |\Z)" % (BSD_SECOND, ISO_SECOND, FRACTION, OFFSET))
_HOST = re.compile(rb"(\S++) ++")
# TAG ends at `:` or at `[pid]` followed by `:` or a blank; a tag never holds a blank.
_TAG = re.compile(rb"([^\s:\[\]<>]++)(?:\[([^\]\s]*+)\](?::|(?= |$))|:)")
_NO_TAG = re.compile(rb"(?:CEF|LEEF):")
_BOM = b"\xef\xbb\xbf"
_LEAP_YEAR = datetime(2024, 7, 1, tzinfo=UTC)


def read(frame: bytes) -> Header:
    """Take one frame apart. A NUL, CR or LF at its end is the transport's and must be gone already."""
    start = match.end() if (match := _COUNT.match(frame)) else 0
    priority = b""
    if match := _PRI.match(frame, start):
        priority, start = match[1], match.end()
    elif start:
        start = 0
    device = frame[start:]
    if device.startswith(b"1 ") and (header := _rfc5424(priority, device)):
        return header
    return _rfc3164(priority, device) or Header(
        "none", "none", priority, b"", b"", b"", b"", b"", b"", b"", b"", device, device, device
    )


def _rfc5424(priority: bytes, device: bytes) -> Header | None:
    match = _RFC5424.fullmatch(device)
    structured, msg = (match[8], match[9] or b"") if match else (b"", b"")
    shape = "rfc5424"
    if match is None:
        # MSG after malformed structured data keeps its text; a word that starts no data is no RFC 5424 at all.
        match = _RFC5424_LOOSE.fullmatch(device)
        if match is None or not match[8].startswith(b"["):
            return None
        structured, msg, shape = b"", match[8], "rfc5424-malformed-data"
    second, fraction, offset = match[1] or b"", (match[2] or b"").replace(b",", b"."), match[3] or b""
    if second and not is_time(second, offset):
        return None
    hostname, app_name, procid, msgid = (b"" if f == b"-" else f for f in (match[4], match[5], match[6], match[7]))
    msg = msg.removeprefix(_BOM)
    return Header(
        format="rfc5424", shape=shape, priority=priority, second=second, fraction=fraction, offset=offset,
        hostname=hostname, app_name=app_name, procid=procid, msgid=msgid,
        structured_data=b"" if structured == b"-" else structured, msg=msg,
        content=content_5424(app_name, procid, msg), device=device,
    )  # fmt: skip


def content_5424(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """The tag that RFC 3164 would have shown, and MSG: ``sshd[123]: text``."""
    if not app_name:
        return msg
    return app_name + (b"[" + procid + b"]" if procid else b"") + b": " + msg


def _rfc3164(priority: bytes, device: bytes) -> Header | None:
    match = _TIME.match(device)
    if match is None:
        return None
    second, fraction, offset = match[1] or match[2], (match[3] or b"").replace(b",", b"."), match[4] or b""
    if not is_time(second, offset):
        return None
    rest = device[match.end() :].lstrip(b" ")
    hostname = b""
    word = _HOST.match(rest)
    if word and not word[1].endswith(b":") and not (_TAG.fullmatch(word[1]) and word[1].endswith(b"]")):
        hostname, rest = word[1], rest[word.end() :]
    content, app_name, procid, msg = rest, b"", b"", rest
    if not _NO_TAG.match(rest) and (tag := _TAG.match(rest)):
        app_name, procid = tag[1], tag[2] or b""
        # One blank separates tag and MSG; further ones are MSG's own.
        msg = rest[tag.end() :].removeprefix(b" ")
    return Header(
        format="rfc3164", shape="rfc3164", priority=priority, second=second, fraction=fraction, offset=offset,
        hostname=hostname, app_name=app_name, procid=procid, msgid=b"", structured_data=b"", msg=msg,
        content=content, device=device,
    )  # fmt: skip


def is_time(second: bytes, offset: bytes) -> bool:
    """Whether the text names a moment in some year (``Feb 29`` does, ``Feb 30`` does not)."""
    return moment(second, offset=offset, zone=UTC, received=_LEAP_YEAR) is not None
