"""Defines the parsed header and the expressions shared by the reference parser, the shapes and the fast readers.

All expressions are possessive or bounded, so parsing time is linear in the frame length for any content (parsing
decision 14).
"""

import re
from typing import NamedTuple

from bridge.syslog.time_formats import FRACTION


class Header(NamedTuple):
    """The fields of one frame, as bytes of that frame. ``b""`` stands for a field that is absent or ``-``."""

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
    "Tag and MSG: ``sshd[123]: text``. As sent if the format has a tag."
    device: bytes
    "Everything after the PRI and message counters, as sent."


# RFC 5424 section 6: PRI is 0 to 191 without leading zeros.
PRI = rb"<(%b)>"
PRIVAL = rb"[1-9]?[0-9]|1[0-8][0-9]|19[01]"
# RFC 3339. Devices write fractions of up to nine digits.
ISO_SECOND = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
ISO_OFFSET = rb"Z|[+-][0-9]{2}:[0-9]{2}"
# RFC 5424 section 6.3: [ID name="value" ...]. Inside a value, `"`, `\` and `]` are escaped. Possessive, so linear.
SD_ELEMENT = rb'\[[^\s=\]"]++(?: [^\s=\]"]++="(?:[^"\\\]]++|\\[\x00-\xff])*+")*+\]'

# Text accepted as a host: no `key=value`, CSV, JSON or bracket. A colon is accepted only inside an address.
HOST = rb"(?!%|:[^:])(?:[^\s:=,;\"{}\[\]<>|]++|:(?=\S))++"
LEVEL = rb"(?:emergency|emerg|panic|alert|critical|crit|error|err|warning|warn|notice|informational|info|debug)"
# %FACILITY-n-MNEMONIC. Facility and mnemonic have one or more parts, the severity is a digit or a letter.
MNEMONIC = rb"%[A-Za-z0-9_][A-Za-z0-9_/.]*+(?:-[A-Za-z0-9_/.]++){2,9}(?=[ ]?:| \[)"
# `CEF:` and `LEEF:` are the beginning of the message, never a tag.
CEF = rb"(?:CEF|LEEF):[ ]?[0-9]"
# RFC 3164 section 4.1.3: TAG ends at `:` or at `[pid]` followed by `:` or a blank, and never contains a blank. The
# scheme of a URL, the hour of a time, and the first key of `key=value` (whose value may be a time) are not tags.
TAG = re.compile(
    rb"(?!CEF:|LEEF:|[0-9]++:[0-9]|[A-Za-z_]++=)([^\s:\[\]<>][^\s:\[]*+)(?:\[([^\]\s]*+)\](?::|(?= |\Z))|:(?!//))"
)  # fmt: skip

BOM = b"\xef\xbb\xbf"

RFC5424 = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (-|(?:%b)++)(?: ([\x00-\xff]*+))?"
    % (ISO_SECOND, FRACTION, ISO_OFFSET, SD_ELEMENT)
)
# A header before malformed structured data. The text of the data stays at the beginning of MSG (decision 5).
RFC5424_LOOSE = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (\[[\x00-\xff]*+)" % (ISO_SECOND, FRACTION, ISO_OFFSET)
)


def content_5424(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """Returns MSG with the tag that RFC 3164 would have: ``sshd[123]: text``."""
    if not app_name:
        return msg
    return app_name + (b"[" + procid + b"]" if procid else b"") + b": " + msg


def content_shown(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """Returns tag and MSG for a header of any format. MSG that begins with a Cisco mnemonic gets no second tag.

    Cisco's mnemonic is both the APP-NAME and the beginning of MSG.
    """
    if app_name[:1] == b"%" and msg.startswith(app_name):
        return msg
    return content_5424(app_name, procid, msg)
