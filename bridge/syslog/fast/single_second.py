"""Parses socket reads of plain headers with one second, if only the text is needed. This is the fastest strategy.

Every frame has a plain header of the same RFC with the same second, which is the most common kind of read. One
expression removes all headers; no frame is processed on its own. It accepts the same headers as ``fields``, with this
one second as the only time, and rejects any other read.

For the column ``auto``, another expression for RFC 5424 keeps the structured data of vendors. A header of RFC 3164 has
none, so both columns have one expression there.
"""

import re
from functools import lru_cache

from bridge.syslog.columns import Column, SameSecond
from bridge.syslog.fast.pcre2 import Cut, cutter
from bridge.syslog.fast.plain_patterns import (
    AFTER_BSD,
    AFTER_OFFSET,
    AFTER_OFFSET_AUTO,
    BSD,
    FRACTION,
    ISO,
    OFFSET,
    PRI,
)
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import is_time

# They match the time of a read's first frame. Group 1 is the second, group 2 the offset.
_FIRST_3164 = re.compile(rb"\n" + PRI + b"(" + BSD + b") ")
_FIRST_5424 = re.compile(rb"\n" + PRI + b"1 (" + ISO + b")" + FRACTION + b"(" + OFFSET + b") ")


class _Moment:
    """The compiled expression for one second. All readers share it."""

    MIN_READS = 4
    """Number of reads that must begin with the second before its expression is compiled. Compiling costs four small
    reads, and senders with random clocks repeat a second only by chance."""

    def __init__(self, second: bytes, offset: bytes = b"", *, auto: bool = False) -> None:
        self.second = second
        self.offset = offset
        "Empty in RFC 3164, never in RFC 5424."
        self.auto = auto
        "True for the column ``auto`` of RFC 5424."
        self.groups = 1 if offset else 0
        "Number of lines that the expression leaves before each text: 1 for the fraction of RFC 5424, otherwise 0."
        self._seen = 0
        self._cut: Cut | None = None

    def cut(self) -> Cut | None:
        """Returns the function that removes the headers, or None before ``MIN_READS`` or if the second is invalid."""
        if self._cut is None:
            self._seen += 1
            if self._seen >= self.MIN_READS and is_time(self.second, self.offset):
                header = self.second + AFTER_BSD
                if self.offset:
                    header = b"1 " + self.second + b"(" + FRACTION + b")" + re.escape(self.offset)
                    header += AFTER_OFFSET_AUTO if self.auto else AFTER_OFFSET
                self._cut = cutter(rb"\n" + PRI + header, self.groups, b"kept" if self.auto else b"")
        return self._cut


_moment = lru_cache(maxsize=128)(_Moment)


class SingleSecond:
    """Removes all headers of a socket read. Pauses for a growing number of reads while it fails."""

    LONGEST_PAUSE = 64
    "Maximum number of reads skipped after failures."

    def __init__(self) -> None:
        self._moment: _Moment | None = None
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)

    @property
    def has_failed(self) -> bool:
        """True if the last attempt failed: the frames are of several kinds, or of an unknown kind."""
        return self._retry_pause.has_failed

    def read(self, block: bytes, *, auto: bool = False) -> SameSecond | None:
        """Returns the texts of a block's frames, or None if another strategy must read the block.

        ``auto``: the texts are the column ``auto``.
        """
        if self._retry_pause.should_skip():
            return None
        moment = self._moment
        # Most reads begin with the second of the read before.
        if (
            moment is None
            or block.find(moment.second, 3, 8 + len(moment.second)) < 0
            or (moment.auto is not auto and moment.offset)
        ):
            moment = self._moment = _moment_of(block, auto=auto)
            if moment is None:
                self._retry_pause.record_failure()
                return None
        cut = moment.cut()
        if cut is None:
            return None
        lines, count = cut(block) or (b"", 0)
        # There must be as many LFs as headers. CPython's ``count`` of a byte is ten times slower than deleting it.
        found = len(lines) - len(lines.replace(b"\n", b""))
        if not count or found != count * (1 + moment.groups):
            self._retry_pause.record_failure()
            return None
        fractions: Column = ()
        if moment.groups:
            parts = lines.split(b"\n")
            lines, fractions = b"\n".join((*parts[2::2], b"")), parts[1::2]
        else:
            lines = b"".join((memoryview(lines)[1:], b"\n"))
        self._retry_pause.reset()
        return SameSecond(lines, count, moment.second, moment.offset, fractions)


def _moment_of(block: bytes, *, auto: bool) -> _Moment | None:
    """Returns the second at the beginning of a read, or None if the read does not begin with a plain header."""
    if first := _FIRST_3164.match(block):
        return _moment(first[1])
    first = _FIRST_5424.match(block)
    return _moment(first[1], first[2], auto=auto) if first else None
