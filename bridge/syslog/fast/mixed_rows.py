"""Completes the rows that the expression of ``mixed_formats`` has found.

The expression marks rows that it did not complete, by a letter after their offset. The reference parser reads rows that
the expression did not match, and rows whose time or text may be another than the expression found.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import product, starmap
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.fast.layouts import second_of
from bridge.syslog.fast.pairs import times_of_pairs
from bridge.syslog.fast.plain_patterns import VENDOR_SD, WORD
from bridge.syslog.shapes import keyvalue
from bridge.syslog.structured_data import auto_text
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

UNSPLIT, OF_PAIRS, OF_CEF, OF_JSON = b"\tt", b"\tk", b"\tc", b"\tj"
"""Marks of rows whose time is one text with fraction and zone, or in the text: of pairs, of CEF, of a JSON object."""
DATA_IN_PLACE, MSGID_IN_PLACE = b"\td", b"\tm"
"Marks of rows whose text begins with structured data, or with MSGID and structured data, for the column ``auto``."
UNKNOWN = b"\t?"
"Mark of rows that no expression has matched."
REPLACEMENT = b"\n${second}\n${fraction}\n${offset}${*MARK}\n"
"Replaces a header. Each conditional part would cost as much as a group of the expression."

_IN_PLACE = {DATA_IN_PLACE: re.compile(VENDOR_SD + b" ?"), MSGID_IN_PLACE: re.compile(WORD + b" " + VENDOR_SD + b" ?")}


def mark(name: bytes) -> bytes:
    """Returns a part of an expression that marks the row."""
    return b"(*MARK:" + name + b")"


class Rows(NamedTuple):
    """The columns while they are being filled."""

    seconds: list[bytes]
    fractions: list[bytes]
    offsets: list[bytes]
    texts: list[bytes]
    kept: list[bytes]
    "What precedes each text in the column ``auto``; no rows if that column is not wanted."


def complete(rows: Rows, block: bytes, *, split: bool) -> dict[int, bytes]:
    """Fills in what is missing of the rows of a block. Returns ``Columns.blank``.

    ``split``: moves MSGID and structured data from the beginning of a text to ``kept``, because the texts are needed.
    """
    marked = _take_marks(rows.offsets)
    unresolved = {*marked.pop(UNKNOWN, ()), *_fill_in_times(rows, marked)}
    renamed = {second: second_of(second) for second in set(rows.seconds) if b"=" in second}
    if renamed:
        rows.seconds[:] = map(renamed.get, rows.seconds, rows.seconds)
    unresolved.update(_with_invalid_time(rows))
    for name, pattern in _IN_PLACE.items() if split else ():
        for row in marked[name]:
            found = pattern.match(rows.texts[row])
            end = found.end() if found else 0
            rows.kept[row], rows.texts[row] = rows.texts[row][:end], rows.texts[row][end:]
    blank = {row for row, text in enumerate(rows.texts) if not text} if b"" in rows.texts else set()
    return _reparse(rows, unresolved, blank, block) if unresolved or blank else {}


def _take_marks(offsets: list[bytes]) -> defaultdict[bytes, list[int]]:
    """Removes the marks. Returns the rows of each mark."""
    marked: defaultdict[bytes, list[int]] = defaultdict(list)
    with_mark = {offset for offset in set(offsets) if b"\t" in offset}
    if with_mark:
        for row, offset in enumerate(offsets):
            if offset in with_mark:
                marked[offset[-2:]].append(row)
                offsets[row] = offset[:-2]
    return marked


def _fill_in_times(rows: Rows, marked: defaultdict[bytes, list[int]]) -> list[int]:
    """Fills in the times of marked rows. Returns the rows whose times it does not find."""
    unresolved = []
    for name, read in _READERS.items():
        if places := marked[name]:
            column = rows.seconds if name == UNSPLIT else rows.texts
            for row, stamp in zip(places, read([column[row] for row in places]), strict=True):
                if stamp is None:
                    unresolved.append(row)
                else:
                    rows.seconds[row], rows.fractions[row], rows.offsets[row], *_ = stamp
    return unresolved


def _with_invalid_time(rows: Rows) -> list[int]:
    """Returns the rows whose time is not valid in any year.

    The expression does not check the length of a month. A text with an invalid time has no header.
    """
    seconds, offsets = set(rows.seconds) - {b""}, set(rows.offsets)
    # Most reads have few texts of each.
    few = 4 * len(seconds) * len(offsets) < len(rows.seconds)
    if few and all(starmap(is_time, product(seconds, offsets))):
        return []
    pairs = set(zip(rows.seconds, rows.offsets, strict=True))
    invalid = {pair for pair in pairs if pair[0] and not is_time(*pair)}
    if not invalid:
        return []
    return [row for row, pair in enumerate(zip(rows.seconds, rows.offsets, strict=True)) if pair in invalid]


@lru_cache(maxsize=5000)
def _split_time(text: bytes) -> Stamp | None:
    # The text after the time is missing here. A zone in lower case is recognised only before a colon, a counter after
    # the fraction only before a blank.
    for following in (b":", b"", b" "):
        stamp = scan(text + following)
        if stamp and stamp.end == len(text):
            return stamp
    return None


def _time_of_json(text: bytes) -> Stamp | None:
    found = keyvalue.read_json(b"", text)
    return Stamp(found.second, found.fraction, found.offset, 0, "") if found else None


_READERS: dict[bytes, Callable[[Sequence[bytes]], Sequence[Stamp | None]]] = {
    UNSPLIT: lambda texts: [*map(_split_time, texts)],
    OF_PAIRS: times_of_pairs,
    OF_CEF: lambda texts: [*map(keyvalue.time_of_cef, texts)],
    OF_JSON: lambda texts: [*map(_time_of_json, texts)],
}


def _reparse(rows: Rows, unresolved: set[int], blank_rows: set[int], block: bytes) -> dict[int, bytes]:
    """Reads rows again with the reference parser, and deletes rows of blank frames. Returns ``Columns.blank``."""
    seconds, fractions, offsets, texts, kept = rows
    # An empty frame makes no row, except at the end.
    frames = [*filter(None, block.split(b"\n")), b""]
    blank: dict[int, bytes] = {}
    empty: set[int] = set()
    # Tiny frames without a text are alike: a read may have thousands of them.
    read = cache(parser.read)
    for row in sorted(unresolved | blank_rows):
        frame = frames[row]
        if not frame.strip(b" \t\r\n\0"):
            empty.add(row)
            continue
        if row in unresolved:
            parts = read(frame)
            seconds[row], fractions[row], offsets[row] = parts.second, parts.fraction, parts.offset
            texts[row] = parts.msg.lstrip(b" \t")
            if kept:
                event = auto_text(parts.msgid, parts.structured_data, texts[row])
                kept[row] = event[: len(event) - len(texts[row])]
        if not texts[row]:
            blank[row - len(empty)] = frame
    if empty:
        for column in filter(None, rows):
            column[:] = [value for row, value in enumerate(column) if row not in empty]
    return blank
