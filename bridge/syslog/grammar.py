"""The words of the grammar that the careful reading, the shapes and the fast path share, and what a reading yields.

All expressions are possessive or bounded: time is linear in the frame, whatever it holds (parsing decision 14).
"""

import re
from typing import NamedTuple

from bridge.syslog.time_formats import FRACTION


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
    "All after the PRI and message counters, as sent."


# RFC 5424 section 6: PRI is 0..191 without leading zeros.
PRI = rb"<(%b)>"
PRIVAL = rb"[1-9]?[0-9]|1[0-8][0-9]|19[01]"
# RFC 3339, whose fraction may have up to nine digits in the field.
ISO_SECOND = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
ISO_OFFSET = rb"Z|[+-][0-9]{2}:[0-9]{2}"
# RFC 5424 section 6.3: [ID name="value" ...]; inside a value, `"`, `\` and `]` are escaped. Possessive, so linear.
SD_ELEMENT = rb'\[[^\s=\]"]++(?: [^\s=\]"]++="(?:[^"\\\]]++|\\[\x00-\xff])*+")*+\]'

# What may stand where a host is expected: no `key=value`, CSV, JSON or bracket, and no colon but inside an address.
HOST = rb"(?!%|:[^:])(?:[^\s:=,;\"{}\[\]<>|]++|:(?=\S))++"
LEVEL = rb"(?:emergency|emerg|panic|alert|critical|crit|error|err|warning|warn|notice|informational|info|debug)"
# %FACILITY-n-MNEMONIC, the facility and the mnemonic in one or more parts, the severity a digit or a letter.
MNEMONIC = rb"%[A-Za-z0-9_][A-Za-z0-9_/.]*+(?:-[A-Za-z0-9_/.]++){2,9}(?=[ ]?:| \[)"
# CEF and LEEF are the beginning of a text that begins so, never a tag.
CEF = rb"(?:CEF|LEEF):[ ]?[0-9]"
# RFC 3164 section 4.1.3: TAG ends at `:` or at `[pid]` followed by `:` or a blank; it never holds a blank. Not the
# scheme of a URL, not the hour of a time, and not the first key of `key=value`, whose value may be a time.
TAG = re.compile(
    rb"(?!CEF:|LEEF:|[0-9]++:[0-9]|[A-Za-z_]++=)([^\s:\[\]<>][^\s:\[]*+)(?:\[([^\]\s]*+)\](?::|(?= |\Z))|:(?!//))"
)  # fmt: skip

BOM = b"\xef\xbb\xbf"

RFC5424 = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (-|(?:%b)++)(?: ([\x00-\xff]*+))?"
    % (ISO_SECOND, FRACTION, ISO_OFFSET, SD_ELEMENT)
)
# The header before structured data that does not hold: its text stays in front of MSG (decision 5).
RFC5424_LOOSE = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (\[[\x00-\xff]*+)"
    % (ISO_SECOND, FRACTION, ISO_OFFSET)
)  # fmt: skip


def content_5424(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """The tag that RFC 3164 would have shown, and MSG: ``sshd[123]: text``."""
    if not app_name:
        return msg
    return app_name + (b"[" + procid + b"]" if procid else b"") + b": " + msg


def content_shown(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """The same of any header: Cisco's mnemonic is app-name and the beginning of MSG at once."""
    if app_name[:1] == b"%" and msg.startswith(app_name):
        return msg
    return content_5424(app_name, procid, msg)
