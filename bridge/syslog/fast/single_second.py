"""Parses socket reads of one layout and one second, if one column that ends with the frame is needed.

Such a column is the text, the tag and the text, or all after the PRI. Every frame has the same layout (``layouts``)
with the same second, which is the most common kind of read. One expression, made of the layout and the second, removes
all headers; no frame is processed on its own. The count of its matches proves that it has matched each frame. Any
other read is rejected. This is the fastest strategy.

For the column ``auto``, another expression for RFC 5424 keeps the structured data of vendors. Other headers have none.
"""

from functools import lru_cache

from bridge.syslog.columns import Column, SameSecond
from bridge.syslog.fast.layouts import PLAIN_5424, Layout, expression, layout_of, second_of, up_to_auto
from bridge.syslog.fast.plain_patterns import PRI
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import is_time
from bridge.util.rewriter import Cut, cutter


class _Moment:
    """The compiled expression for one layout and second. All readers share it."""

    MIN_READS = 4
    """Number of reads that must begin with the second before its expression is compiled. Compiling costs four small
    reads, and senders with random clocks repeat a second only by chance."""

    def __init__(self, layout: Layout, column: str, time: tuple[tuple[str, bytes], ...]) -> None:
        given = dict(time)
        self.column = column
        self.layout = layout
        self.shown = given.get("second", b"")
        "A text that every frame of the second contains."
        self.second = second_of(self.shown)
        self.offset = given.get("offset", b"")
        self.groups = 0 if "fraction" in given else 1
        "Number of lines that the expression leaves before each text: 1 for a fraction, otherwise 0."
        self._given = given
        self._seen = 0
        self._cut: Cut | None = None

    def cut(self) -> Cut | None:
        """Returns the function that removes the headers, or None before ``MIN_READS`` or if the second is invalid."""
        if self._cut is None:
            self._seen += 1
            if self._seen >= self.MIN_READS and (not self.second or is_time(self.second, self.offset)):
                layout = up_to_auto(self.layout) if self.column == "auto" else self.layout
                kept = layout is not self.layout
                until = "end" if kept else self.column.replace("auto", "text")
                pattern = expression(layout, frozenset(("fraction",)), self._given, until)
                self._cut = cutter(rb"\n" + PRI + pattern, self.groups, b"kept" if kept else b"")
        return self._cut


_moment = lru_cache(maxsize=128)(_Moment)


class SingleSecond:
    """Removes all headers of a socket read. Pauses for a growing number of reads while it fails."""

    def __init__(self) -> None:
        self._moment: _Moment | None = None
        self._retry_pause = RetryPause()

    def read(self, block: bytes, column: str = "text") -> SameSecond | None:
        """Returns a block's frames from where ``column`` begins, or None if another strategy must read the block."""
        if self._retry_pause.should_skip():
            return None
        moment = self._moment
        # Most reads begin with the second of the read before.
        if moment is None or moment.column != column or block.find(moment.shown, 3, 100) < 0:
            moment = self._moment = _moment_of(block, column)
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
            self._moment = None
            return None
        fractions: Column = ()
        if moment.groups:
            parts = lines.split(b"\n")
            lines, fractions = b"\n".join((*parts[2::2], b"")), parts[1::2]
        else:
            lines = b"".join((memoryview(lines)[1:], b"\n"))
        self._retry_pause.reset()
        return SameSecond(lines, count, moment.second, moment.offset, fractions, column)


def _moment_of(block: bytes, column: str) -> _Moment | None:
    """Returns the second at the beginning of a read, or None if the read does not begin with a known layout."""
    layout, time = layout_of(block, frozenset((column,)))
    if layout is None or column not in ("auto", *layout.parts):
        return None
    # Whether a fraction is written depends on the layout, except in RFC 5424.
    if time.get("fraction") or layout is PLAIN_5424:
        del time["fraction"]
    else:
        time["fraction"] = b""
    return _moment(layout, column, tuple(time.items()))
