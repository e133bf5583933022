"""Parses socket reads with scattered RFC 3164 times, using an expression that also converts the times.

It is an addition to ``many_seconds`` for connections whose reads keep having scattered times (random clocks). The
expression contains each second of some minutes with a mark ``(*MARK:...)``, whose name is the time in milliseconds.
PCRE2 replaces each header by the mark of the second that matched. One call turns a read from a thousand clocks into
lines with a time each, and no object is created per frame. Compiling an expression takes some milliseconds, once in
several minutes.
"""

import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog.columns import Timed
from bridge.syslog.fast import pcre2
from bridge.syslog.fast.plain_patterns import AFTER_BSD, PRI
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.time_formats import MONTHS
from bridge.syslog.timestamps import TimeConversion, TimeReader, is_scattered

STEP_MINUTES = 4
"Expressions begin and end at multiples of this, so that connections share them and each is used for some minutes."
MAX_MINUTES = 36
"Maximum length of the span of one expression. A compiled expression has at most 64 KiB, and a minute takes 1.4 KiB."
MAX_EXPRESSIONS = 16
"Maximum number of expressions of all connections together. Each takes up to 400 KiB."

DIGITS = 13
"Digits of a time in milliseconds since the epoch, from 2001 to 2286."
_MIN_MS = 10 ** (DIGITS - 1)
_MINUTE, _HOUR = 60_000, 3_600_000
_STEP = STEP_MINUTES * _MINUTE


class _Span(NamedTuple):
    """A span of whole minutes in a zone, and how its times are written."""

    first: int
    "Begin, in milliseconds since the epoch."
    end: int
    "End (exclusive), in milliseconds since the epoch."
    zone: tzinfo
    hour: int
    "Hour of reception, in hours since the epoch. It determines the year."
    padded: bool
    "True for ``Nov 05``, False for ``Nov  5``."


class PrecompiledTimes:
    """Converts reads of scattered times of one connection, after learning their span."""

    RECHECK_READS = 64
    "Interval, in reads, at which a read is left to another strategy to check whether its times are still scattered."
    LONGEST_PAUSE = 1024
    "Maximum number of reads from which nothing is learnt after failures."

    def __init__(self) -> None:
        self._learnt: tuple[_Span, weakref.ref[pcre2.Rewriter]] | None = None
        "The weak reference lets the expression be freed, so a silent connection keeps no machine code."
        self._reads = 0
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)

    def read(self, block: bytes, received: int, conversion: TimeConversion) -> Timed | None:
        """Returns times and texts of a block's frames, or None if another strategy must read the block."""
        if self._learnt is None:
            return None
        span, reference = self._learnt
        rewrite = reference()
        if rewrite is None:
            # The expression was evicted: there are more zones and spans than expressions. Compiling them in turn would
            # take longer than reading without them.
            self._give_up()
            return None
        self._reads += 1
        if self._reads % self.RECHECK_READS == 0:
            self._retry_pause.reset()
            return None
        if not _is_valid(span, received, conversion):
            self._learnt = None
            return None
        lines, count = rewrite(block) or (b"", 0)
        rows = lines.split(b"\n")
        if not count or len(rows) != 1 + count:
            # The read has other headers, or usually times outside the span.
            self._give_up()
            return None
        del rows[0]
        # All times have the same number of digits, so the lexical minimum is the earliest time.
        first, last = min(rows)[:DIGITS], max(rows)[:DIGITS]
        return Timed(b"".join((memoryview(lines)[1:], b"\n")), count, int(first), int(last))

    def learn(self, seconds: Sequence[bytes], received: int, conversion: TimeConversion) -> None:
        """Learns the span of the seconds of a read (``Nov 23 07:24:00``, with or without a PRI before each)."""
        if self._retry_pause.should_skip():
            return
        distinct = {second[-15:] for second in seconds}
        times = conversion.reader.all_ms(list(distinct), b"", conversion.zone, received)
        if times is None or not is_scattered(len(distinct), len(seconds)):
            self._give_up()
            return
        span = _Span(
            min(times) // _STEP * _STEP, (max(times) // _STEP + 1) * _STEP, conversion.zone, _hour(received),
            any(second[4:5] == b"0" for second in distinct),
        )  # fmt: skip
        if self._learnt is not None and self._learnt[0] == span and self._learnt[1]() is not None:
            return
        rewrite = None
        if (
            span.end - span.first <= MAX_MINUTES * _MINUTE
            and span.first >= _MIN_MS
            and _is_valid(span, received, conversion)
        ):
            rewrite = _rewriter(span, conversion.reader)
        if rewrite is None:
            self._give_up()
            return
        self._learnt = span, weakref.ref(rewrite)

    def _give_up(self) -> None:
        """Forgets the span and starts a pause, which grows with every failure."""
        self._learnt = None
        self._retry_pause.record_failure()


def _is_valid(span: _Span, received: int, conversion: TimeConversion) -> bool:
    """Returns True if the times of a span still convert to the same values, and all of them are in range."""
    same = span.zone is conversion.zone and span.hour == _hour(received)
    earliest, latest = conversion.window.bounds(received)
    return same and span.first >= earliest and span.end - 1 <= latest


def _hour(received: int) -> int:
    return received // _HOUR


@lru_cache(maxsize=MAX_EXPRESSIONS)
def _rewriter(span: _Span, reader: TimeReader) -> pcre2.Rewriter | None:
    """Returns the rewriter that turns frames of a span into lines with times, or None if a time is ambiguous."""
    by_hour: dict[bytes, list[bytes]] = {}
    for ms in range(span.first, span.end, _MINUTE):
        hour_text, minute = _format_minute(ms, span)
        # The hour is repeated when daylight saving time ends, or another year is nearer to the reception.
        if reader.second_ms(hour_text + minute + b":00", b"", span.zone, span.hour * _HOUR) != ms:
            return None
        by_hour.setdefault(hour_text, []).append(minute + b":(?:" + b"|".join(_second_patterns(ms)) + b")")
    times = b"|".join(text + b"(?:" + b"|".join(minutes) + b")" for text, minutes in by_hour.items())
    return pcre2.rewriter(rb"\n" + PRI + b"(?:" + times + b")" + AFTER_BSD, b"\n${*MARK}\t")


def _format_minute(ms: int, span: _Span) -> tuple[bytes, bytes]:
    """Formats the time as ``Nov 23 07:`` and ``24``."""
    local = datetime.fromtimestamp(ms // 1000, span.zone)
    day = b"%02d" if span.padded else b"%2d"
    return tuple(MONTHS)[local.month - 1] + b" " + day % local.day + b" %02d:" % local.hour, b"%02d" % local.minute


def _second_patterns(ms: int) -> Iterator[bytes]:
    """Yields the patterns of a minute's seconds, grouped by tens: a match tries 6 and 10 alternatives instead of 60."""
    for tens in range(6):
        units = (b"%d(*MARK:%d)" % (unit, ms + (10 * tens + unit) * 1000) for unit in range(10))
        yield b"%d(?:" % tens + b"|".join(units) + b")"
