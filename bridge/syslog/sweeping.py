"""The fast reading of reads in which frames of any kind stand side by side, where nothing is wanted but time and text.

One expression over the whole read, made from the tables of shapes: it takes headers off, with the time in groups, and
what it leaves between two headers is the text of the first. Frames that it does not know stand there too, whole, and go
through the careful reading. A property test holds both equal.

It accepts less than the careful reading and means the same: times in the commonest writings, then

- RFC 3164 with a plain host and tag, as in ``columns``
- the rows of ``shapes.timed`` in their order, then what is no row's: HOST and TAG where there are some
- RFC 5424, and what begins like it (``shapes.timed.AFTER_VERSION``)
- Cisco's and FortiGate's, as in ``vendors``; what has no time in front (``shapes.opening``)

Whatever comes first decides, as it does there: the alternatives are atomic.
"""

import re
from collections.abc import Iterable

from bridge.syslog import grammar, vendors
from bridge.syslog.columns import (
    ALWAYS,
    BOM,
    BSD,
    COLON,
    FRACTION,
    HOST,
    ISO,
    OFFSET,
    PID,
    PRI,
    SD,
    TAG,
    WORD,
    Columns,
    append_careful,
    are_times,
    careful,
)
from bridge.syslog.shapes import KIWI, OPENINGS, TIMED, VERSIONED, Shape, cisco, keyvalue
from bridge.syslog.times import BLANK_ENDS_TIME

NEEDS = ALWAYS | {"text"}


def _in_block(pattern: bytes) -> bytes:
    """A row's pattern as a part of the expression: without groups, and with a frame's end where the text's end was."""
    pattern = re.sub(rb"\(\?P<\w+>", b"(?:", pattern)
    pattern = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", pattern)
    pattern = pattern.replace(rb"\\[\x00-\xff]", rb"\\.").replace(rb'[^"\\\]]', rb'[^"\\\]\n]')
    return pattern.replace(rb"\Z", rb"(?=\n|\Z)")


_TAG = rb"(?>(?:" + _in_block(grammar.TAG.pattern) + b" ?)?)"
# No word in front of the text but those that the careful reading takes for host and tag.
_HOST_AND_TAG = rb"(?>(?:" + grammar.HOST + rb" ++(?:: ++)?)?)" + _TAG


def _rows(rows: Iterable[Shape], form: str, last: bytes = rb"(?!)") -> bytes:
    """The rows in their order, for a time of one format; the first that fits decides. ``last``: where none does."""
    alternatives = b""
    for row in rows:
        header, has_msg, text = row.pattern.partition(b"(?P<msg>)")
        pattern = _in_block(header) + (b"(?=" + _in_block(text) + b")" if has_msg else _TAG)
        if row.needs and row.needs != form:
            # What fits it all the same is none of the rows below: left to the careful reading.
            alternatives += b"(?!" + pattern + b")(?:"
            last += b")"
        else:
            alternatives += b"(?:" + pattern + b")|"
    return b"(?>" + alternatives + last + b")"


# A single blank behind the time.
_NEXT = rb" (?=[^ :\n])"
_PLAIN = HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")"


def _behind(form: str) -> bytes:
    """What may stand behind the time of RFC 3164, and the blank."""
    others = rb"(?!" + cisco.MAY_BE_RELAYED + b")" + _HOST_AND_TAG
    return rb"(?>" + _PLAIN + b"|" + _rows(TIMED.rows, form, others) + b")"


_RFC5424 = WORD + b" " + WORD + b"(?<!:) " + WORD + b" " + WORD + b" (?:" + SD + b") " + BOM
# What cannot be RFC 5424, with or without good data.
_NOT_5424 = rb"(?!\S++ \S++ \S++ \S++ [-\[])"
_OPENINGS = [row for row in OPENINGS.rows if row.name not in ("cisco-untimed", "cef-alone")]
_TAG_ALONE = (
    rb"(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)\[)[a-z_][a-z_./-]*+\[[0-9]++\]: (?!CEF:)"
)

_COUNTED = rb"(?P<counter>[0-9]++: )?"
# Behind a counter, a word and a colon may be Cisco's zone.
_NO_ZONE = rb"(?![A-Za-z]{1,8} ?: )"
_YEAR = rb"(?:19|20)[0-9]{2}"
_BSD_AND_YEAR = BSD + b" " + _YEAR + b"|" + BSD.replace(b" (?:[01]", b" " + _YEAR + b" (?:[01]")
_RELAY = BSD + BLANK_ENDS_TIME + _NEXT + b"(?!" + _rows(TIMED.rows, "bsd") + b")" + HOST + b" "

# The letter of a group's name tells its column: second, date and time of day, fraction, offset.
_ALTERNATIVES = (
    _COUNTED + b"(?P<s_bsd>" + BSD + b")" + BLANK_ENDS_TIME + _NEXT + b"(?(counter)" + _NO_ZONE + b")" + _behind("bsd"),
    b"(?P<version>1 )?(?P<s_iso>" + ISO + b")(?P<f_iso>" + FRACTION + b")(?P<o_iso>" + OFFSET + b")" + _NEXT
    + b"(?(version)(?>" + _RFC5424 + b"|" + _NOT_5424 + _rows(VERSIONED.rows, "iso") + b")|" + _behind("iso") + b")",
    b"1 (?P<s_blank>" + ISO.replace(b"T", b" ") + b")" + BLANK_ENDS_TIME + _NEXT + _rows(VERSIONED.rows, "iso"),
    b"(?P<s_year>" + _BSD_AND_YEAR + b")" + BLANK_ENDS_TIME + _NEXT + _behind("bsd with a year"),
    b"1 (?P<s_epoch>[0-9]{10})(?P<f_epoch>" + FRACTION + rb")(?<=\.[0-9]{9})" + BLANK_ENDS_TIME + _NEXT
    + _rows(VERSIONED.rows, "epoch"),
    vendors.CISCO,
    vendors.FORTINET,
    vendors.CISCO_UNTIMED,
    _RELAY + b"(?:(?P<s_relayed>" + BSD + b")" + BLANK_ENDS_TIME + _NEXT + _NO_ZONE + b"(?=" + grammar.HOST + b" )"
    + _behind("bsd") + b"|" + vendors.CISCO_RELAYED + b")",
    b"(?=[A-Za-z])(?!" + grammar.CEF + b")" + _rows(_OPENINGS, "", _TAG_ALONE),
)  # fmt: skip
_KIWI = b"(?:" + _in_block(KIWI.pattern) + b")?"
_EXPRESSION = re.compile(rb"\n" + PRI + b" ?+" + _KIWI + b"(?:" + b"|".join(_ALTERNATIVES) + rb")[ \t]*+(?=.)")
_WIDTH = _EXPRESSION.groups + 1
_OF_COLUMN = {
    letter: [number for name, number in _EXPRESSION.groupindex.items() if name.startswith(letter + "_")]
    for letter in "sdtfo"
}
# What needs nothing but the reading of its pairs.
_KEYED = re.compile(b"(?:" + PRI + rb" ?+)?(?=\{|[A-Za-z_][A-Za-z0-9_.-]*+=(?!=))")


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
    fields: dict[str, list[bytes]] = {name: [] for name in known}
    blank: dict[int, bytes] = {}

    def read(frame: bytes) -> None:
        keyed = _KEYED.match(frame)
        if keyed and (parts := keyvalue.read(b"", frame[keyed.end() :])):
            for name, column in fields.items():
                column.append(parts.msg.lstrip(b" \t") if name == "text" else getattr(parts, name))
        else:
            append_careful(fields, blank, frame)

    for frame in before.split(b"\n")[1:]:
        read(frame)
    texts = known["text"]
    done = 0
    for row, text in enumerate(texts):
        if b"\n" in text:
            texts[row], *frames = text.split(b"\n")
            for name, column in fields.items():
                column.extend(known[name][done : row + 1])
            done = row + 1
            for frame in frames:
                read(frame)
    for name, column in fields.items():
        column.extend(known[name][done:])
    return Columns(len(fields["text"]), dict(fields), blank)


def _line_feeds(data: bytes) -> int:
    # To delete them is much quicker than to count them.
    return len(data) - len(data.replace(b"\n", b""))
