"""Parses socket reads in which frames of any kind are mixed, if only time and text are needed.

One expression, built from the tables of timestamp formats and shapes, runs over the whole read in PCRE2. It replaces
each header by three lines (second, fraction, offset); the text up to the next header is the fourth line. A frame that
does not match is kept unchanged after a mark, and the reference parser reads it. Without PCRE2 the reference parser
reads all frames.

The expression accepts less than the reference parser, with the same meaning. Property tests assert that both give the
same result. As in the reference parser, the first rule that matches decides:

- after ``1 ``: RFC 5424, and headers that begin like it (``shapes.timed.VERSIONED``)
- two times, of a relay and of a device, or a time of any format followed by the patterns of ``after_timestamp``
- Cisco's headers before the time (``shapes.cisco``)
- headers without a leading time (``shapes.untimed``), and text without any header

``key=value``, JSON and CEF, whose time is one of their values, are recognised by their first letters.

For the column ``auto``, a second expression keeps MSGID and structured data of vendors in one more line. It keeps them
from plain headers of RFC 5424 only. After any other header with structured data it marks the row, and the reference
parser reads it.
"""

import re
from collections.abc import Iterable
from functools import cache
from operator import add

from bridge.syslog import grammar, parser
from bridge.syslog.columns import TEXT, Columns
from bridge.syslog.fast.after_timestamp import AFTER_TIMESTAMP, OPTIONAL_TAG, PLAIN_HOST_AND_TAG, TWICE, in_block, rows
from bridge.syslog.fast.fields import parse_each
from bridge.syslog.fast.mixed_rows import IN_PLACE_MARK, Rows, complete, resolve_in_place
from bridge.syslog.fast.pcre2 import Rewriter, rewriter
from bridge.syslog.fast.plain_patterns import (
    BEFORE_TEXT,
    BOM,
    BSD,
    IN_PLACE,
    ISO,
    NO_TEXT,
    NO_VENDOR_SD,
    OFFSET,
    PRI,
    SD,
    VENDOR_SD,
    WORD,
)
from bridge.syslog.frames import list_of
from bridge.syslog.shapes import EPOCH, KIWI, TIMED, UNTIMED, VERSIONED, WITHOUT_DATA, cisco
from bridge.syslog.time_formats import BLANK_ENDS_TIME, DIGIT_FIRST, LETTER_FIRST, PLAIN, TimeFormat, pattern_of
from bridge.syslog.time_zones import ZONE


# --- times ---
# A group has the same number in all alternatives, because ``(?|`` restarts the numbering in each. An alternative that
# does not set a group contains it with ``{0}``. For the most common time formats, c, f and z are second, digits of the
# fraction, and zone. For any other format, t is the whole time. Some shapes require a format: b is set after a time of
# RFC 3164, i after an ISO date, e after seconds since 1970. Entering an atomic group costs as much as all groups within
# it, so the table of times is called by name, which captures nothing.
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
_GAP = rb"(?> ++(?!:(?!:))|:?\t|(?=[A-Za-z]))(?:" + grammar.FACILITY_AND_LEVEL + rb")?+(?!<)"
_ONE_BLANK = rb" (?=[^ :<\n]|::)"

# --- RFC 5424 ---
# An APP-NAME that ends with a colon is the tag of RFC 3164, unless the two fields after it are `-`.
_FIELDS = WORD + b" " + WORD + b"(?:(?<!:) " + WORD + b" " + WORD + b"|(?<=:) - -) "
_QNAP = rb"(?<=:) (?:-|[0-9]++) " + WORD + rb" (?=\[)"
_RFC5424 = (
    WORD + b" " + WORD + b"(?>(?<!:) " + WORD + b" " + WORD + b" |(?<=:) - - |" + _QNAP + b")(?:" + SD + b") " + BOM
)
_BAD_DATA = _FIELDS + rb"(?=\[)(?!(?:" + in_block(grammar.SD_ELEMENT) + rb")++(?:[ \n]|\Z))"
# Headers that cannot be RFC 5424, with or without valid data, or that have a tag in the place of the APP-NAME.
_NOT_5424 = rb"(?:(?!\S++ \S++ \S++ \S++ [-\[])|(?=\S++ \S++(?<=:) (?!(?:-|[0-9]++) )))"
_NOT_ITS_TIME = b"(?!" + grammar.ISO_SECOND + rb"(?:[.,][0-9]++)?(?:" + grammar.ISO_OFFSET + b") )"
# The layouts that need a date of ISO 8601.
_LIKE_5424 = (
    b"(?>(?&versions)|(?&shapes)|(?!" + cisco.MAY_BE_RELAYED + b")(?>" + rows(WITHOUT_DATA.rows) + b"|(?&after)))"
)


def _versioned(after_nil: bytes, after_iso: bytes) -> bytes:
    """Returns the alternative of a frame that begins with ``1 ``. The arguments are RFC 5424 after its time."""
    return (
        b"1 (?|-" + _ONE_BLANK + after_nil
        + b"|" + _ISO + _ONE_BLANK
        + b"(?>" + after_iso + b"|" + _BAD_DATA + b"|" + _NOT_5424 + _LIKE_5424 + b")"
        + b"| *+" + _NOT_ITS_TIME + b"(?=[0-9A-Z])" + _OTHER + _GAP
        + b"(?(e)(?&epoch)|(?(i)" + _LIKE_5424 + b"|(?&after))))"
    )  # fmt: skip


# --- Cisco, and relays ---
_HEAD = b"(?>" + in_block(cisco.HEAD.pattern) + b")"
_WORDS_HEAD = b"(?>" + in_block(cisco.WORDS_HEAD.pattern) + b")"
_UPTIME = b"(?>" + in_block(cisco.UPTIME.pattern) + b")"
_CISCO = (
    b"(?!1 |(?&time)" + _GAP + b")" + _HEAD + b"(?|" + _OTHER + b"(?&tail)" + b"|" + _UPTIME + b"(?&tail)"
    + b"|(?:(?<=: )|(?<=:))(?=" + grammar.STACK_UNIT + grammar.MNEMONIC + b"))"
)  # fmt: skip
# After a counter, a word with a colon may be Cisco's zone or origin.
_NO_ZONE = rb"(?![A-Za-z]{1,8} ?: |[^%\n]++%)"
_BSD = BSD + b"(?:" + BLANK_ENDS_TIME + rb"|(?= [0-9]{4}-))" + _ONE_BLANK
_COUNTED = rb"[0-9]++: " + _PLAIN + _ONE_BLANK + _NO_ZONE + b"(?&after)"
# The rows that require a time of RFC 3164. Here that is the relay's time, which is in no group.
_OF_BSD = b"|".join(in_block(row.pattern) for row in TIMED.rows if row.needs == "bsd")
_RELAYED = (
    _BSD + b"(?=" + cisco.MAY_BE_RELAYED + b")(?!" + _OF_BSD + b"|(?&shapes))"
    + b"(?>(?:" + cisco.NO_ORIGIN + grammar.HOST + b" )?)"
    + b"(?|[*.]?(?|" + _PLAIN + b"|" + _ISO
    + b"|(?=" + cisco.MAY_BE_SECOND + b")(?!" + cisco.OF_APPLICATION.pattern + b")" + _OTHER + b")"
    + _ONE_BLANK + _NO_ZONE
    + b"(?>(?!" + grammar.UPPER_LEVEL + b" )(?&shapes)|" + in_block(parser.RELAYED.pattern) + b"(?&tag))"
    + b"|(?:[0-9]++: )?[*.]?" + _OTHER + b"(?&tail)" + b")"
)  # fmt: skip

# --- no leading time ---
_UNTIMED = [row for row in UNTIMED.rows if row.name != "cef-alone"]
# After a tag without pid, neither the rest of a Cisco header nor a time may follow.
_TAG_ALONE = (
    rb"(?(p)(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)[\[:])[a-z_][a-z_./-]*+"
    rb"(?:\[[0-9]++\]: (?!CEF:)|: (?=[a-z\[(\"'<]))|(?!))"
)
# Texts whose time is one of the values. r is the value of CEF's rt (LEEF has none). kd to ks are the values of six
# keys, found in one pass over the pairs. As in ``shapes.keyvalue``, the first value of a repeated key is used. A text
# that is longer than the searched length does not match. k, j and q are marks: pairs, JSON, and unmatched.
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
# Text without a syslog header. Text that may be a header of some shape is left to the reference parser.
_PLAIN_TEXT = (
    rb"(?<=\n)(?=<)|(?<=>|> |\n)(?(p)|(?![0-9]++ [<\xef]))(?=[A-Za-z0-9])"
    rb"(?!(?:[A-Za-z0-9][A-Za-z0-9_.-]*+[, ])?[0-9A-Fa-f]{12},|1 |(?&time)|Original"
    rb"|[0-9]*+: |[A-Za-z_][\w.-]*+=|" + grammar.CEF
    + rb"|[A-Za-z_][A-Za-z0-9_./-]*+(?:\[[^\]\s]*+\])?: "
    + rb"|.*?(?:%|last message repeated |MSWinEvent|NetScreen |essage for))"
)  # fmt: skip

# --- the column auto ---
# g is set in a plain header of RFC 5424. It has what is kept before the text, if that must be copied. v is set if it
# stays where it is, and then has a missing MSGID. Both have the same number in all branches.
_KEPT_SEPARATOR = b"(?:(?=" + NO_TEXT + b")| (?=" + BEFORE_TEXT + b"))"
_KEPT = (
    b"(?|" + WORD + b" " + NO_VENDOR_SD + b" " + BOM + b"(?P<g>)"
    + b"|(?P<g>)(?P<v>- )(?=" + IN_PLACE + b")|(?!- )(?=" + WORD + b" " + IN_PLACE + b")(?P<g>)(?P<v>)"
    + b"|- (?P<g>" + VENDOR_SD + _KEPT_SEPARATOR + b")" + BOM
    + b"|(?!- )(?P<g>" + WORD + b" " + VENDOR_SD + _KEPT_SEPARATOR + b")" + BOM + b")"
)  # fmt: skip
_RFC5424_AUTO = (
    WORD + b" " + WORD + b"(?>(?<!:) " + WORD + b" " + _KEPT + b"|(?>(?<=:) - - |" + _QNAP + b")(?:" + SD + b") " + BOM
    + b")"
)  # fmt: skip
_AFTER_I = (b"e", b"t", b"r", *_KEYS.values(), b"k", b"j", b"q")
_VERSIONED_AUTO = _versioned(
    _unset((b"c", b"f", b"z", b"b", b"i", *_AFTER_I)) + _RFC5424_AUTO, _unset(_AFTER_I) + _RFC5424_AUTO
)
# d is set if an element may be in the header of Cisco IOS. s is set then, and if any header but RFC 5424 ends with a
# bracket, which may be that of structured data.
_CISCO_DATA = rb"(?:(?=(?:[0-9]*+: |:)?+(?:[^\s\[]\S*+ )?+\[[^\s=\]\"]++(?: [^\s=\]\"]++=\"|\]: ))(?P<d>)|)"
_MAY_HAVE_DATA = rb"(?(g)|(?:(?(d)|(?<=\]|\] |\] " + grammar.BOM + rb"))(?P<s>))?+)"

_DEFINITIONS = {
    b"zone": ZONE,
    b"time": _ANY_TIME,
    b"tag": OPTIONAL_TAG,
    b"tail": in_block(cisco.TAIL.pattern),
    b"shapes": rows(TIMED.rows),
    b"versions": rows(VERSIONED.rows),
    b"epoch": b"|".join(in_block(row.pattern) for row in EPOCH.rows),
    b"twice": TWICE,
    b"after": AFTER_TIMESTAMP,
}
# Alternatives that the first letters decide come first, only for speed: they exclude all others.
_BEFORE_VERSIONED = (
    # The most common header: RFC 3164 with a plain host and tag.
    b"(?|" + _PLAIN + b"|" + _ISO + b")" + _ONE_BLANK + PLAIN_HOST_AND_TAG,
    b"(?=[0-9]*+: |:[A-Z*.%])(?|(?(p)" + _COUNTED + b"|(?!))|" + _CISCO + b"|" + _WORDS_HEAD + _OTHER + b"(?&tail))",
    b"(?(w)(?!)) {0,3}+(?=[A-Za-z_])(?>" + _PAIRS + b")",
    _CEF,
    _JSON,
)
_AFTER_VERSIONED = (
    _RELAYED,
    # No host follows a colon after the time. Cisco's header, which has a mnemonic, may.
    b"(?!1 ) {0,3}+(?|"
    + _PLAIN
    + b"|(?!"
    + PLAIN
    + b")"
    + _OTHER
    + b")(?:"
    + _GAP
    + b"(?(e)(?&epoch)|(?&after))"
    + rb"| ?: ++(?(e)(?!))(?![^%\n]*+%|last message )(?!<)(?>(?&shapes)|(?&tag)))",
    b"(?=[A-Za-z])" + _CISCO,
    b"(?=[A-Za-z%])(?!(?&time))" + rows(_UNTIMED, _TAG_ALONE),
    _PLAIN_TEXT,
    _UNKNOWN,
)
# w is set after Kiwi's prefix. A header must then follow.
_KIWI = b"(?>(?(p)" + in_block(KIWI.pattern) + b"(?P<w>)|(?!))|)"
# Parts that occur in many rows are called by name as well: a compiled expression may have 65,535 bytes.
_PARTS = {
    b"follows": in_block(grammar.TAG_FOLLOWS),
    b"host": grammar.HOST,
    b"mnemonic": grammar.MNEMONIC,
    b"relayed": cisco.MAY_BE_RELAYED,
    b"element": in_block(grammar.SD_ELEMENT),
}


def _with_calls(pattern: bytes) -> bytes:
    for name, part in _PARTS.items():
        pattern = pattern.replace(part, b"(?&" + name + b")")
    return pattern


_DEFINED = [*((name, _with_calls(pattern)) for name, pattern in _DEFINITIONS.items()), *_PARTS.items()]


def _expression(versioned: bytes, before_header: bytes = b"", after_header: bytes = b"") -> bytes:
    """Returns the expression for the headers of a block, without PRI before, and without blanks after each."""
    alternatives = b"|".join((*_BEFORE_VERSIONED, versioned, *_AFTER_VERSIONED))
    return (
        b"(?(DEFINE)" + b"".join(b"(?<" + name + b">" + pattern + b")" for name, pattern in _DEFINED) + b")"
        rb"\n(?:(?:\xef\xbb\xbf)?+(?:[1-9][0-9]{0,5} (?=<))?+(?P<p>" + PRI + b") ?+)?+" + _KIWI
        + before_header + b"(?|" + _with_calls(alternatives) + b")" + after_header + rb"[ \t]*+"
    )  # fmt: skip


# The first branch is for most frames. Skipping the other branch costs less than testing each of its groups.
_REPLACEMENT = (
    b"${c:+\n${c}\n${f:+.${f}:}\n${z}\n:${t:+\n${t}\nt\n\n:"
    b"${k:+\n${kd}\t${kt}\t${kz}\t${kn}\t${ke}\t${ks}\nk:\n${r}\n${r:+r:}${j:+j:}${q:+?:}}\n\n}}"
)
_rewrite = rewriter(_expression(_versioned(_RFC5424, _RFC5424)), _REPLACEMENT)
_EMPTY_FRAMES = re.compile(rb"\n{2,}")


@cache
def _auto_rewriter() -> Rewriter | None:
    """Returns the rewriter for the column ``auto``. It is compiled at first use, which takes some milliseconds."""
    replacement = b"${s:+\n\n?\n\n\n:" + _REPLACEMENT + b"${g}${v:+" + IN_PLACE_MARK + b"${v}:}\n}"
    return rewriter(_expression(_VERSIONED_AUTO, _CISCO_DATA, _MAY_HAVE_DATA), replacement)


def read_mixed(block: bytes, needs: frozenset[str] = TEXT) -> Columns:
    """Returns the columns of a block's frames: the times, and ``text``, ``auto`` or both."""
    if b"\n\n" in block:
        block = _EMPTY_FRAMES.sub(b"\n", block)  # they make no row
    auto = "auto" in needs
    rewrite = _auto_rewriter() if auto else _rewrite
    rewritten = rewrite(block) if rewrite else None
    if rewritten is None:
        return parse_each(list_of(block), needs)
    lines = rewritten[0].split(b"\n")
    # The first item is empty, because a block begins with an LF.
    size = 5 if auto else 4
    found = Rows(lines[1::size], lines[2::size], lines[3::size], lines[size::size], lines[4::size] if auto else [])
    if auto:
        resolve_in_place(found, split="text" in needs)
    blank = complete(found, block)
    fields = {"second": found.seconds, "fraction": found.fractions, "offset": found.offsets}
    if "text" in needs:
        fields["text"] = found.texts
    if auto:
        fields["auto"] = list(map(add, found.kept, found.texts)) if any(found.kept) else found.texts
    return Columns(len(found.texts), dict(fields), blank)
