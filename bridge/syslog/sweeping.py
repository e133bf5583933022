"""The fast reading of reads in which frames of any kind stand side by side, where nothing is wanted but time and text.

One expression over the whole read, made from the tables of shapes: it takes headers off, with the time in groups, and
what it leaves between two headers is the text of the first. Frames that it does not know stand there too, whole, and go
through ``gleaning`` or, where that does not know them either, the careful reading. A property test holds all equal.

It accepts less than the careful reading and means the same: times in the commonest writings, then

- RFC 3164 with a plain host and tag, as in ``columns``
- what ``behind`` knows: the rows of ``shapes.timed``, then what is no row's, HOST and TAG where there are some
- RFC 5424, and what begins like it (``shapes.timed.AFTER_VERSION``)
- Cisco's and FortiGate's, as in ``vendors``; what has no time in front (``shapes.opening``)

Whatever comes first decides, as it does there: the alternatives are atomic.
"""

import re

from bridge.syslog import grammar, header, vendors
from bridge.syslog.behind import behind, in_block, rows
from bridge.syslog.columns import (
    ALWAYS,
    BOM,
    BSD,
    FRACTION,
    HOST,
    ISO,
    OFFSET,
    PRI,
    SD,
    WORD,
    Columns,
    are_times,
    careful,
)
from bridge.syslog.gleaning import NOT_5424, Row, glean
from bridge.syslog.shapes import KIWI, OPENINGS, TIMED, VERSIONED
from bridge.syslog.times import BLANK_ENDS_TIME

NEEDS = ALWAYS | {"text"}


# A single blank behind the time.
_NEXT = rb" (?=[^ :\n])"
# An app-name that ends with a colon is RFC 3164's tag, unless the two fields behind it are empty.
_FIELDS = WORD + b" " + WORD + b"(?:(?<!:) " + WORD + b" " + WORD + b"|(?<=:) - -) "
_RFC5424 = _FIELDS + b"(?:" + SD + b") " + BOM
_BAD_DATA = _FIELDS + rb"(?=\[)(?!(?:" + in_block(grammar.SD_ELEMENT) + rb")++(?:[ \n]|\Z))"
_OPENINGS = [row for row in OPENINGS.rows if row.name not in ("cisco-untimed", "cef-alone")]
# Without a pid, what follows must not be the rest of Cisco's header, or a time.
_TAG_ALONE = (
    rb"(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)[\[:])[a-z_][a-z_./-]*+"
    rb"(?:\[[0-9]++\]: (?!CEF:)|: (?=[a-z\[(\"'<]))"
)

_COUNTED = rb"(?P<counter>[0-9]++: )?"
# Behind a counter, a word and a colon may be Cisco's zone.
_NO_ZONE = rb"(?![A-Za-z]{1,8} ?: )"
_YEAR = rb"(?:19|20)[0-9]{2}"
_BSD_AND_YEAR = BSD + b" " + _YEAR + b"|" + BSD.replace(b" (?:[01]", b" " + _YEAR + b" (?:[01]")
_RELAY = BSD + BLANK_ENDS_TIME + _NEXT + b"(?!" + rows(TIMED.rows, "bsd") + b")" + HOST + b" "

# The letter of a group's name tells its column: second, date and time of day, fraction, offset.
_ALTERNATIVES = (
    _COUNTED + b"(?P<s_bsd>" + BSD + b")" + BLANK_ENDS_TIME + _NEXT + b"(?(counter)" + _NO_ZONE + b")" + behind("bsd"),
    b"(?P<version>1 )?(?P<s_iso>" + ISO + b")(?P<f_iso>" + FRACTION + b")(?P<o_iso>" + OFFSET + b")" + _NEXT
    + b"(?(version)(?>" + _RFC5424 + b"|" + _BAD_DATA + b"|" + NOT_5424 + b"(?:" + rows(VERSIONED.rows, "iso") + b"|"
    + behind("iso") + b"))|" + behind("iso") + b")",
    b"(?P<s_local>" + ISO.replace(b"T", b"[T ]") + b")" + BLANK_ENDS_TIME + _NEXT + behind("iso"),
    b"1 (?P<s_blank>" + ISO.replace(b"T", b" ") + b")" + BLANK_ENDS_TIME + _NEXT + rows(VERSIONED.rows, "iso"),
    b"(?P<s_year>" + _BSD_AND_YEAR + b")" + BLANK_ENDS_TIME + _NEXT + behind("bsd with a year"),
    b"1 (?P<s_epoch>[0-9]{10})(?P<f_epoch>" + FRACTION + rb")(?<=\.[0-9]{9})" + BLANK_ENDS_TIME + _NEXT
    + rows(VERSIONED.rows, "epoch"),
    vendors.CISCO,
    vendors.FORTINET,
    vendors.CISCO_UNTIMED,
    _RELAY + b"(?:(?P<s_relayed>" + BSD + b")" + BLANK_ENDS_TIME + _NEXT + _NO_ZONE + b"(?=" + grammar.HOST + b" )"
    + behind("bsd") + b"|" + vendors.CISCO_RELAYED + b")",
    b"(?=[A-Za-z])(?!" + grammar.CEF + b")" + rows(_OPENINGS, "", _TAG_ALONE),
)  # fmt: skip
_KIWI = b"(?:" + in_block(KIWI.pattern) + b")?"
_EXPRESSION = re.compile(rb"\n" + PRI + b" ?+" + _KIWI + b"(?:" + b"|".join(_ALTERNATIVES) + rb")[ \t]*+(?=.)")
_WIDTH = _EXPRESSION.groups + 1
_OF_COLUMN = {
    letter: [number for name, number in _EXPRESSION.groupindex.items() if name.startswith(letter + "_")]
    for letter in "sdtfo"
}


def sweep(block: bytes) -> Columns:
    """The columns ``NEEDS`` of a block's frames."""
    before, *parts = _EXPRESSION.split(block)
    texts = parts[_WIDTH - 1 :: _WIDTH]
    strange = _line_feeds(b"".join((before, *texts)))
    if _line_feeds(block) != len(texts) + strange:
        # A header with a line end inside is none.
        return careful(block, NEEDS)
    seconds = _column("s", parts)
    if any(dates := _column("d", parts)):
        clocks = _column("t", parts)
        seconds = [
            second or (date and date + b" " + clock) for second, date, clock in zip(seconds, dates, clocks, strict=True)
        ]
    if seconds and not are_times(seconds):
        return careful(block, NEEDS)
    fields = {"second": seconds, "fraction": _column("f", parts), "offset": _column("o", parts), "text": texts}
    return _with_strange(before, fields) if strange else Columns(len(texts), dict(fields))


def _column(letter: str, parts: list[bytes | None]) -> list[bytes]:
    """What the groups of one column have found, at most one of them in a row."""
    merged: list[bytes | None] | None = None
    for number in _OF_COLUMN[letter]:
        found = parts[number - 1 :: _WIDTH]
        if merged is None:
            merged = found
        elif any(found):
            merged = [one or other for one, other in zip(merged, found, strict=True)]
    return [value or b"" for value in merged or ()]


def _with_strange(before: bytes, known: dict[str, list[bytes]]) -> Columns:
    """The same with the frames that stand in the texts, each behind an LF."""
    rows: list[Row] = []
    blank: dict[int, bytes] = {}

    def read(frame: bytes) -> None:
        if (found := glean(frame)) is not None:
            rows.append(found)
        elif frame.strip(b" \t\r\n\0"):
            parts = header.read(frame)
            if not parts.msg.strip(b" \t"):
                blank[len(rows)] = frame
            rows.append((parts.second, parts.fraction, parts.offset, parts.msg.lstrip(b" \t")))

    for frame in before.split(b"\n")[1:]:
        read(frame)
    *times, texts = known.values()
    for row in zip(*times, texts, strict=True):
        if b"\n" not in row[3]:
            rows.append(row)
            continue
        text, *frames = row[3].split(b"\n")
        rows.append((*row[:3], text))
        for frame in frames:
            read(frame)
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    return Columns(len(rows), dict(zip(known, columns, strict=True)), blank)


def _line_feeds(data: bytes) -> int:
    # To delete them is much quicker than to count them.
    return len(data) - len(data.replace(b"\n", b""))
