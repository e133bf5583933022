"""Converts the zone of a timestamp: offsets, and the abbreviations that devices write.

An abbreviation may stand for several zones (IST, CST, BST). The table has the one that network devices use most. If a
name is not in the table, the zone of the source is used.
"""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache

# Minutes east of Greenwich.
ABBREVIATIONS: dict[bytes, int] = {
    b"UTC": 0, b"GMT": 0, b"UCT": 0, b"WET": 0, b"WEST": 60, b"BST": 60, b"IST": 330,
    b"CET": 60, b"CEST": 120, b"MET": 60, b"MEST": 120, b"MEZ": 60, b"MESZ": 120, b"SAST": 120,
    b"WAT": 60, b"CAT": 120, b"EAT": 180, b"IDT": 180, b"EET": 120, b"EEST": 180, b"MSK": 180, b"TRT": 180,
    b"GST": 240, b"PKT": 300, b"ICT": 420, b"WIB": 420, b"WITA": 480, b"WIT": 540,
    b"HKT": 480, b"SGT": 480, b"AWST": 480, b"JST": 540, b"KST": 540, b"ACST": 570, b"AEST": 600, b"ACDT": 630,
    b"AEDT": 660, b"NZST": 720, b"NZDT": 780,
    b"NST": -210, b"NDT": -150, b"AST": -240, b"ADT": -180, b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300,
    b"MST": -420, b"MDT": -360, b"PST": -480, b"PDT": -420, b"AKST": -540, b"AKDT": -480, b"HST": -600,
    b"BRT": -180, b"ART": -180, b"CLT": -240, b"CLST": -180,
}  # fmt: skip

# Hours alone are the names of zones without an abbreviation: `-03` is Brazil.
OFFSET = rb"[+-](?:[0-9]{2}:?[0-9]{2}|[0-9]:[0-9]{2}|(?:0[0-9]|1[0-4])(?![0-9]|:[0-9]))"
_NAMES = b"|".join(sorted(ABBREVIATIONS, reverse=True))
# Java writes `GMT+01:00`. A name in lower case is a zone only before a colon, as IOS writes it. PIX writes name and
# offset (`PST -8:00`). `DST` stands after a zone, or alone for an unknown one.
ZONE = (
    rb"(?:(?:[Zz]|" + OFFSET + rb")(?![A-Za-z0-9_/.-])| {0,2}(?:" + OFFSET
    + rb"|(?:GMT|UTC)(?:\+[0-9]{1,2}(?::?[0-9]{2})?|-[0-9]{1,2}(?::?[0-9]{2})?)"
    + rb"|[A-Z]{1,5} [+-][0-9]{1,2}:[0-9]{2}|(?:" + _NAMES + rb")(?: DST)?|DST|Z(?=[ :])|(?:"
    + _NAMES.lower() + rb")(?= ?:))(?![A-Za-z0-9_/.-]))"
)  # fmt: skip
"Expression for the zone after a time, including the blanks before it."

_OFFSET = re.compile(rb"(?:GMT|UTC|[A-Z]{1,5} )?([+-])([0-9]{1,2}):?([0-9]{2})?")
_DST = b" DST"
_SUMMER = re.compile(rb"[A-Z]+DT |WEST |BST |CEST |MES[TZ] |EEST |CLST ")


@lru_cache(maxsize=1000)
def zone_of(text: bytes) -> tzinfo | None:
    """Returns the zone of ``Z``, ``+01:00``, ``GMT+1``, ``CEST``, ``CET DST`` or ``PST -8:00``.

    Returns None if the text is not a zone, or an unknown name.
    """
    minutes = 0 if text in (b"Z", b"z") else ABBREVIATIONS.get(text.removesuffix(_DST).upper())
    if minutes is not None:
        minutes += 60 if text.endswith(_DST) and not _SUMMER.match(text) else 0
        return timezone(timedelta(minutes=minutes)) if minutes else UTC
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3] or 0) > 59:
        return None
    delta = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    return timezone(-delta if match[1] == b"-" else delta)
