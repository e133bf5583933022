"""The quick reading of one frame that ``sweeping`` has left, where nothing is wanted but time and text.

The careful reading asks one table after the other and takes all fields apart; here one expression stands for the tables
behind a time, and what begins otherwise is told by its first letters. It accepts less and means the same; None: the
careful reading must see to it. The property test of ``sweeping`` holds both equal.
"""

import re
from functools import lru_cache

from bridge.syslog import grammar
from bridge.syslog.behind import behind, rows
from bridge.syslog.columns import PRI
from bridge.syslog.shapes import VERSIONED, cisco, keyvalue
from bridge.syslog.times import scan
from bridge.syslog.timestamps import is_time

Row = tuple[bytes, bytes, bytes, bytes]
"""What was wanted of a frame: second, fraction, offset, and text, which shows something."""

_START = re.compile(rb"(?P<pri>" + PRI + rb" ?)?+(?:(?P<version>1 ++(?=[0-9]))|[ ]{0,3}+)(?=[A-Za-z0-9:])")
_KEYED = re.compile(b"(?:" + PRI + rb" ?+)?(?P<text>(?=\{|[A-Za-z_][A-Za-z0-9_.-]*+=(?!=)))")
_CEF = re.compile(b"(?:" + PRI + rb" ?)?(?=" + grammar.CEF + b")")
_COUNTED = re.compile(PRI + rb" ?(?=[0-9]*+: )")
_TEXT = rb"[ \t]*+(?=.)"
_GAP = rb"(?: ++(?!:)|:?\t|(?=[A-Za-z]))"
# What cannot be RFC 5424, with or without good data; or has a tag where that has an app-name.
NOT_5424 = rb"(?:(?!\S++ \S++ \S++ \S++ [-\[])|(?=\S++ \S++(?<=:) (?!- - )))"


@lru_cache(maxsize=32)
def _after(form: str, versioned: bool) -> re.Pattern[bytes]:
    """From the end of a time of one format to the text."""
    shapes = behind(form)
    if versioned:
        versions = rows(VERSIONED.rows, form)
        # A number is a time only in Meraki's layout.
        shapes = versions if form == "epoch" else b"(?>" + NOT_5424 + b"(?:" + versions + b"|" + shapes + b"))"
    return re.compile(_GAP + shapes + _TEXT, re.DOTALL)


def glean(frame: bytes) -> Row | None:
    """Time and text of a frame, or None: it is not known here."""
    if keyed := _KEYED.match(frame):
        return _of_pairs(frame[keyed.end() :])
    if cef := _CEF.match(frame):
        text = frame[cef.end() :]
        second, fraction, offset, *_ = keyvalue.time_of_cef(text)
        return second, fraction, offset, text
    start = _START.match(frame)
    if start is None:
        return None
    at = start.end()
    stamp = scan(frame, at)
    if stamp is None:
        return _counted(frame) if start["pri"] else None
    second, fraction, offset, end, form = stamp
    versioned = start["version"] is not None
    if not is_time(second, offset) or (form == "epoch" and not versioned):
        return None
    found = _after(form, versioned).match(frame, end)
    return (second, fraction, offset, frame[found.end() :]) if found else None


def _of_pairs(text: bytes) -> Row | None:
    stamp = keyvalue.time_alone(text)
    return (stamp.second, stamp.fraction, stamp.offset, text) if stamp else None


def _counted(frame: bytes) -> Row | None:
    """Cisco's header behind a counter."""
    counted = _COUNTED.match(frame)
    read = counted and cisco.read(b"", frame[counted.end() :])
    return (read.second, read.fraction, read.offset, read.msg) if read else None
