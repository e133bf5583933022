"""The fast reading of reads in which frames of any kind stand side by side, where nothing is wanted but time and text.

One expression over the whole read, made from the tables of times and shapes and run by PCRE2: each header becomes three
lines, second, fraction and offset, and what stands up to the next header is the text, on a fourth. A frame that it does
not know stays whole behind a mark, and the careful reading sees to it. So it does for all of a read where there is no
PCRE2.

It accepts less than the careful reading and means the same; a property test holds both equal. In this order, and what
comes first decides, as it does there:

- behind ``1 ``: RFC 5424, and what begins like it (``shapes.timed.AFTER_VERSION``)
- two times, of a relay and of a device; a time of any format, then what ``behind`` knows
- Cisco's headers before the time (``shapes.cisco``)
- what has no time in front (``shapes.opening``); text that is none of all that

``key=value``, JSON and CEF, whose time is one of their values, are told by their first letters.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog import grammar, parser
from bridge.syslog.fast.after_timestamp import (
    BEHIND,
    PLAIN_HOST_AND_TAG,
    TAG_OR_NONE,
    in_block,
    rows,
)
from bridge.syslog.fast.columns import ALWAYS, Columns, careful
from bridge.syslog.fast.pcre2 import rewriter
from bridge.syslog.fast.plain_patterns import (
    BOM,
    BSD,
    ISO,
    OFFSET,
    PRI,
    SD,
    WORD,
)
from bridge.syslog.shapes import (
    KIWI,
    NO_TIME,
    OPENINGS,
    TIMED,
    VERSIONED,
    cisco,
    keyvalue,
)
from bridge.syslog.time_formats import (
    BLANK_ENDS_TIME,
    DIGIT_FIRST,
    LETTER_FIRST,
    PLAIN,
    Stamp,
    TimeFormat,
    pattern_of,
    scan,
)
from bridge.syslog.time_zones import ZONE
from bridge.syslog.timestamps import is_time

NEEDS = ALWAYS | {"text"}


# --- times ---
# A group has one number in all alternatives, as ``(?|`` counts anew in each; one that an alternative does not set is
# there all the same, taken no times. Of a time: c, f and z are second, digits of the fraction and zone of the commonest
# writings; t is all of any other. b is set behind RFC 3164's time, i behind an ISO date, e behind seconds since 1970:
# some shapes ask. An atomic group costs as much as all groups within it, each time it is entered: so the table of times
# is called by name, which captures nothing.
def _unset(names: Iterable[bytes]) -> bytes:
    return b"".join(b"(?P<%b>){0}" % name for name in names)


_NO_TIME = _unset((b"c", b"f", b"z", b"b", b"i", b"e", b"t"))
_PLAIN = b"(?P<c>" + PLAIN + b")" + _unset((b"f", b"z")) + b"(?P<b>)"
_ISO = b"(?P<c>" + ISO + rb")(?:\.(?P<f>[0-9]{1,9}))?(?P<z>" + OFFSET + b")" + _unset((b"b",)) + b"(?P<i>)"
_OTHER = (
    _unset((b"c", b"f", b"z", b"b"))
    + rb"(?:(?=[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9])(?P<i>))?+"
    + rb"(?:(?=[0-9]{9,10}(?:\.|\n|\Z))(?P<e>))?+(?P<t>(?&time))"
)  # fmt: skip


def _any_of(formats: list[TimeFormat]) -> bytes:
    patterns = (pattern_of(row).replace(ZONE, b"(?&zone)") for row in formats)
    return b"(?>" + b"|".join(in_block(pattern) for pattern in patterns) + b")"


_ANY_TIME = b"(?>" + PLAIN + b"|(?=[0-9])" + _any_of(DIGIT_FIRST) + b"|(?![0-9])" + _any_of(LETTER_FIRST) + b")"
_GAP = rb"(?> ++(?!:)|:?\t|(?=[A-Za-z]))"
_ONE_BLANK = rb" (?=[^ :\n])"

# --- RFC 5424 ---
# An app-name that ends with a colon is RFC 3164's tag, unless the two fields behind it are empty.
_FIELDS = WORD + b" " + WORD + b"(?:(?<!:) " + WORD + b" " + WORD + b"|(?<=:) - -) "
_RFC5424 = _FIELDS + b"(?:" + SD + b") " + BOM
_BAD_DATA = _FIELDS + rb"(?=\[)(?!(?:" + in_block(grammar.SD_ELEMENT) + rb")++(?:[ \n]|\Z))"
# What cannot be RFC 5424, with or without good data; or has a tag where that has an app-name.
_NOT_5424 = rb"(?:(?!\S++ \S++ \S++ \S++ [-\[])|(?=\S++ \S++(?<=:) (?!- - )))"
_NOT_ITS_TIME = b"(?!" + grammar.ISO_SECOND + rb"(?:[.,][0-9]{1,9})?(?:" + grammar.ISO_OFFSET + b") )"
_VERSIONED = (
    b"1 (?|-" + _ONE_BLANK + _RFC5424
    + b"|" + _ISO + _ONE_BLANK
    + b"(?>" + _RFC5424 + b"|" + _BAD_DATA + b"|" + _NOT_5424 + b"(?>(?&versions)|(?&after)))"
    + b"| *+" + _NOT_ITS_TIME + b"(?=[0-9])" + _OTHER + _GAP
    + b"(?>(?&versions)|(?(e)(?!))(?&after)))"
)  # fmt: skip

# Seconds since 1970 are a time only in Meraki's layout.
_MERAKI = [row for row in VERSIONED.rows if row.needs == "epoch"]
_EPOCH = (
    b"(?!" + rows(row for row in VERSIONED.rows if row not in _MERAKI) + b")(?>"
    + b"|".join(in_block(row.pattern) for row in _MERAKI) + b")"
)  # fmt: skip

# --- Cisco, and relays ---
_HEAD = b"(?>" + in_block(cisco.HEAD.pattern) + b")"
_TAIL = b"(?>" + in_block(cisco.TAIL.pattern) + b")"
_UPTIME = b"(?>" + in_block(cisco.UPTIME.pattern) + b")"
_CISCO = (
    b"(?!1 |(?&time)" + _GAP + b")" + _HEAD + b"(?|" + _OTHER + _TAIL + b"|" + _UPTIME + _TAIL
    + b"|(?<=: )(?=" + grammar.MNEMONIC + b"))"
)  # fmt: skip
# Behind a counter, a word and a colon may be Cisco's zone.
_NO_ZONE = rb"(?![A-Za-z]{1,8} ?: )"
_BSD = BSD + BLANK_ENDS_TIME + _ONE_BLANK
_COUNTED = rb"[0-9]++: " + _PLAIN + _ONE_BLANK + _NO_ZONE + b"(?&after)"
# The rows that ask for RFC 3164's time, which is the relay's here and in no group.
_OF_BSD = b"|".join(in_block(row.pattern) for row in TIMED.rows if row.needs == "bsd")
_RELAYED = (
    _BSD + b"(?=" + cisco.MAY_BE_RELAYED + b")(?!" + _OF_BSD + b"|(?&shapes))" + grammar.HOST + b" "
    + b"(?|" + _PLAIN + _ONE_BLANK + _NO_ZONE + b"(?=" + grammar.HOST + b" )(?&after)"
    + b"|(?:[0-9]++: )?[*.]?" + _OTHER + _TAIL + b")"
)  # fmt: skip

# --- no time in front ---
_OPENINGS = [row for row in OPENINGS.rows if row.name != "cef-alone"]
# Without a pid, what follows must not be the rest of Cisco's header, or a time.
_TAG_ALONE = (
    rb"(?(p)(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)[\[:])[a-z_][a-z_./-]*+"
    rb"(?:\[[0-9]++\]: (?!CEF:)|: (?=[a-z\[(\"'<]))|(?!))"
)
# Where the time is one of the values: r is what CEF says of it (LEEF has none there); kd to ks are six keys' values,
# found in one walk over the pairs, as ``shapes.keyvalue`` finds them: of a repeated key the first counts. Of a text
# that is longer than is looked at, nothing is known. k, j and q are marks: pairs, JSON, and what is not known.
_SHORT = rb"(?!.{2000})"
_CEF = (
    _NO_TIME + rb"(?:(?=LEEF:[ ]?[0-9])|(?(p)[a-z_]++\[[0-9]++\]: )?+(?=CEF:[ ]?[0-9])" + _SHORT
    + rb"(?=.*?(?<=[ |])rt=(?P<r>[^=|\n]++)|(?!.*?[ |]rt=)))"
)  # fmt: skip
_KEYS = {b"date": b"kd", b"time": b"kt", b"tz": b"kz", b"timezone": b"kn", b"eventtime": b"ke", b"timestamp": b"ks"}
_VALUE = rb'=(?|"(?P<%b>[^"\n]*+)"|(?P<%b>[^\s,;|"]*+))'
_WANTED = b"|".join(b"(?(" + name + b")(?!))" + key + _VALUE % (name, name) for key, name in _KEYS.items())
_PAIRS = (
    _NO_TIME + _unset((b"r",)) + rb"(?=\w[\w.-]*+=(?!=))" + _SHORT + b"(?=(?>(?=[det])(?:" + _WANTED + b")"
    + rb'|[A-Za-z_][\w.-]*+(?:=(?:"[^"\n]*+"|[^\s,;|"\n]*+))?+|[0-9.-][\w.-]*+|[^\w.\n-])*+(?:\n|\Z))'
    + rb"(?:(?(kt)|(?(kd)|(?(ke)|(?(ks)|(?!))))))(?P<k>)"
)  # fmt: skip
_NO_VALUES = _NO_TIME + _unset((b"r", *_KEYS.values(), b"k"))
_JSON = _NO_VALUES + rb"(?(w)(?!))(?=\{)(?P<j>)"
_UNKNOWN = _NO_VALUES + _unset((b"j",)) + b"(?P<q>)"
# Text that is no syslog: what might be a header in some shape is left to the careful reading.
_NONE = (
    rb"(?<=\n)(?=<)|(?<=>|> |\n)(?(p)|(?![0-9]++ <))(?=[A-Za-z0-9])"
    rb"(?!1 |(?&time)|Original|[0-9]*+: |[A-Za-z_][\w.-]*+=|" + grammar.CEF
    + rb"|[A-Za-z_][A-Za-z0-9_./-]*+(?:\[[^\]\s]*+\])?: "
    + rb"|.*?(?:%|last message repeated |MSWinEvent|NetScreen |essage for))"
)  # fmt: skip

_DEFINITIONS = {
    b"zone": ZONE,
    b"time": _ANY_TIME,
    b"tag": TAG_OR_NONE,
    b"shapes": rows(TIMED.rows),
    b"versions": rows(VERSIONED.rows),
    b"after": BEHIND,
}
# What the first letters decide stands in front, only to be quick: it cannot be anything else.
_ALTERNATIVES = (
    # The commonest: RFC 3164 with a plain host and tag.
    b"(?|" + _PLAIN + b"|" + _ISO + b")" + _ONE_BLANK + PLAIN_HOST_AND_TAG,
    b"(?=[0-9]*+: )(?|(?(p)" + _COUNTED + b"|(?!))|" + _CISCO + b")",
    b"(?(w)(?!)) {0,3}+(?=[A-Za-z_])(?>" + _PAIRS + b")",
    _CEF,
    _JSON,
    _VERSIONED,
    _RELAYED,
    b"(?!1 ) {0,3}+(?|" + _PLAIN + b"|(?!" + PLAIN + b")" + _OTHER + b")" + _GAP + b"(?(e)" + _EPOCH + b"|(?&after))",
    b"(?=[A-Za-z])" + _CISCO,
    b"(?=[A-Za-z%])(?!(?&time))" + rows(_OPENINGS, _TAG_ALONE),
    _NONE,
    _UNKNOWN,
)
# w: it stood there. Then what follows must be a header.
_KIWI = b"(?>(?(p)" + in_block(KIWI.pattern) + b"(?P<w>)|(?!))|)"
_EXPRESSION = (
    b"(?(DEFINE)" + b"".join(b"(?<" + name + b">" + pattern + b")" for name, pattern in _DEFINITIONS.items()) + b")"
    rb"\n(?:(?:[1-9][0-9]{0,5} (?=<))?+(?P<p>" + PRI + b") ?+)?+" + _KIWI + b"(?|" + b"|".join(_ALTERNATIVES)
    + rb")[ \t]*+"
)  # fmt: skip
# The first part is for most; to pass over the rest costs less than to ask each group.
_REPLACEMENT = (
    b"${c:+\n${c}\n${f:+.${f}:}\n${z}\n:${t:+\n${t}\nt\n\n:"
    b"${k:+\n${kd}\t${kt}\t${kz}\t${kn}\t${ke}\t${ks}\nk:\n${r}\n${r:+r:}${j:+j:}${q:+?:}}\n\n}}"
)
_rewrite = rewriter(_EXPRESSION, _REPLACEMENT)


def read_mixed(block: bytes) -> Columns:
    """The columns ``NEEDS`` of a block's frames."""
    rewritten = _rewrite(block) if _rewrite else None
    if rewritten is None:
        return careful(block, NEEDS)
    lines = rewritten[0].split(b"\n")
    # Before the first there is nothing: a block begins with an LF.
    found = _Rows(lines[1::4], lines[2::4], lines[3::4], lines[4::4])
    strange = _see_to_marked(found) + _without_time_or_text(found)
    blank = _read_alone(found, sorted(set(strange)), block) if strange else {}
    fields = {"second": found.seconds, "fraction": found.fractions, "offset": found.offsets, "text": found.texts}
    return Columns(len(found.texts), dict(fields), blank)


class _Rows(NamedTuple):
    """The columns while they are made."""

    seconds: list[bytes]
    fractions: list[bytes]
    offsets: list[bytes]
    texts: list[bytes]


def _see_to_marked(rows: _Rows) -> list[int]:
    """Rows of which the expression has found where the time is, but not its parts. Returns those of which it knows
    nothing."""
    seconds, fractions, offsets, texts = rows
    strange = []
    for row, mark in enumerate(fractions):
        if not mark or mark[0] == _POINT:
            continue
        read = _READERS.get(mark)
        stamp = read(texts[row] if mark == b"j" else seconds[row]) if read else None
        if stamp is None:
            seconds[row] = fractions[row] = b""
            strange.append(row)
        else:
            seconds[row], fractions[row], offsets[row], *_ = stamp
    return strange


def _without_time_or_text(rows: _Rows) -> list[int]:
    """Rows whose time is none in any year, as expressions cannot count the days of a month: then it is no header. And
    rows that have nothing behind their header."""
    pairs = set(zip(rows.seconds, rows.offsets, strict=True))
    wrong = {pair for pair in pairs if pair[0] and not is_time(*pair)}
    found = []
    if wrong:
        found += [row for row, pair in enumerate(zip(rows.seconds, rows.offsets, strict=True)) if pair in wrong]
    if b"" in rows.texts:
        found += [row for row, text in enumerate(rows.texts) if not text]
    return found


@lru_cache(maxsize=5000)
def _time_of_text(text: bytes) -> Stamp | None:
    # What stood behind it is gone: a zone in small letters is one before a colon.
    stamp = scan(text + b":") or scan(text)
    return stamp if stamp and stamp.end == len(text) else None


def _time_of_json(text: bytes) -> Stamp:
    found = keyvalue.read_json(b"", text)
    return Stamp(found.second, found.fraction, found.offset, 0, "") if found else NO_TIME


_READERS: dict[bytes, Callable[[bytes], Stamp | None]] = {
    b"t": _time_of_text,
    b"k": keyvalue.time_of_values,
    b"r": keyvalue.time_of_rt,
    b"j": _time_of_json,
}
_POINT = ord(".")


def _read_alone(rows: _Rows, strange: list[int], block: bytes) -> dict[int, bytes]:
    """Rows by the careful reading; frames of blanks alone are none and make no row. Returns what ``Columns.blank``
    is."""
    seconds, fractions, offsets, texts = rows
    frames = block.split(b"\n")
    blank: dict[int, bytes] = {}
    none = []
    for row in strange:
        frame = frames[row + 1]
        if not frame.strip(b" \t\r\n\0"):
            none.append(row)
            continue
        parts = parser.read(frame)
        seconds[row], fractions[row], offsets[row] = parts.second, parts.fraction, parts.offset
        texts[row] = parts.msg.lstrip(b" \t")
        if not texts[row]:
            blank[row - len(none)] = frame
    for row in reversed(none):
        for column in rows:
            del column[row]
    return blank
