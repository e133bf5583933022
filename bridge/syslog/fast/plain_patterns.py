"""What a plain frame is: the parts of its header as expressions, for the readings that take whole reads at once.

They accept less than the careful rules of ``header`` do; what they accept means the same to both.
"""

from bridge.syslog import parser
from bridge.syslog.shapes import cisco
from bridge.syslog.timestamps import MONTHS

# What the fast path takes for a HOSTNAME: no zone name, no year (they may follow a time), nothing with a colon. Where
# the first letter decides it, nothing is looked ahead for: that costs as much as the rest of the name.
HOST = rb"(?:[a-z][A-Za-z0-9._-]*+|(?![A-Z]{2,5} |[0-9]{4} )[A-Z0-9][A-Za-z0-9._-]*+)"
TAG = rb"(?:[a-z_][A-Za-z0-9_./()-]*+|(?!CEF:|LEEF:)[A-Z][A-Za-z0-9_./()-]*+)"
PID = rb"[A-Za-z0-9_.:-]*+"
# What stands behind a tag without pid may be another time, of a device behind a relay: then the tag is its name.
COLON = b": (?!" + cisco.MAY_BE_SECOND + b")"
PRI = rb"<(?:[1-9]?[0-9]>|1[0-8][0-9]>|19[01]>)"
_MONTH = b"(?:" + b"|".join(MONTHS) + b")"
# Only what names a moment in any zone: texts that cannot (``+25:00``, the year 0000) are no times, so no header.
ISO = b"(?=[12])" + parser.ISO_SECOND
OFFSET = rb"Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
FRACTION = rb"(?:\.[0-9]{1,9})?"
# RFC 5424's fields and names in their usual letters.
WORD = rb"[!-~]++"
_SD_NAME = rb"[!#-<>-\\^-~]++"
_SD_PARAM = b" " + _SD_NAME + rb'="[^"\\\]\n]*+(?:"|(?:\\.[^"\\\]\n]*+)++")'
SD = rb"-|(?:\[" + _SD_NAME + b"(?:" + _SD_PARAM + rb")*+\])++"
BOM = rb"(?:\xef\xbb\xbf)?+"
BSD = _MONTH + rb" (?: [1-9]|0[1-9]|[12][0-9]|3[01]) (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
# Behind the header: the first letter of the text shows.
_SHOWS = rb"(?:(?=[!-~])|[ \t]*+(?=.))"
BEHIND_BSD = b" " + HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")" + _SHOWS
"What stands between second and text of a plain frame of RFC 3164."
BEHIND_OFFSET = b" " + WORD + b" " + WORD + b"(?<!:) " + WORD + b" " + WORD + b" (?:" + SD + b") " + BOM + _SHOWS
"What stands between offset and text of one of RFC 5424."
