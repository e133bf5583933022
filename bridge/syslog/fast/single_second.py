"""Parses socket reads of plain headers with one second, if only the text is needed. This is the fastest strategy.

Every frame has a plain header of the same RFC with the same second, which is the most common kind of read. One
expression removes all headers; no frame is processed on its own. It accepts the same headers as ``fields``, with this
one second as the only time, and rejects any other read.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog.columns import SameSecond
from bridge.syslog.fast.pcre2 import Cut, cutter
from bridge.syslog.fast.plain_patterns import AFTER_BSD, AFTER_OFFSET, BSD, FRACTION, ISO, OFFSET, PRI
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import is_time


class _Kind(NamedTuple):
    """The expressions for the headers of one RFC."""

    first: re.Pattern[bytes]
    "Matches the time of a read's first frame. Group 1 is the second, group 2 the offset."
    expression: Callable[[bytes, bytes], bytes]
    "Returns the expression for all headers with the given second and offset."
    groups: int
    "Number of groups in that expression: 1 if there is a group for the fraction, otherwise 0."


_RFC3164 = _Kind(
    re.compile(rb"\n" + PRI + b"(" + BSD + rb")() "),
    lambda second, offset: rb"\n" + PRI + second + AFTER_BSD,
    0,
)
_RFC5424 = _Kind(
    re.compile(rb"\n" + PRI + b"1 (" + ISO + b")" + FRACTION + b"(" + OFFSET + b") "),
    lambda second, offset: (
        rb"\n" + PRI + b"1 " + second + b"(" + FRACTION + b")" + re.escape(offset) + AFTER_OFFSET
    ),
    1,
)  # fmt: skip


class _Moment:
    """The compiled expression for one second. All readers share it."""

    MIN_READS = 2
    "Number of reads that must begin with the second before its expression is compiled. Compiling costs a small read."

    def __init__(self, kind: _Kind, second: bytes, offset: bytes) -> None:
        self.second = second
        self.offset = offset
        self.groups = kind.groups
        self._kind = kind
        self._seen = 0
        self._cut: Cut | None = None

    def cut(self) -> Cut | None:
        """Returns the function that removes the headers, or None before ``MIN_READS`` or if the second is invalid."""
        if self._cut is None:
            self._seen += 1
            if self._seen >= self.MIN_READS and is_time(self.second, self.offset):
                self._cut = cutter(self._kind.expression(self.second, self.offset), self.groups)
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

    def read(self, block: bytes) -> SameSecond | None:
        """Returns the texts of a block's frames, or None if another strategy must read the block."""
        if self._retry_pause.should_skip():
            return None
        moment = self._moment
        # Most reads begin with the second of the read before.
        if moment is None or block.find(moment.second, 3, 8 + len(moment.second)) < 0:
            moment = self._moment = _moment_of(block)
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
        fractions = None
        if moment.groups:
            parts = lines.split(b"\n")
            lines, fractions = b"\n".join((*parts[2::2], b"")), parts[1::2]
        else:
            lines = b"".join((memoryview(lines)[1:], b"\n"))
        self._retry_pause.reset()
        return SameSecond(lines, count, moment.second, moment.offset, fractions)


def _moment_of(block: bytes) -> _Moment | None:
    """Returns the second at the beginning of a read, or None if the read does not begin with a plain header."""
    for kind in (_RFC3164, _RFC5424):
        if first := kind.first.match(block):
            return _moment(kind, first[1], first[2])
    return None
