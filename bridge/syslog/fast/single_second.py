"""The fastest reading, for the commonest reads: every frame has a plain header of one RFC, all are of one second, and
nothing is wanted but the text. One expression takes the headers off; no frame is looked at by itself.

What it accepts is what the fast path in ``columns`` accepts, with one time text in place of all; anything else is left
to that. A property test holds both equal.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog.fast.columns import Columns
from bridge.syslog.fast.many_seconds import ManySecondsReader
from bridge.syslog.fast.pcre2 import Cut, cutter
from bridge.syslog.fast.plain_patterns import (
    BEHIND_BSD,
    BEHIND_OFFSET,
    BSD,
    FRACTION,
    ISO,
    OFFSET,
    PRI,
)
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import is_time


class _Kind(NamedTuple):
    """One RFC."""

    first: re.Pattern[bytes]
    "The time of a read's first frame: second and, in the second group, offset."
    expression: Callable[[bytes, bytes], bytes]
    "The headers of all frames with a second and an offset."
    groups: int
    "One takes the fraction, where there is one."


_RFC3164 = _Kind(
    re.compile(rb"\n" + PRI + b"(" + BSD + rb")() "),
    lambda second, offset: rb"\n" + PRI + second + BEHIND_BSD,
    0,
)
_RFC5424 = _Kind(
    re.compile(rb"\n" + PRI + b"1 (" + ISO + b")" + FRACTION + b"(" + OFFSET + b") "),
    lambda second, offset: (
        rb"\n" + PRI + b"1 " + second + b"(" + FRACTION + b")" + re.escape(offset) + BEHIND_OFFSET
    ),
    1,
)  # fmt: skip


class _Moment:
    """What is known of a second, by all who read frames of it: a thousand connections share one expression."""

    WORTH = 2
    "Reads that begin with it before an expression is made for it: that costs as much as a small read."

    def __init__(self, kind: _Kind, second: bytes, offset: bytes) -> None:
        self.second = second
        self.offset = offset
        self.groups = kind.groups
        "Lines of each header that stand before its text: its fraction, or nothing."
        self._kind = kind
        self._seen = 0
        self._cut: Cut | None = None

    def cut(self) -> Cut | None:
        """What takes the headers off, once it is worth it; none where the text is no time."""
        if self._cut is None:
            self._seen += 1
            if self._seen >= self.WORTH and is_time(self.second, self.offset):
                self._cut = cutter(self._kind.expression(self.second, self.offset), self.groups)
        return self._cut


_moment = lru_cache(maxsize=128)(_Moment)


class SingleSecondReader:
    """Strips whole reads. Remembers the last second, and how often it has tried in vain."""

    LONGEST_PAUSE = 64
    "Reads that are passed over, at most, after tries in vain."

    def __init__(self) -> None:
        self._moment: _Moment | None = None
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)
        self.many_seconds = ManySecondsReader()
        "Takes its turn where this tries in vain."

    @property
    def mixed(self) -> bool:
        """Whether the last try was in vain: frames of several kinds, or of one that this knows not."""
        return self._retry_pause.tried

    def strip(self, block: bytes) -> Columns | None:
        """The texts of a block's frames, or None: then nothing is known of them."""
        if self._retry_pause.passes():
            return None
        moment = self._moment
        # Most reads begin with the second of the read before.
        if moment is None or block.find(moment.second, 3, 8 + len(moment.second)) < 0:
            moment = self._moment = _moment_of(block)
            if moment is None:
                self._retry_pause.in_vain()
                return None
        cut = moment.cut()
        if cut is None:
            return None
        lines, count = cut(block) or (b"", 0)
        # As many LFs as headers. CPython counts a byte in a plain loop; to delete it is ten times as fast.
        found = len(lines) - len(lines.replace(b"\n", b""))
        if not count or found != count * (1 + moment.groups):
            self._retry_pause.in_vain()
            return None
        fractions = None
        if moment.groups:
            parts = lines.split(b"\n")
            lines, fractions = b"\n".join((*parts[2::2], b"")), parts[1::2]
        else:
            lines = b"".join((memoryview(lines)[1:], b"\n"))
        self._retry_pause.reset()
        return Columns.of_texts(lines, count, moment.second, moment.offset, fractions)


def _moment_of(block: bytes) -> _Moment | None:
    """The second that a read begins with; None: it begins otherwise."""
    for kind in (_RFC3164, _RFC5424):
        if first := kind.first.match(block):
            return _moment(kind, first[1], first[2])
    return None
