"""Defines how the headers of whole reads are laid out: one row per layout, and one way to build an expression of a row.

A row accepts less than the reference parser, with the same meaning. The reference parser, or the general expression,
reads the frames that no row matches. ``mixed_formats`` builds an expression that captures columns, for any times.
``single_second`` builds one that ends where a column begins, for one second.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from bridge.syslog.columns import ALWAYS
from bridge.syslog.fast import plain_patterns as plain
from bridge.syslog.grammar import CEF, IPV4, LEVEL, UPPER_LEVEL
from bridge.syslog.shapes.cisco import MAY_BE_SECOND, OF_APPLICATION, TASK
from bridge.syslog.time_zones import ABBREVIATIONS


class Field(NamedTuple):
    """A part of a header that is a column, between other texts. It is optional if it has such texts."""

    name: str
    pattern: bytes
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A row of the table."""

    name: str
    parts: tuple[bytes | str | Field, ...]
    "Everything after the PRI: patterns, fields, and the names of columns that begin here and end with the frame."
    format: bytes = b"rfc3164"
    unknown: frozenset[str] = frozenset()
    "Columns that only the reference parser can read."


# --- parts ---
_HOST = (
    rb"(?![A-Z]{1,5}[ :]|[AP]M[.,]|(?:GMT|UTC)-[0-9]|" + UPPER_LEVEL + rb"[ :]|[0-9]++[ :]|[0-9]{4}(?:-|[0-9]{4}T))"
    rb"[A-Za-z0-9][A-Za-z0-9._-]*+"
)
_MONTH, _DAY, _CLOCK = plain.MONTH, plain.DAY, plain.CLOCK
_YEAR = rb"(?:19|20)[0-9]{2}"
_SECOND = b"(?:" + _YEAR + b" " + _MONTH + _DAY + b"|" + _MONTH + _DAY + b"(?: " + _YEAR + b")?) " + _CLOCK
_MNEMONIC = rb"(?!%(?:UC_|CCM_|Viptela))%[A-Za-z0-9_]++(?:-[A-Za-z0-9_]++){2,9}"
_ASA = rb"(?=%(?:ASA|FTD|PIX|FWSM)-)"
_COUNTER = rb"[0-9]*+: "
_ZONE = b"|".join(sorted(ABBREVIATIONS, reverse=True))
# Ordered otherwise than _ZONE, so that it is no call of that part: a call would not ignore case.
_ANY_CASE_ZONE = b"(?i:" + b"|".join(sorted(ABBREVIATIONS)) + b")"
PARTS = {b"cisco_second": _SECOND, b"cisco_host": _HOST, b"cisco_mnemonic": _MNEMONIC, b"zone": _ZONE}
"Parts that occur in several rows."
_CISCO_TEXT = ("content", "msg", "text", Field("app_name", _MNEMONIC + b"(?=:)"))
_FRACTION = Field("fraction", plain.FRACTION)
_CISCO_TIME = (Field("second", _SECOND), _FRACTION, Field("offset", _ZONE, b" ", b"(?=[ :])"))
_BSD_YEAR = _MONTH + _DAY + b" (?:" + _YEAR + b" " + _CLOCK + b"|" + _CLOCK + b"(?: " + _YEAR + b"(?= ))?)"
_ANY_TIME = (
    Field("second", _BSD_YEAR + b"|" + plain.ISO),
    _FRACTION,
    Field("offset", b"(?:" + plain.OFFSET + b")?"),
)
_ISO_TIME = (Field("second", plain.ISO), _FRACTION, Field("offset", plain.OFFSET))
_NAME, _TAG = Field("hostname", plain.HOST), Field("app_name", plain.TAG)
_HOST_WORD, _APP, _PID, _MSGID = (Field(name, plain.WORD) for name in ("hostname", "app_name", "procid", "msgid"))
# A tag ends with a pid or a colon. Cisco's mnemonic after a colon is the tag.
_AFTER_TAG = (
    rb"\]: |" + plain.COLON + rb"(?! *+\*?%)|" + plain.NO_MAC
    + rb":(?=(?:CEF:|[a-z_]++=\")[^\s\[]*+(?:\s|\Z)))", "msg", plain.TEXT_FOLLOWS, "text",
)  # fmt: skip
_WHOLE = ("device", "content", "msg", "text")
_NO_NAME = frozenset(("hostname",))
_OFFSET, _NO_FRACTION = Field("offset", rb"[+-](?:0[0-9]|1[0-4])[0-5][0-9]"), Field("fraction", b"")
_CISCO_HOST = Field("hostname", _HOST)
_XR_NODE = rb"(?![0-9/]++:)[A-Z0-9]{1,4}/[A-Z0-9/]++:"
_XR = (
    *_CISCO_TIME, b" ?: ", "content", rb"[A-Za-z0-9_./-]++\[", Field("procid", b"[0-9]++"), rb"\]: ", "msg", "text",
    Field("app_name", _MNEMONIC + b"(?= ?:)"),
)  # fmt: skip
_TAGGED = ("content", _TAG, rb"(?:\[", Field("procid", plain.PID), *_AFTER_TAG)
# Date and time of day are one field. ``second_of`` removes the key between them.
_DATE = (b"date=", Field("second", rb"[12][0-9]{3}-[0-9]{2}-[0-9]{2} time=" + _CLOCK), _FRACTION, b" ")
# Their lengths are limited, so that all pairs before the zone are in the part that the reference parser searches. No
# value may contain `key=`.
_VALUE = rb'(?:"[^"=\n]{0,60}+"|[^" \n=,;|]{0,60}+)'
_PAIRS = rb"(?:(?!tz=|timezone=)[A-Za-z0-9_]{1,20}+=" + _VALUE + b" ){0,16}+"
_DAY_AND_CLOCK = rb"[12][0-9]{3}-[0-9]{2}-[0-9]{2} " + _CLOCK
# NetScaler. A mnemonic after the colon, also after a zone, is Cisco's.
_PACKET_ENGINE = rb"[0-9]++-PPE-[0-9]++ : (?! *+(?:[A-Za-z]{1,8} ?: *+)?\*?%)"
# A word that is no tag, `-` or number.
_TEXT_WORD = rb"(?![-0-9])[^\s:\[]++ "
# The time of an application with text after it that cannot be HOST TAG: or the fields of RFC 5424.
_OWN_TIME = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]" + _CLOCK + rb"(?:\.[0-9]{1,9})? (?:[0-9]++ " + IPV4 + b" (?:- |" + _TEXT_WORD
    + rb")|\[[\w-]++\] " + _TEXT_WORD + b"(?![-0-9])|(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL) (?:" + _TEXT_WORD
    + b"){2}(?![-0-9]))"
)  # fmt: skip
# Texts that begin directly after the host: PAN-OS, CEF, LEEF, Snare, Cisco ISE, NetScaler, JSON (also after a word),
# `key=value`, and a log with its own time.
_TAGLESS = (
    rb"(?=[0-9A-Fx]*+,20[0-9]{2}/[0-9]{2}/[0-9]{2} |" + CEF
    + rb"|MSWinEventLog[ \t#,](?=[0-9])(?![^%\n]{0,20}%|\S*+ CEF:)"
    rb"|CISE_[A-Za-z_]++ [0-9]++ [0-9]++ [0-9]++ |" + _PACKET_ENGINE
    + rb"|[\"{\[](?![^\s:]*+ (?:-|[0-9]++) |[^\]\n]*+\]: )"
    rb"|[A-Za-z_]\w*+=(?!=)[^\s\[]*+(?= (?!(?:-|[0-9]++) )|\t)"
    b"|(?:" + OF_APPLICATION.pattern + b"|" + _OWN_TIME + rb")[^%\n]*+(?:\n|\Z)"
    b"|(?!" + LEVEL + rb" )[A-Za-z][A-Za-z0-9_-]*+ \{)"
)  # fmt: skip
_FACILITY = rb"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\."
# A number is a host only before a tag.
_NO_OTHER_NAME = rb" (?![0-9]++(?:\.[0-9]++)? |" + _FACILITY + b")"


def _no_other(*keys: bytes) -> bytes:
    """Returns an expression that fails if a key before `=` ends with one of these."""
    return rb"(?=[^=\n]*+(?:" + b"".join(b"(?<!" + key + b")" for key in keys) + rb"=[^=\n]*+)*+(?:\n|\Z))"


_RFC5424 = (
    b"1 ", *_ISO_TIME, b" ", _HOST_WORD, b" ", _APP, b"(?<!:) ", _PID, b" ", _MSGID, b" ",
    Field("structured_data", plain.SD), b"(?: " + plain.BOM + rb"(?=[ \t]*+.)|(?=\n|\Z))", "msg", rb"[ \t]*+", "text",
)  # fmt: skip
_BY_RELAY = plain.VALID_BSD + b" " + plain.HOST + rb" (?=1 (?:19|20)[0-9]{2}-)"

LAYOUTS = (
    Layout("rfc5424", ("device", *_RFC5424), b"rfc5424"),
    Layout("rfc3164", ("device", *_ANY_TIME, b" ", _NAME, b" ", *_TAGGED)),
    Layout("tagless", ("device", *_ANY_TIME, _NO_OTHER_NAME, _NAME, b" ", *_WHOLE[1:], _TAGLESS)),
    Layout("hostless", (
        "device", *_ANY_TIME, rb" (?![A-Z]{1,5}[\[()]|[AP]M[.,])", "content", _TAG, rb"\[", Field("procid", plain.PID),
        rb"\]: (?!%|" + MAY_BE_SECOND + b")", "msg", plain.TEXT_FOLLOWS, "text",
    )),
    # F5 writes the blade before the host and the level before the tag.
    Layout("f5", (
        "device", Field("second", plain.BSD), b" (?:slot[0-9]++/)?", _NAME, b" " + LEVEL + b" ", "content", _TAG,
        rb"(?:\[", Field("procid", b"[0-9]++"), *_AFTER_TAG,
    )),
    Layout("fortinet", (
        *_WHOLE, *_DATE, rb'devname=(?:"(?=[^" ]++" )|(?![^ ]*+"))',
        Field("hostname", rb"[A-Za-z0-9][A-Za-z0-9._-]{0,60}+"), b'"?+ devid=' + _VALUE + b" " + _PAIRS + b'tz="',
        _OFFSET, rb'"(?![^ \n])',
    ), b"none"),
    Layout("fortimail", (*_WHOLE, *_DATE, b"device_id=" + _no_other(b"tz", b"zone", b"eventtime")), b"none", _NO_NAME),
    # A `tz` anywhere would take precedence.
    Layout("sophos", (
        *_WHOLE, b'device="[A-Z]++" ', *_DATE, b'timezone="',
        Field("offset", _ZONE + rb"|[+-](?:0[0-9]|1[0-4])[0-5][0-9]"), rb'"(?!.*tz=)',
    ), b"none", _NO_NAME),
    Layout("sophos-model", (
        *_WHOLE, b"device_name=" + _VALUE + b' timestamp="', *_ISO_TIME[:2], _OFFSET, b'" ' + _no_other(b"time"),
    ), b"none", _NO_NAME),
    # SonicWall and Stormshield. A `date` or `eventtime` anywhere would take precedence, and so would another zone.
    Layout("sonicwall", (
        "device", "content", "msg", b" {0,3}+", "text", b"id=firewall sn=" + _VALUE + b' time="',
        Field("second", _DAY_AND_CLOCK), _NO_FRACTION, Field("offset", b"UTC", b" ", b'(?=")'),
        b'" ' + _no_other(b"date", b"ntime", b"tz", b"timezone"),
    ), b"none", _NO_NAME),
    Layout("stormshield", (
        *_WHOLE, b'id=firewall time="', Field("second", _DAY_AND_CLOCK), _NO_FRACTION, b'" fw=' + _VALUE + b" tz=",
        _OFFSET, b" " + _no_other(b"date", b"ntime"),
    ), b"none", _NO_NAME),
    Layout("meraki", (
        "device", b"(?:1 )?", Field("second", b"[1-9][0-9]{9}"), Field("fraction", rb"\.[0-9]{1,9}"), b" ",
        Field("hostname", rb"(?![0-9]++ )[A-Za-z0-9_.-]++"), b" ", *_WHOLE[1:], b"(?=[a-z][a-z_-]++ )",
    )),
    Layout("netscaler", (
        "device", Field("second", b"(?:[0-9]{2}/[0-9]{2}/" + _YEAR + b"|" + _YEAR + b"/[0-9]{2}/[0-9]{2}):" + _CLOCK),
        _NO_FRACTION, Field("offset", _ZONE, b" ", b"(?= )"), Field("hostname", plain.HOST, b" ++", b"(?= )"),
        b" ++", *_WHOLE[1:], b"(?=" + _PACKET_ENGINE + rb"|CEF:0\|)",
    )),
    Layout("cisco-untimed", ("device", Field("second", b""), *_CISCO_TEXT)),
    # ASA's EMBLEM format has no counter before the colon.
    Layout("cisco-counted", (
        b"(?:(?:" + _COUNTER + b"){1,2}|:(?! ))[*.]?", "device", *_CISCO_TIME, b": ", *_CISCO_TEXT,
    )),
    Layout("cisco-origin", (
        b"(?:" + _COUNTER + b")?", "device", _CISCO_HOST, b": (?:" + _COUNTER + b")?" + TASK + b"[*.]?",
        *_CISCO_TIME, b": ", *_CISCO_TEXT,
    )),
    Layout("cisco-timed", (
        "device", *_CISCO_TIME, b"(?:: | (?!" + _ANY_CASE_ZONE + b" ?:)", _CISCO_HOST, b"(?: : |: " + _ASA + b"| ))",
        *_CISCO_TEXT,
    )),
    Layout("cisco-iso", (
        "device", *_ISO_TIME, b"(?:(?:: | ++)(?=%)| ", _CISCO_HOST, b"(?: : |: " + _ASA + b"| ))", *_CISCO_TEXT,
    )),
    Layout("cisco-xr", (b"(?:" + _COUNTER + b")?" + _XR_NODE, "device", *_XR)),
    Layout("cisco-xr-origin", (
        b"(?:" + _COUNTER + b")?", "device", b"(?!" + _MONTH + b" |[0-9]{9})", _CISCO_HOST, b"(?: :|:)? " + _XR_NODE,
        *_XR,
    )),
    Layout("cisco-relayed", (
        "device", plain.VALID_BSD + b" ", _CISCO_HOST, b" (?:: |(?:[0-9]++: ){1,2})?[*.]?", *_CISCO_TIME, b": ",
        *_CISCO_TEXT,
    )),
    Layout("comware", (
        "device", *_ANY_TIME, b" ", _NAME, b" ", *_WHOLE[1:],
        Field("app_name", rb"%%[0-9]{2}[A-Za-z0-9_]++/[0-7]/[A-Za-z0-9_]++"),
    )),
    Layout("procurve", (
        "device", *_ANY_TIME, b" ", _NAME, b" ", "content", rb"[0-9]{5} ", Field("app_name", rb"[A-Za-z][\w-]*+"),
        rb": ?+(?![:%*.])", "msg", plain.TEXT_FOLLOWS, "text",
    )),
    # The time has no zone, and the host follows without a blank. The lookahead excludes `-`, which a field of RFC 5424
    # may be elsewhere.
    Layout("proxysg", (
        "device", b"1 ", Field("second", plain.ISO), _NO_FRACTION, Field("offset", b""),
        rb"(?=(?![A-Z]{1,5}(?: |[+-]))[A-Za-z][A-Za-z0-9._-]*+ bluecoat - access_log - )",
        Field("hostname", plain.WORD), b" ", Field("app_name", b"bluecoat"), b" - ", Field("msgid", b"access_log"),
        b" - ", "msg", rb"(?=[!-~])", "text",
    ), b"rfc5424"),
    Layout("versioned-cef", (
        "device", b"1 ", *_ISO_TIME, b" ", _NAME, b" ", *_WHOLE[1:], b"(?=" + CEF + rb")(?!\S++ \S++ \S++ [-\[])",
    )),
    Layout("facility-and-level", (
        "device", *_ANY_TIME, b" " + _FACILITY + LEVEL + b" (?!(?:" + LEVEL + b"|" + IPV4 + b") )", _NAME, b" ",
        *_TAGGED,
    )),
    Layout("unifi", (
        "device", *_ANY_TIME, b"(?: (?!(?:[A-Z]{1,5}|[0-9]{4}),)", _NAME,
        rb"[, ]| )[0-9A-Fa-f]{12},[A-Za-z0-9_.+-]++:? ++(?:: ++)?", *_TAGGED,
    )),
    Layout("host-and-address", (
        "device", *_ANY_TIME, b" ", _NAME, b" " + IPV4 + rb" (?=[^\s:\[\]]++\[[0-9]++\]:)", *_TAGGED,
    )),
    Layout("watchguard", (
        "device", *_ANY_TIME, b" ", _NAME, rb" (?:[0-9A-Z]{6,20} )?\((?:[0-9]{4}(?:-[0-9]{2}){2}T)?" + _CLOCK + rb"\) ",
        *_TAGGED,
    )),
    Layout("clavister", (
        *_WHOLE, rb"\[", Field("second", _DAY_AND_CLOCK), _NO_FRACTION, rb"\] EFW: [A-Z][A-Z0-9_]*+: prio=",
    ), b"none", _NO_NAME),
    Layout("rfc5424-relayed", ("device", _BY_RELAY, *_RFC5424), b"rfc5424"),
    Layout("rfc5424-without-version", (
        "device", *_ISO_TIME, b" ", _NAME, b" ", Field("app_name", rb"[A-Za-z][A-Za-z0-9_.-]*+"), b" ",
        Field("procid", b"-|[0-9]++"), b" ", Field("msgid", b"-|[A-Z][A-Z0-9_]*+"), b" ",
        Field("structured_data", plain.SD), rb"(?: (?!\xef\xbb\xbf)(?=[ \t]*+.)|(?=\n|\Z))", "msg", rb"[ \t]*+", "text",
    ), b"rfc5424"),
)  # fmt: skip
PLAIN_5424, PLAIN_3164 = LAYOUTS[:2]
_RELAYED_5424 = LAYOUTS[-2]
_ITS_FIELDS = (
    b"(?= " + plain.HOST + rb" [A-Za-z][A-Za-z0-9_.-]*+ (?:-|[0-9]++) (?:-|[A-Z][A-Z0-9_]*+) )(?!.*\xef\xbb\xbf)"
)  # fmt: skip


def up_to_auto(layout: Layout, *marks: bytes) -> Layout:
    """Returns the layout up to the column ``auto``: itself if it has no structured data. ``marks`` are those of
    ``plain_patterns.after_offset_auto``."""
    if not any(isinstance(part, Field) and part.name == "structured_data" for part in layout.parts):
        return layout
    begin, end = {PLAIN_5424: (b"1 ", b""), _RELAYED_5424: (_BY_RELAY + b"1 ", b"")}.get(layout, (b"", _ITS_FIELDS))
    return Layout(layout.name, (begin, *_ISO_TIME, end, plain.after_offset_auto(*marks)), b"rfc5424")


def expression(
    layout: Layout, needs: frozenset[str], given: Mapping[str, bytes] = MappingProxyType({}), until: str = "",
    *, blank: bool = False,
) -> bytes:  # fmt: skip
    """Returns the expression of a layout after the PRI. Its groups are the columns ``needs``.

    It matches whole frames or, with ``until``, ends where that column begins, and the group of a column that begins
    before ends where the next one begins. That column is not empty, unless it may be ``blank``. Fields that are
    ``given`` are literal.
    """
    # One blank after the PRI does not belong to the payload.
    pattern, closing, opened = b" ?+", b"", b""
    for part in layout.parts:
        if isinstance(part, bytes):
            pattern += part
            continue
        name = part if isinstance(part, str) else part.name
        group = b"(?P<" + name.encode() + b">" if name in needs else b""
        if isinstance(part, str):
            if until and (group or name == until):
                pattern, opened = pattern + opened, b")"
            pattern += b"(?=" if name == until else group
            closing += b")" * (name == until or (name in needs and not until))
        elif name not in given:
            field = (group or b"(?:") + part.pattern + b")"
            pattern += b"(?:" + part.before + field + part.after + b")?" if part.before else field
        elif text := given[name]:
            pattern += part.before + re.escape(text) + part.after
    return pattern + (b"." if until and closing and not blank else b"" if until else b".*+") + closing


def layout_of(block: bytes, needs: frozenset[str]) -> tuple[Layout | None, dict[str, bytes]]:
    """Returns the first layout that matches the first frame of a block and can read the columns ``needs``, and the
    fields of its time."""
    for layout in LAYOUTS:
        found = None if needs & layout.unknown else _first(layout).match(block)
        if found:
            return layout, found.groupdict(b"")
    return None, {}


@cache
def _first(layout: Layout) -> re.Pattern[bytes]:
    return re.compile(rb"\n" + plain.PRI + expression(layout, ALWAYS))


def second_of(found: bytes) -> bytes:
    """Returns the text of a second without the key that FortiGate and Sophos write before the time of day."""
    return found.replace(b" time=", b" ")
