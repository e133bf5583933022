"""Defines the parsed header and the expressions shared by the reference parser, the shapes and the fast readers.

All expressions are possessive or bounded, so parsing time is linear in the frame length for any content.
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

# HOSTNAME is a name, an IPv4 or an IPv6 address, also with a zone id. A level in upper case, a time and the name `DST`,
# which some devices write after a zone, are not hosts.
_HEX, _HEX_2, _HEX_4 = rb"[0-9A-Fa-f]{1,4}", rb"[0-9A-Fa-f]{2}", rb"[0-9A-Fa-f]{4}"
IPV4 = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
IPV6 = (
    rb"(?:(?:%b(?::%b){0,6})?::(?:(?:%b:){0,6}(?:%b|%b))?|(?:%b:){7}%b|(?:%b:){6}%b)(?:%%[A-Za-z0-9_.-]{1,32})?"
    % (_HEX, _HEX, _HEX, IPV4, _HEX, _HEX, _HEX, _HEX, IPV4)
)  # fmt: skip
MAC = rb"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
UPPER_LEVEL = (
    rb"(?=[ACDEFINPSTVW][A-Z]{2})(?:EMERGENCY|EMERG|PANIC|ALERT|CRITICAL|CRIT|FATAL|SEVERE|ERROR|ERR|WARNING|WARN"
    rb"|NOTICE|INFORMATIONAL|INFO|VERBOSE|DEBUG|TRACE|FINE)"
)  # fmt: skip
_NAME = rb"[A-Za-z0-9_\x80-\xff][A-Za-z0-9_.+\x80-\xff-]*+"
NO_HOST = (
    rb"(?:"
    + UPPER_LEVEL
    + rb"|DST)[ :]|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[T ][0-9]|[0-9]{8}T[0-9]{6}"
    + rb"|[A-Z][a-z]{2} [ 0-3]?[0-9] [0-9]{1,2}:[0-9]"
    + rb"|\xef\xbb\xbf"
)
HOST = rb"(?!" + NO_HOST + rb")(?>(?:" + _NAME + rb"|-(?= ))(?!:[0-9A-Fa-f:])|" + IPV6 + rb")"
# Cisco's contexts: `asa-1/admin`. Elsewhere a word with a slash is not a host.
CISCO_HOST = HOST + rb"(?:/[A-Za-z0-9_.-]++)?"
LEVEL = rb"(?:emergency|emerg|panic|alert|critical|crit|error|err|warning|warn|notice|informational|info|debug)"
# `<facility.level> ` of syslogd of FreeBSD (`-v`) and of NetScaler, as names or numbers.
FACILITY_AND_LEVEL = (
    rb"<(?:(?:kern|user|mail|daemon|authpriv|auth|syslog|lpr|news|uucp|cron|ftp|ntp|security|console|local[0-7])\."
    + LEVEL + rb"|(?:1?[0-9]|2[0-3])\.[0-7])> ++"
)  # fmt: skip
# %FACILITY-n-MNEMONIC. Facility and mnemonic have one or more parts, the severity is a digit or a letter.
MNEMONIC = rb"%[A-Za-z0-9_][A-Za-z0-9_/.]*+(?:-[A-Za-z0-9_/.]++){2,9}(?=[ ]?:| \[)"
# `CEF:` and `LEEF:` are the beginning of the message, never a tag.
CEF = rb"(?:CEF|LEEF):[ ]?[0-9]"
# The module before a mnemonic: of Force10 and Dell (`%STKUNIT0-M:CP`), or the virtual device of NX-OS (`%$ VDC-1 %$`).
STACK_UNIT = rb"(?:%(?:[A-Z0-9]++(?:-[A-Z])?:[A-Z0-9]{1,4}|\$ [A-Za-z0-9_.-]{1,64} %\$) (?=%))?"
# RFC 3164 section 4.1.3: TAG ends at `[pid]` followed by `:` or a blank, or at `:`, and never contains a blank. Before
# `:` alone it must be the name of a program: not an address, a time, a drive letter or the scheme of a URL.
# Before a `[pid]` that begins with a digit it may be any word.
_NO_PROGRAM = (
    rb"\xef\xbb\xbf|[^A-Za-z_\x80-\xff\s:\[]++:|[A-Za-z]:[\\/]"
    # MAC and IPv6 addresses, and names with a port
    + rb"|" + MAC + rb"|%b(?:-%b){5}:|(?:%b\.){2}%b:" % (_HEX_2, _HEX_2, _HEX_4, _HEX_4)
    + rb"|(?:%b(?::%b){0,6})?::|(?:%b:){7}" % (_HEX, _HEX, _HEX)
    + rb"|[A-Za-z0-9-]++\.[A-Za-z0-9.-]*+:[0-9]{1,5}(?![A-Za-z0-9_])"
    + rb"|" + MNEMONIC.replace(b"%", b"%%")
    # Times: the clock, and the hour after a date
    + rb"|[^\s:\[]*+:[0-9]{2}:[0-9]{2}|\x28?[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T_-]?(?:[0-9]{2}:[0-9]|[0-9]{4})"
)  # fmt: skip
_PROGRAM = rb"[A-Za-z0-9_./+@$#~*%%\x28\x80-\xff-][A-Za-z0-9_./+@$#~*%%\x28\x29\x80-\xff-]*+"
_TAG_END = rb"(?::|(?= |\Z))"
_TAG = (
    rb"(?!CEF:|LEEF:)(?:(?![\"'`{}<])(%b[^\s\[]++)(?<!:)\[(%b[0-9][^\]\s]*+|-)\]" + _TAG_END
    + rb"|(?!" + _NO_PROGRAM + rb")(%b" + _PROGRAM + rb")(?:\[(%b[^\]\s]*+)\]" + _TAG_END + rb"|:(?!//)))"
)  # fmt: skip
TAG = re.compile(_TAG % (b"", b"", b"", b""))
"Groups 1 and 2 are a tag and its pid that begins with a digit. Groups 3 and 4 are any other tag and its pid."
TAG_FOLLOWS = rb"(?=" + _TAG % ((b"?:",) * 4) + rb")"
# A plain number, a name with `@`, a MAC address and an address with a port are a host only directly before a tag.
HOST_BEFORE_TAG = (
    rb"(?:(?![0-9]++(?:\.[0-9]++)? )"
    + HOST
    + rb"|(?:[0-9]++(?:\.[0-9]++)?|[A-Za-z0-9_.-]++@[A-Za-z0-9_.@-]++|"
    + MAC
    + rb"|"
    + IPV4
    + rb":[0-9]{1,5})(?= ++"
    + TAG_FOLLOWS
    + rb"))"
)

BOM = b"\xef\xbb\xbf"

RFC5424 = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (-|(?:%b)++)(?: ([\x00-\xff]*+))?"
    % (ISO_SECOND, FRACTION, ISO_OFFSET, SD_ELEMENT)
)
# A header before malformed structured data. The text of the data stays at the beginning of MSG.
RFC5424_LOOSE = re.compile(
    rb"1 (?:-|(%b)(%b)?(%b)) (\S++) (\S++) (\S++) (\S++) (\[[\x00-\xff]*+)" % (ISO_SECOND, FRACTION, ISO_OFFSET)
)


def content_5424(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """Returns MSG with the tag that RFC 3164 would have: ``sshd[123]: text``.

    One blank follows the tag. rsyslog's template for RFC 5424 puts another one before the text.
    """
    if not app_name:
        return msg
    return app_name + (b"[" + procid + b"]" if procid else b"") + b": " + msg.lstrip(b" \t")


def content_shown(app_name: bytes, procid: bytes, msg: bytes) -> bytes:
    """Returns tag and MSG for a header of any format. MSG that begins with a Cisco mnemonic gets no second tag.

    Cisco's mnemonic is both the APP-NAME and the beginning of MSG. The module of a stack may stand before it.
    """
    if app_name[:1] == b"%" and msg[:1] == b"%":
        return msg
    return content_5424(app_name, procid, msg)
