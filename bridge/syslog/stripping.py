"""The fastest reading, for the commonest reads: every frame has a plain header of one RFC, all are of one second, and
nothing is wanted but the text. One expression takes the headers off; no frame is looked at by itself.

What it accepts is what the fast path in ``columns`` accepts, with one time text in place of all; anything else is left
to that. A property test holds both equal.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from bridge.syslog.columns import BOM, BSD, COLON, FRACTION, HOST, ISO, OFFSET, PID, PRI, SD, TAG, WORD, Columns
from bridge.syslog.timestamps import is_time

# Behind the header: the first letter of the text shows.
_TEXT = rb"(?:(?=[!-~])|[ \t]*+(?=.))"


class _Kind(NamedTuple):
    """One RFC."""

    first: re.Pattern[bytes]
    "The time of a read's first frame: second and, in the second group, offset."
    expression: Callable[[bytes, bytes], bytes]
    "The headers of all frames with a second and an offset; a group takes the fraction."


_RFC3164 = _Kind(
    re.compile(rb"\n" + PRI + b"(" + BSD + rb")() "),
    lambda second, offset: (
        rb"\n" + PRI + second + b" " + HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")" + _TEXT
    ),
)
_RFC5424 = _Kind(
    re.compile(rb"\n" + PRI + b"1 (" + ISO + b")" + FRACTION + b"(" + OFFSET + b") "),
    lambda second, offset: (
        rb"\n" + PRI + b"1 " + second + b"(" + FRACTION + b")" + re.escape(offset) + b" "
        + WORD + b" " + WORD + b"(?<!:) " + WORD + b" " + WORD + b" (?:" + SD + b") " + BOM + _TEXT
    ),
)  # fmt: skip


class Stripper:
    """Strips whole reads. Remembers the last second's expression, and how often it has tried in vain."""

    WORTH = 2
    "Reads that begin with the same second before an expression is made for it: that costs as much as a small read."
    LONGEST_PAUSE = 64
    "Reads that are passed over, at most, after tries in vain."

    def __init__(self) -> None:
        self._kind = _RFC3164
        self._second = self._offset = b""
        self._seen = 0
        self._expression: re.Pattern[bytes] | None = None
        self._pause = 1
        self._passes = 0

    def strip(self, block: bytes) -> Columns | None:
        """The texts of a block's frames, or None: then nothing is known of them."""
        if self._passes:
            self._passes -= 1
            return None
        # Most reads begin with the second of the read before.
        if (not self._second or block.find(self._second, 3, 8 + len(self._second)) < 0) and not self._begin(block):
            self._in_vain()
            return None
        if self._expression is None:
            self._seen += 1
            if self._seen < self.WORTH or not is_time(self._second, self._offset):
                return None
            self._expression = re.compile(self._kind.expression(self._second, self._offset))
        fractions = None
        if self._expression.groups:
            before, *parts = self._expression.split(block)
            lines, fractions = b"\n".join((before, *parts[1::2], b""))[1:], parts[::2]
            count = len(fractions)
        else:
            texts, count = self._expression.subn(b"\n", block)
            lines = b"".join((memoryview(texts)[1:], b"\n"))
        # As many LFs as headers. CPython counts a byte in a plain loop; to delete it is ten times as fast.
        if len(lines) - len(lines.replace(b"\n", b"")) != count:
            self._in_vain()
            return None
        self._pause = 1
        return Columns.of_texts(lines, count, self._second, self._offset, fractions)

    def _begin(self, block: bytes) -> bool:
        """Take up the second of a read; whether it begins as it should."""
        for kind in (_RFC3164, _RFC5424):
            if first := kind.first.match(block):
                if (first[1], first[2]) != (self._second, self._offset):
                    self._second, self._offset = first[1], first[2]
                    self._kind, self._seen, self._expression = kind, 0, None
                return True
        return False

    def _in_vain(self) -> None:
        """This kind of read is not for us: the next ones are not tried, ever more of them."""
        self._passes = self._pause
        self._pause = min(self.LONGEST_PAUSE, 2 * self._pause)
