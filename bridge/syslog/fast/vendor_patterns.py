"""Defines expressions for the vendor headers that fill whole reads: Cisco and FortiGate.

Like those of ``fields``, they accept less than the reference parser, with the same meaning. The reference parser reads
the frames that do not match. ``fields`` uses an expression if the first frame of a read is of its kind.
"""

import re
from collections.abc import Callable

from bridge.syslog.grammar import UPPER_LEVEL
from bridge.syslog.time_formats import MONTHS
from bridge.syslog.time_zones import ABBREVIATIONS

Group = Callable[[str, bytes], bytes]
"Makes a group from a column's name and pattern. The group captures only if the column is requested."
Opening = Callable[[str], bytes]
"Returns the opening of such a group, from a column's name. The caller adds the closing parenthesis."

_HOST = (
    rb"(?![A-Z]{1,5}[ :]|(?:GMT|UTC)-[0-9]|" + UPPER_LEVEL + rb"[ :]|[0-9]++[ :]|[0-9]{4}-)"
    rb"[A-Za-z0-9][A-Za-z0-9._-]*+"
)
_CLOCK = rb" (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_SECOND = b"(?:" + b"|".join(MONTHS) + rb") (?: [1-9]|0[1-9]|[12][0-9]|3[01])(?: (?:19|20)[0-9]{2})?" + _CLOCK
_MNEMONIC = rb"(?!%(?:UC_|CCM_|Viptela))%[A-Za-z0-9_]++(?:-[A-Za-z0-9_]++){2,9}"
_ASA = rb"(?=%(?:ASA|FTD|PIX|FWSM)-)"
_COUNTER = rb"[0-9]*+: "
_ZONE = b"|".join(sorted(ABBREVIATIONS, reverse=True))
_OFFSET = rb"[+-](?:0[0-9]|1[0-4])[0-5][0-9]"

_KINDS = (
    ("cisco-untimed", re.compile(rb"<[0-9]{1,3}>%[A-Za-z]")),
    ("fortinet", re.compile(rb"<[0-9]{1,3}>date=[0-9-]{10} time=[0-9:]{8} devname=")),
    ("cisco-counted", re.compile(rb"<[0-9]{1,3}>(?:[0-9]*+: ){1,2}[*.]?[A-Z][a-z]{2} ")),
    ("cisco-origin", re.compile(rb"<[0-9]{1,3}>(?:[0-9]*+: )?[A-Za-z0-9._-]++: (?:[0-9]*+: )?[*.]?[A-Z][a-z]{2} ")),
    ("cisco-timed", re.compile(rb"<[0-9]{1,3}>[A-Z][a-z]{2} [^%]{,120}: %")),
)  # fmt: skip


def kind_of(frame: bytes) -> str:
    """Returns the kind of a frame without plain header, or an empty string if there is no expression for it."""
    return next((kind for kind, expression in _KINDS if expression.match(frame)), "")


def pattern(kind: str, group: Group, opening: Opening) -> bytes:
    """Returns the expression for everything after the PRI, up to the end of the frame."""
    if kind == "fortinet":
        return _fortinet(group, opening)
    if kind == "cisco-untimed":
        return opening("device") + group("second", b"") + _text(group, opening) + b")"
    if kind == "cisco-counted":
        return (
            b"(?:" + _COUNTER + b"){1,2}[*.]?" + opening("device") + _time(group) + b": " + _text(group, opening) + b")"
        )
    if kind == "cisco-origin":
        return (
            b"(?:" + _COUNTER + b")?" + opening("device") + group("hostname", _HOST) + b": (?:" + _COUNTER + b")?[*.]?"
            + _time(group) + b": " + _text(group, opening) + b")"
        )  # fmt: skip
    return (
        opening("device") + _time(group) + b"(?:: | " + group("hostname", _HOST) + b"(?: : |: " + _ASA + b"))"
        + _text(group, opening) + b")"
    )  # fmt: skip


def _time(group: Group) -> bytes:
    return (
        group("second", _SECOND) + group("fraction", rb"(?:\.[0-9]{1,9})?") + b"(?: " + group("offset", _ZONE)
        + b"(?=[ :]))?"
    )  # fmt: skip


def _text(group: Group, opening: Opening) -> bytes:
    return opening("content") + opening("msg") + opening("text") + group("app_name", _MNEMONIC) + b":.*+)))"


def _fortinet(group: Group, opening: Opening) -> bytes:
    # Uses the first `tz=` within 1,900 bytes. No quoted value before it may contain `key=`.
    return (
        opening("device") + opening("content") + opening("msg") + opening("text")
        + rb'(?=.{0,1900}? tz="' + _OFFSET + rb'")'
        + b"date=" + group("date", rb"[12][0-9]{3}-[0-9]{2}-[0-9]{2}") + b" time=" + group("clock", _CLOCK[1:])
        + rb' devname="?' + group("hostname", rb"[A-Za-z0-9][A-Za-z0-9._-]*+") + rb'"? devid='
        + rb'(?:"[^"=\n]*+"|[^" \n=,;|]*+)(?: (?!tz=|timezone=)[A-Za-z0-9_]++=(?:"[^"=\n]*+"|[^" \n=,;|]*+))*+ tz="'
        + group("offset", _OFFSET) + rb'"(?![^ \n]).*+))))'
    )  # fmt: skip
