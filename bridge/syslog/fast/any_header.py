"""Builds the expression for a header of any kind, from the tables of timestamp formats and shapes.

It runs over many frames in PCRE2 and replaces each header by its second, fraction and offset (``mixed_rows``). It
accepts less than the reference parser, with the same meaning. As there, the first rule that matches decides:

- after ``1 ``: RFC 5424, and headers that begin like it (``shapes.timed.VERSIONED``)
- two times, of a relay and of a device, or a time of any format followed by the patterns of ``after_timestamp``
- Cisco's headers before the time (``shapes.cisco``)
- headers without a leading time (``shapes.untimed``), and text without any header

``key=value``, JSON and CEF, whose time is one of their values, are recognised by their first letters. For the column
``auto``, another expression leaves every header that may contain structured data to the reference parser.
"""

from functools import cache

from bridge.syslog import grammar, parser
from bridge.syslog.fast.after_timestamp import (
    AFTER_TIMESTAMP,
    NO_PLAIN_HOST,
    OPTIONAL_TAG,
    PLAIN_HOST_AND_TAG,
    TWICE,
    in_block,
    rows,
)
from bridge.syslog.fast.mixed_rows import (
    OF_CEF,
    OF_JSON,
    OF_PAIRS,
    REPLACEMENT,
    UNKNOWN,
    UNSPLIT,
    in_milliseconds,
    mark,
)
from bridge.syslog.fast.plain_patterns import BOM, ISO_TIME, PRI, SD, VALID_BSD, WORD
from bridge.syslog.shapes import EPOCH, KIWI, TIMED, UNTIMED, VERSIONED, WITHOUT_DATA, cisco
from bridge.syslog.time_formats import BLANK_ENDS_TIME, DIGIT_FIRST, LETTER_FIRST, PLAIN, TimeFormat, pattern_of
from bridge.syslog.time_zones import ZONE
from bridge.util.rewriter import Rewriter, definitions, rewriter, with_calls


# --- times ---
# A group has the same number in all alternatives, because ``(?|`` restarts the numbering in each. An alternative that
# does not set a group contains it with ``{0}`` if it sets a later one. Some shapes require a format: b is set after a
# time of RFC 3164, i after an ISO date, e after seconds since 1970. Times of rare formats are one text, and the row is
# marked (``mixed_rows``). Entering an atomic group costs as much as all groups within it, so the table of times is
# called by name, which captures nothing.
def _unset(*names: bytes) -> bytes:
    return b"".join(b"(?P<%b>){0}" % name for name in names)


_PLAIN = b"(?P<b>)" + _unset(b"i", b"e") + b"(?P<second>" + PLAIN + b")"
_ISO = _unset(b"b") + b"(?P<i>)" + _unset(b"e") + in_milliseconds(ISO_TIME)
_OTHER = (
    _unset(b"b")
    + rb"(?:(?=[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9])(?P<i>))?+"
    + rb"(?:(?=[0-9]{9,10}(?:\.|\n|\Z))(?P<e>))?+(?P<second>(?&time))" + mark(UNSPLIT)
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
    WORD + b" " + WORD + b"(?>(?<!:) " + WORD + b" " + WORD + b" |(?<=:) - - |" + _QNAP + b")(?:" + SD + b")"
    + b"(?: " + BOM + rb"|(?=\n|\Z))"
)  # fmt: skip
_BAD_DATA = _FIELDS + rb"(?=\[)(?!(?:" + in_block(grammar.SD_ELEMENT) + rb")++(?:[ \n]|\Z))"
# Headers that cannot be RFC 5424, with or without valid data, or that have a tag in the place of the APP-NAME.
_NOT_5424 = rb"(?:(?!\S++ \S++ \S++ \S++ [-\[])|(?=\S++ \S++(?<=:) (?!(?:-|[0-9]++) )))"
_NOT_ITS_TIME = b"(?!" + grammar.ISO_SECOND + rb"(?:[.,][0-9]++)?(?:" + grammar.ISO_OFFSET + b") )"
# The layouts that need a date of ISO 8601.
_LIKE_5424 = (
    b"(?>(?&versions)|(?&shapes)|(?!" + cisco.MAY_BE_RELAYED + b")(?>" + rows(WITHOUT_DATA.rows) + b"|(?&after)))"
)


_VERSIONED = (
    b"1 (?|-" + _ONE_BLANK + _RFC5424
    + b"|" + _ISO + _ONE_BLANK + b"(?>" + _RFC5424 + b"|" + _BAD_DATA + b"|" + _NOT_5424 + _LIKE_5424 + b")"
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
_BSD = VALID_BSD + b"(?:" + BLANK_ENDS_TIME + rb"|(?= [0-9]{4}-))" + _ONE_BLANK
_COUNTED = rb"[0-9]++: " + _PLAIN + _ONE_BLANK + _NO_ZONE + b"(?&after)"
# The rows that require a time of RFC 3164. Here that is the relay's time, which is in no group.
_OF_BSD = b"|".join(in_block(row.pattern) for row in TIMED.rows if row.needs == "bsd")
_RELAYED = (
    _BSD + b"(?=" + cisco.MAY_BE_RELAYED + b")(?!" + _OF_BSD + b"|(?&shapes))"
    + b"(?>(?:" + cisco.NO_ORIGIN + grammar.HOST + rb"(?<!\.) )?)"
    + b"(?|[*.]?(?|" + _PLAIN + b"|" + _ISO
    + b"|(?=" + cisco.MAY_BE_SECOND + b")(?!" + cisco.OF_APPLICATION.pattern + b")" + _OTHER + b")"
    + _ONE_BLANK + _NO_ZONE
    + b"(?>(?!" + grammar.UPPER_LEVEL + b" )(?&shapes)|" + in_block(parser.RELAYED.pattern) + b"(?&tag))"
    + b"|(?:[0-9]++: )?[*.]?" + _OTHER + b"(?&tail)" + b")"
)  # fmt: skip

# --- no leading time ---
_UNTIMED = [row for row in UNTIMED.rows if row.name != "cef-alone"]
# After a tag without pid, neither the rest of a Cisco header, such as structured data, nor a time may follow.
_NO_LEVEL = rb"(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)[\[:])"
_TAG_ALONE = (
    b"(?(p)"
    + _NO_LEVEL
    + rb"[a-z_][a-z0-9_./-]*+(?:\[[0-9]++\]: (?!CEF:)|: (?=[a-z{\[(\"'<])(?!\[[^\s=\]\"]++(?: .*?)?\]: ))|(?!))"
)
# Texts whose time is one of the values. ``mixed_rows`` reads it.
_CEF = (
    rb"(?:(?=LEEF:[ ]?[0-9])|(?(p)" + _NO_LEVEL + rb"[a-z_][a-z0-9_./-]*+(?:\[[0-9]++\])?: )?+(?=CEF:[ ]?[0-9])"
    + mark(OF_CEF) + b")"
)  # fmt: skip
# The words of an origin may contain `=`.
_PAIRS = rb"(?(w)(?!))(?! {0,3}+[^:%\n]*+: [^%\n]*+%) {0,3}+(?=[A-Za-z_][\w.-]*+=(?!=))" + mark(OF_PAIRS)
_JSON = rb"(?(w)(?!))(?=\{)" + mark(OF_JSON)
# Text without a syslog header. Text that may be a header of some shape is left to the reference parser.
_PLAIN_TEXT = (
    rb"(?<=\n)(?=<)|(?<=>|> |\n)(?(p)|(?![0-9]++ [<\xef]))(?=[A-Za-z0-9])"
    rb"(?!(?:[A-Za-z0-9][A-Za-z0-9_.-]*+[, ])?[0-9A-Fa-f]{12},|1 |(?&time)|Original"
    rb"|[0-9]*+: |[A-Za-z_][\w.-]*+=|" + grammar.CEF
    + rb"|[A-Za-z_][A-Za-z0-9_./-]*+(?:\[[^\]\s]*+\])?: "
    + rb"|.*?(?:%|last message repeated |MSWinEvent|NetScreen |essage for))"
)  # fmt: skip

# --- the column auto ---
# d is set if an element may be in the header of Cisco IOS. The reference parser reads such a row, and any header that
# ends with a bracket, which may be that of structured data.
_CISCO_DATA = (
    rb"(?>(?=(?:(?:[0-9]*+: |:)(?:[^\s\[]\S*+ ){0,6}+|(?:[^\s\[]\S*+ )?+)"
    rb"\[[^\s=\]\"]++(?: [^\s=\]\"]++=\"|\]: ))(?P<d>)|)"
)
_NO_DATA = rb"(?!(?(d)|(?<=\]|\] |\] " + grammar.BOM + rb")))"

_DEFINITIONS = {
    b"zone": ZONE,
    b"time": _ANY_TIME,
    b"tag": OPTIONAL_TAG,
    b"tail": in_block(cisco.TAIL.pattern),
    b"shapes": rows(TIMED.rows),
    b"versions": rows(VERSIONED.rows),
    b"epoch": b"|".join(in_block(row.pattern) for row in EPOCH.rows),
    b"twice": TWICE,
    b"no_plain_host": NO_PLAIN_HOST,
    b"after": AFTER_TIMESTAMP,
}
# Alternatives that the first letters decide come first, only for speed: they exclude all others.
_ALTERNATIVES = (
    # The most common header: RFC 3164. Its time is matched once for a plain host and tag and for anything else.
    b"(?|" + _PLAIN + b"|" + _ISO + b")" + _ONE_BLANK + b"(?>" + PLAIN_HOST_AND_TAG
    + b"|(?!" + cisco.MAY_BE_RELAYED + b")(?&no_plain_host))",
    b"(?=[0-9]*+: |:[A-Z*.%])(?|(?(p)" + _COUNTED + b"|(?!))|" + _CISCO + b"|" + _WORDS_HEAD + _OTHER + b"(?&tail))",
    _PAIRS,
    _CEF,
    _JSON,
    _VERSIONED,
    _RELAYED,
    # No host follows a colon after the time. Cisco's header, which has a mnemonic, may.
    b"(?!1 ) {0,3}+(?|" + _PLAIN + b"|(?!" + PLAIN + b")" + _OTHER + b")"
    b"(?:" + _GAP + b"(?(e)(?&epoch)|(?!" + in_block(parser.RELAY_AND_VERSION.pattern) + b")(?&after))"
    rb"| ?: ++(?(e)(?!))(?![^%\n]*+%|last message )(?!<)(?>(?&shapes)|(?&tag)))",
    b"(?=[A-Za-z])" + _CISCO,
    b"(?=[A-Za-z%])(?!(?&time))" + rows(_UNTIMED, _TAG_ALONE),
    _PLAIN_TEXT,
)  # fmt: skip
# w is set after Kiwi's prefix. A header must then follow.
_KIWI = b"(?>(?(p)" + in_block(KIWI.pattern) + b"(?P<w>)|(?!))|)"
_PARTS = {
    b"follows": in_block(grammar.TAG_FOLLOWS),
    b"host": grammar.HOST,
    b"mnemonic": grammar.MNEMONIC,
    b"relayed": cisco.MAY_BE_RELAYED,
    b"element": in_block(grammar.SD_ELEMENT),
}
"Parts that occur in many rows."
_DEFINED = {name: with_calls(pattern, _PARTS) for name, pattern in _DEFINITIONS.items()} | _PARTS


@cache
def any_header(*, auto: bool) -> Rewriter | None:
    """Returns the rewriter for blocks of frames. It is compiled at first use, which takes some milliseconds."""
    # Atomic: no later alternative may match a header that is left to the reference parser.
    begin, before, after = (b"(?>", _CISCO_DATA, b")" + _NO_DATA) if auto else (b"", b"", b"")
    return rewriter(
        definitions(_DEFINED)
        + rb"\n++(?:" + begin + rb"(?:(?:\xef\xbb\xbf)?+(?:[1-9][0-9]{0,5} (?=<))?+(?P<p>" + PRI + b") ?+)?+" + _KIWI
        + before + b"(?|" + with_calls(b"|".join(_ALTERNATIVES), _PARTS) + b")" + after + rb"[ \t]*+|" + mark(UNKNOWN)
        + b")",
        REPLACEMENT + (b"\n" if auto else b""),
    )  # fmt: skip
