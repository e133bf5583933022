"""Finds the times of texts whose time is one of their values: ``key=value``, CEF, and JSON.

One expression runs over all such texts of a read in PCRE2 and replaces each text by the values. They repeat within a
second, so their time is looked up. A text that an expression does not match is left to the reference parser. As in
``shapes.keyvalue``, the first value of a repeated key is used. A longer text than is searched there does not match.
"""

import re
from collections.abc import Sequence

from bridge.syslog.shapes import keyvalue
from bridge.syslog.shapes.shape import NO_TIME
from bridge.syslog.time_formats import Stamp
from bridge.util.rewriter import Rewriter, rewriter

_BEGIN = rb"\n(?!.{2000})"
# The groups are the values of six keys, found in one pass over the pairs.
_KEYS = (b"date", b"time", b"tz", b"timezone", b"eventtime", b"timestamp")
_VALUE = rb'=(?|"(?P<%b>[^"\n]*+)"|(?P<%b>[^\s,;|"]*+))'
_WANTED = b"|".join(b"(?(" + key + b")(?!))" + key + _VALUE % (key, key) for key in _KEYS)
_pairs = rewriter(
    _BEGIN + rb"(?>(?=[det])(?:" + _WANTED + b")"
    + rb'|[A-Za-z_][\w.-]*+(?:=(?:"[^"\n]*+"|[^\s,;|"\n]*+))?+|[0-9.-][\w.-]*+|[^\w.\n-])*+(?=\n|\Z)',
    b"\n\t" + b"\t".join(b"${%b}" % key for key in _KEYS)
)  # fmt: skip
_cef = rewriter(_BEGIN + rb"(?>[^ |\n]++|[ |](?!rt=[^=|\n]))*+(?:.rt=(?P<rt>[^=|\n]++).*+)?+(?=\n|\Z)", b"\n\t${rt}")
# The groups are the members before any nested object. A text with a member of these names elsewhere does not match.
_MEMBER = rb'"(?i:%b)"[ \t\r\f\x0b]*+:[ \t\r\f\x0b]*+"%b"'
_ANY = _MEMBER % (b"|".join(keyvalue.TIME_MEMBERS), rb'[^"\\\n]*+')
_OWN = b"|".join(
    b"(?(%b)(?!))" % group + _MEMBER % (name, rb'(?P<%b>[^"\\\n\t{\[]++)' % group)
    for name, group in zip(keyvalue.TIME_MEMBERS, (b"a", b"b", b"c", b"d", b"e"), strict=True)
)
_json = rewriter(
    _BEGIN + rb"(?>[^,{\[\n]++|(?:,|(?<=\n)\{)[ \t\r\f\x0b]*+(?:" + _OWN + b"|(?!" + _ANY + b")))*+"
    + rb"(?>[^,{\n]++|[,{](?![ \t\r\f\x0b]*+" + _ANY + rb"))*+(?=\n|\Z)",
    b"\n\t${a}\t${b}\t${c}\t${d}\t${e}",
)  # fmt: skip
_ISO = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


def times_of_pairs(texts: Sequence[bytes]) -> list[Stamp | None]:
    """Returns the time of each ``key=value`` text, or None where the reference parser must read it."""
    stamps = (values and keyvalue.time_of_values(values) for values in _values(_pairs, texts))
    return [stamp if stamp and stamp.second else None for stamp in stamps]


def times_of_cef(texts: Sequence[bytes]) -> list[Stamp | None]:
    """Returns the time of each CEF text, which may have none, or None where the reference parser must read it."""
    values = _values(_cef, texts)
    return [None if value is None else keyvalue.time_of_rt(value) if value else NO_TIME for value in values]


def times_of_json(texts: Sequence[bytes]) -> list[Stamp | None]:
    """Returns the time of each JSON object, which may have none, or None where the reference parser must read it."""
    return [None if members is None else _time_of(members) for members in _values(_json, texts)]


def _time_of(members: bytes) -> Stamp:
    value = next(filter(None, members.split(b"\t")), b"")
    # Times with a fraction hardly repeat, so each would be a cache miss.
    if found := _ISO.fullmatch(value):
        return Stamp(found[1], found[2] or b"", found[3] or b"", 0, "")
    return keyvalue.time_of_member(value)


def _values(rewrite: Rewriter | None, texts: Sequence[bytes]) -> list[bytes | None]:
    """Returns the values of each text, each after a TAB but the first, or None for a text that does not match."""
    rewritten = rewrite(b"\n" + b"\n".join(texts)) if rewrite else None
    lines = rewritten[0].split(b"\n")[1:] if rewritten else []
    if len(lines) != len(texts):
        return [None] * len(texts)
    return [line[1:] if line[:1] == b"\t" else None for line in lines]
