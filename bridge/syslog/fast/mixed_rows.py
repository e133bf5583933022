"""Completes the rows that the expression of ``mixed_formats`` has found.

The expression marks rows that it did not complete, by a letter after their offset. The reference parser reads rows that
the expression did not match, and rows whose time or text may be another than the expression found.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from operator import ne
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.columns import stamp_of
from bridge.syslog.fast.layouts import second_of
from bridge.syslog.fast.pairs import times_of_cef, times_of_json, times_of_pairs
from bridge.syslog.fast.plain_patterns import FRACTION, VENDOR_SD, WORD
from bridge.syslog.frames import BLANK
from bridge.syslog.structured_data import auto_text
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

UNSPLIT, OF_PAIRS, OF_CEF, OF_JSON = b"\tt", b"\tk", b"\tc", b"\tj"
"""Marks of rows whose time is one text with fraction and zone, or in the text: of pairs, of CEF, of a JSON object."""
DATA_IN_PLACE, MSGID_IN_PLACE = b"\td", b"\tm"
"Marks of rows whose text begins with structured data, or with MSGID and structured data, for the column ``auto``."
OF_5424 = b"\t5"
"Mark of rows of RFC 5424, whose column ``content`` is made of several fields."
UNKNOWN = b"\t?"
"Mark of rows that no expression has matched."
REPLACEMENT = b"\n${second}\t${fraction}\t${offset}${*MARK}\n"
"""Replaces a header by its stamp and its mark. Each line of the replacement costs an object per row, and each
conditional part costs as much as a group of the expression."""
_IN_PLACE = {DATA_IN_PLACE: re.compile(VENDOR_SD + b" ?"), MSGID_IN_PLACE: re.compile(WORD + b" " + VENDOR_SD + b" ?")}


def mark(name: bytes) -> bytes:
    """Returns a part of an expression that marks the row."""
    return b"(*MARK:" + name + b")"


def in_milliseconds(pattern: bytes) -> bytes:
    """Changes an expression to capture only what a stamp has of a fraction."""
    whole, milliseconds = rb"(?P<fraction>\.[0-9]{1,9})", rb"(?P<fraction>\.[0-9]{1,3})[0-9]{0,6}+"
    optional = b"(?P<fraction>" + FRACTION + b")"
    return pattern.replace(optional, b"(?:" + milliseconds + b")?").replace(whole, milliseconds)


class Rows(NamedTuple):
    """The columns while they are being filled."""

    stamps: list[bytes]
    "The stamp of each row, followed by its mark."
    texts: list[bytes]
    kept: list[bytes]
    "What precedes each text in the column ``auto``; no rows if that column is not wanted."
    columns: dict[str, list[bytes]]
    "Further columns."


def complete(rows: Rows, block: bytes, *, split: bool) -> dict[int, bytes]:
    """Removes the marks and fills in what is missing of the rows of a block. Returns ``Columns.blank``.

    ``split``: moves MSGID and structured data from the beginning of a text to ``kept``, because the texts are needed.
    """
    found = {stamp: _without_mark(stamp) for stamp in set(rows.stamps)}
    if split and rows.kept:
        _take_data(rows, found)
    unresolved: set[int] = set()
    if any(map(ne, found, found.values())):
        marked = rows.stamps.copy()
        rows.stamps[:] = map(found.__getitem__, marked)
        if b"" in found.values():
            unresolved.update(_fill_in_times(rows, marked))
    blank = {row for row, text in enumerate(rows.texts) if not text} if b"" in rows.texts else set()
    return _reparse(rows, unresolved, blank, block) if unresolved or blank else {}


@lru_cache(maxsize=20_000)
def _without_mark(stamp: bytes) -> bytes:
    """Returns a stamp without mark, or ``b""`` if its time must be found in another way.

    The expression does not check the length of a month. A text with an invalid time has no header.
    """
    second, fraction, offset, *marks = stamp.split(b"\t")
    mark = b"\t" + marks[0] if marks else b""
    if mark == UNSPLIT:
        time = _split_time(second)
        if time is None:
            return b""
        second, fraction, offset, *_ = time
    elif mark not in (b"", DATA_IN_PLACE, MSGID_IN_PLACE, OF_5424):
        return b""
    second = second_of(second)
    if second and not is_time(second, offset):
        return b""
    return stamp if not mark and b"=" not in stamp else stamp_of(second, fraction, offset)


def _take_data(rows: Rows, stamps: Iterable[bytes]) -> None:
    """Moves structured data from the beginning of the texts to ``kept``."""
    for mark, pattern in _IN_PLACE.items():
        marked = {stamp for stamp in stamps if stamp.endswith(mark)}
        for row in [row for row, stamp in enumerate(rows.stamps) if stamp in marked] if marked else ():
            found = pattern.match(rows.texts[row])
            end = found.end() if found else 0
            rows.kept[row], rows.texts[row] = rows.texts[row][:end], rows.texts[row][end:]


def _fill_in_times(rows: Rows, marked: Sequence[bytes]) -> list[int]:
    """Fills in the missing stamps of rows whose time is in the text. Returns the other rows without a stamp."""
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for row in [row for row, stamp in enumerate(rows.stamps) if not stamp]:
        places[marked[row][-2:]].append(row)
    unresolved = []
    for mark, missing in places.items():
        read = _READERS.get(mark)
        if read is None:
            unresolved += missing
            continue
        for row, time in zip(missing, read([rows.texts[row] for row in missing]), strict=True):
            if time is None or (time.second and not is_time(time.second, time.offset)):
                unresolved.append(row)
            else:
                rows.stamps[row] = stamp_of(time.second, time.fraction, time.offset)
    return unresolved


@lru_cache(maxsize=5000)
def _split_time(text: bytes) -> Stamp | None:
    # The text after the time is missing here. A zone in lower case is recognised only before a colon, a counter after
    # the fraction only before a blank.
    for following in (b":", b"", b" "):
        stamp = scan(text + following)
        if stamp and stamp.end == len(text):
            return stamp
    return None


_READERS: dict[bytes, Callable[[Sequence[bytes]], Sequence[Stamp | None]]] = {
    OF_PAIRS: times_of_pairs,
    OF_CEF: times_of_cef,
    OF_JSON: times_of_json,
}


def _reparse(rows: Rows, unresolved: set[int], blank_rows: set[int], block: bytes) -> dict[int, bytes]:
    """Reads rows again with the reference parser, and deletes rows of blank frames. Returns ``Columns.blank``."""
    stamps, texts, kept, columns = rows
    # An empty frame makes no row, except at the end.
    frames = [*filter(None, block.split(b"\n")), b""]
    blank: dict[int, bytes] = {}
    empty: set[int] = set()
    # Tiny frames without a text are alike: a read may have thousands of them.
    read = cache(parser.read)
    for row in sorted(unresolved | blank_rows):
        frame = frames[row]
        if not frame.strip(BLANK):
            empty.add(row)
            continue
        if row in unresolved:
            parts = read(frame)
            stamps[row] = stamp_of(parts.second, parts.fraction, parts.offset)
            texts[row] = parts.msg.lstrip(b" \t")
            for name, column in columns.items():
                column[row] = getattr(parts, name)
            if kept:
                event = auto_text(parts.msgid, parts.structured_data, texts[row])
                kept[row] = event[: len(event) - len(texts[row])]
        if not texts[row]:
            blank[row - len(empty)] = frame
    if empty:
        for column in filter(None, (stamps, texts, kept, *columns.values())):
            column[:] = [value for row, value in enumerate(column) if row not in empty]
    return blank
