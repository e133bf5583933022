"""Completes the rows that the expression of ``mixed_formats`` has found.

The expression marks times that it did not split, and frames that it did not match. The reference parser reads the
latter, and rows whose time or text may be another than the expression found.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.fast.plain_patterns import VENDOR_SD, WORD
from bridge.syslog.shapes import NO_TIME, keyvalue
from bridge.syslog.structured_data import auto_text
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

IN_PLACE_MARK = b"\t"
"Replaces what precedes a text in ``auto``, if it is at the beginning of the text. A missing MSGID follows."

_WITHOUT_MSGID = re.compile(VENDOR_SD + b" ?")
_WITH_MSGID = re.compile(WORD + b" " + VENDOR_SD + b" ?")


class Rows(NamedTuple):
    """The columns while they are being filled."""

    seconds: list[bytes]
    fractions: list[bytes]
    offsets: list[bytes]
    texts: list[bytes]
    kept: list[bytes]
    "What precedes each text in the column ``auto``; no rows if that column is not wanted."


def resolve_in_place(rows: Rows, *, split: bool) -> None:
    """Resolves the marks of rows whose MSGID and structured data are at the beginning of the text.

    ``split``: moves them to ``kept``, because the texts are needed as well.
    """
    _, _, _, texts, kept = rows
    if not split:
        kept[:] = [b"" if prefix[:1] == IN_PLACE_MARK else prefix for prefix in kept] if any(kept) else kept
        return
    for row, prefix in enumerate(kept):
        if prefix[:1] == IN_PLACE_MARK:
            found = (_WITHOUT_MSGID if prefix[1:] else _WITH_MSGID).match(texts[row])
            end = found.end() if found else 0
            kept[row], texts[row] = texts[row][:end], texts[row][end:]


def complete(rows: Rows, block: bytes) -> dict[int, bytes]:
    """Fills in what is missing of the rows of a block. Returns ``Columns.blank``."""
    unresolved = {*_resolve_marked(rows), *_with_invalid_time(rows)}
    blank = [row for row, text in enumerate(rows.texts) if not text] if b"" in rows.texts else []
    # A text may be missing after structured data of a vendor, which the expression has read completely.
    known = {row for row in blank if rows.kept[row]} - unresolved if rows.kept else set()
    unresolved.update(blank)
    return _reparse(rows, sorted(unresolved), known, block) if unresolved else {}


def _resolve_marked(rows: Rows) -> list[int]:
    """Fills in the times that the expression found but did not split. Returns the rows that it did not match."""
    seconds, fractions, offsets, texts, _ = rows
    unresolved = []
    for row, mark in enumerate(fractions):
        if not mark or mark[0] == _POINT:
            continue
        read = _READERS.get(mark)
        stamp = read(texts[row] if mark == b"j" else seconds[row]) if read else None
        if stamp is None:
            seconds[row] = fractions[row] = b""
            unresolved.append(row)
        else:
            seconds[row], fractions[row], offsets[row], *_ = stamp
    return unresolved


def _with_invalid_time(rows: Rows) -> list[int]:
    """Returns the rows whose time is not valid in any year.

    The expression does not check the length of a month. A text with an invalid time has no header.
    """
    pairs = set(zip(rows.seconds, rows.offsets, strict=True))
    invalid = {pair for pair in pairs if pair[0] and not is_time(*pair)}
    if not invalid:
        return []
    return [row for row, pair in enumerate(zip(rows.seconds, rows.offsets, strict=True)) if pair in invalid]


@lru_cache(maxsize=5000)
def _time_of_text(text: bytes) -> Stamp | None:
    # The text after the time is missing here. A zone in lower case is recognised only before a colon, a counter after
    # the fraction only before a blank.
    for following in (b":", b"", b" "):
        stamp = scan(text + following)
        if stamp and stamp.end == len(text):
            return stamp
    return None


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


def _reparse(rows: Rows, unresolved: list[int], known: set[int], block: bytes) -> dict[int, bytes]:
    """Reads rows again with the reference parser, except those that are known to have a blank MSG, and deletes rows of
    blank frames. Returns ``Columns.blank``."""
    seconds, fractions, offsets, texts, kept = rows
    frames = block.split(b"\n")
    blank: dict[int, bytes] = {}
    empty = []
    # Tiny frames without a text are alike: a read may have thousands of them.
    read = cache(parser.read)
    for row in unresolved:
        frame = frames[row + 1]
        if not frame.strip(b" \t\r\n\0"):
            empty.append(row)
            continue
        if row not in known:
            parts = read(frame)
            seconds[row], fractions[row], offsets[row] = parts.second, parts.fraction, parts.offset
            texts[row] = parts.msg.lstrip(b" \t")
            if kept:
                event = auto_text(parts.msgid, parts.structured_data, texts[row])
                kept[row] = event[: len(event) - len(texts[row])]
        if not texts[row]:
            blank[row - len(empty)] = frame
    if empty:
        gone = set(empty)
        for column in filter(None, rows):
            column[:] = [value for row, value in enumerate(column) if row not in gone]
    return blank
