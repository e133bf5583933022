"""Defines the expressions for the parts of a plain header, which the fast readers share.

They accept less than the reference parser (``parser``). What they accept has the same meaning for both.
"""

from bridge.syslog.grammar import ISO_SECOND, UPPER_LEVEL
from bridge.syslog.shapes import cisco
from bridge.syslog.structured_data import DESCRIPTIVE
from bridge.syslog.time_formats import MONTHS

# HOSTNAME: not a zone name, a half of the day, a year (all may follow a time), a time, a level, Snare's first word or
# WatchGuard's serial number, and no colon. If the first letter rules these out, there is no lookahead, because a
# lookahead costs as much as the rest of the name.
HOST = (
    rb"(?:[a-z][A-Za-z0-9._-]*+|(?![A-Z]{1,5} |[AP]M[.,]|[0-9]{4}(?:[ -]|[0-9]{4}T)|(?:GMT|UTC)-[0-9]|MSWinEventLog |"
    rb"[0-9][0-9A-F]{12} |" + UPPER_LEVEL + rb" )[A-Z0-9][A-Za-z0-9._-]*+)"
)  # fmt: skip
TAG = rb"(?:\(?[a-z_][A-Za-z0-9_./()-]*+|(?!CEF:|LEEF:)[A-Z][A-Za-z0-9_./()-]*+)"
PID = rb"[A-Za-z0-9_.:-]*+"
# Before `:` alone, a MAC address is not a tag. After a tag without pid, a second time and Cisco's mnemonic may follow,
# from a device behind a relay. Then the tag is the device's name.
NO_MAC = rb"(?<!-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2})(?<!\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})"
_SECOND = cisco.MAY_BE_SECOND + rb"[^%\n]*+%"
COLON = NO_MAC + rb": (?!\*%|" + _SECOND + rb"|\[[^\]\n]*+\]: " + _SECOND + rb")"
PRI = rb"<(?:[1-9]?[0-9]>|1[0-8][0-9]>|19[01]>)"
MONTH = b"(?:" + b"|".join(MONTHS) + b")"
DAY = rb" (?: [1-9]|0[1-9]|[12][0-9]|3[01])"
CLOCK = rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
# Only texts that are a valid time in any zone. With ``+25:00`` or the year 0000, the text is not a header.
ISO = b"(?=[12])" + ISO_SECOND
OFFSET = rb"Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
FRACTION = rb"(?:\.[0-9]{1,9})?"
ISO_TIME = b"(?P<second>" + ISO + b")(?P<fraction>" + FRACTION + b")(?P<offset>" + OFFSET + b")"
# Fields and names of RFC 5424, with the characters that are in common use.
WORD = rb"[!-~]++"
_SD_NAME = rb"[!#-<>-\\^-~]++"
_SD_PARAM = b" " + _SD_NAME + rb'="[^"\\\]\n]*+(?:"|(?:\\.[^"\\\]\n]*+)++")'
_SD_ELEMENT = rb"\[" + _SD_NAME + b"(?:" + _SD_PARAM + rb")*+\]"
SD = rb"-|(?:" + _SD_ELEMENT + b")++"
_DESCRIPTIVE = b"(?:(?=" + DESCRIPTIVE + b")" + _SD_ELEMENT + b")"
NO_VENDOR_SD = b"(?:-|" + _DESCRIPTIVE + b"++)"
"""Structured data without an element of a vendor."""
VENDOR_SD = _DESCRIPTIVE + b"*+(?:" + _SD_ELEMENT + b")++"
"""Structured data with an element of a vendor, if NO_VENDOR_SD does not match."""
BOM = rb"(?:\xef\xbb\xbf)?+"
BSD = MONTH + DAY + b" " + CLOCK
VALID_BSD = b"(?!Feb 3|(?:Apr|Jun|Sep|Nov) 31)" + BSD
"""A time whose month has that day, for times that are not checked later, such as a relay's before another header."""
# After the header: the text begins with a visible character.
TEXT_FOLLOWS = rb"(?:(?=[!-~])|[ \t]*+(?=.))"
AFTER_BSD = b" " + HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")" + TEXT_FOLLOWS
"Matches everything between second and text of a plain RFC 3164 frame."
BEFORE_TEXT = BOM + rb"[ \t]*+(?=.)"
NO_TEXT = rb"(?: [ \t]*+)?(?=\n|\Z)"
"Matches the rest of a frame with a blank MSG, after its structured data."
IN_PLACE = VENDOR_SD + rb"(?:\n|\Z| [!-~])"
"""Matches structured data of a vendor that can stay where they are, because no BOM and no further blank follow them.
PCRE2 copies a group byte by byte, which takes longer than all else, so a group is used for other frames only."""


def after_offset_auto(data_in_place: bytes = b"", msgid_in_place: bytes = b"") -> bytes:
    """Returns an expression for the header of a plain RFC 5424 frame for the column ``auto``, also without MSG.

    Without structured data of a vendor it ends at the text. Otherwise MSGID and structured data stay before the text:
    they follow the match, or are in its group ``kept``. The arguments are added where they follow the match.
    """
    return (
        b" " + WORD + b" " + WORD + b"(?<!:) " + WORD + b" (?:" + WORD + b" " + NO_VENDOR_SD + b" " + BEFORE_TEXT
        + b"|- (?=" + IN_PLACE + b")" + data_in_place + b"|(?!- )(?=" + WORD + b" " + IN_PLACE + b")" + msgid_in_place
        + b"|(?:(?P<nil>- )|(?!- ))(?P<kept>(?(nil)|" + WORD + b" )" + VENDOR_SD + b"(?:(?=" + NO_TEXT + b")| (?="
        + BEFORE_TEXT + b")))(?:" + BEFORE_TEXT + b"|" + NO_TEXT + b"))"
    )  # fmt: skip
