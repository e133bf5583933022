"""As ``many_seconds``, for clocks at random that go on and on: the times, too, are the expression's work.

Each second of some minutes stands in it with a mark, ``(*MARK:...)``, which is its milliseconds; PCRE2 puts the mark of
what has matched in place of the header. So a read of RFC 3164 from a thousand clocks becomes lines with a time each by
one call, and nothing is made for a frame. To make an expression takes some milliseconds, once in several minutes.
"""

import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog.fast import pcre2
from bridge.syslog.fast.columns import Columns
from bridge.syslog.fast.plain_patterns import BEHIND_BSD, PRI
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import MONTHS, TimeReader

STEP_MINUTES = 4
"Expressions begin and end at multiples of it, so that connections share them, and one serves for some minutes."
MOST_MINUTES = 36
"Of an expression, which is 64 KiB at most; a minute is 1.4."
MANY_SECONDS, FEW_A_SECOND = 16, 8
"Of one read: with more seconds than this, and fewer events in each, its times are scattered."

MOST_EXPRESSIONS = 16
"Of all connections; each takes up to 400 KiB."

DIGITS = 13
"Of milliseconds, from 2001 to 2286."
_LEAST = 10 ** (DIGITS - 1)
_MINUTE, _HOUR = 60_000, 3_600_000
_STEP = STEP_MINUTES * _MINUTE


class Reception(NamedTuple):
    """How the times of a read are understood. All times in milliseconds since the epoch."""

    reader: TimeReader
    zone: tzinfo
    "Of times that tell none."
    received: int
    earliest: float
    "Times before it are not believed."
    latest: float


class _Span(NamedTuple):
    """Whole minutes, in a zone, as they are written."""

    first: int
    end: int
    zone: tzinfo
    hour: int
    "Of reception: it decides the year."
    padded: bool
    "``Nov 05``; else ``Nov  5``."


class PrecompiledTimes:
    """Of one connection."""

    LOOK_AGAIN = 64
    "Reads after which one is read otherwise, to see whether its times are still scattered."
    LONGEST_PAUSE = 1024
    "Reads from which nothing is learnt, at most, after ones of other minutes, or that cannot be stamped."

    def __init__(self) -> None:
        self._learnt: tuple[_Span, weakref.ref[pcre2.Rewriter]] | None = None
        "The expression is not held: a connection that has gone quiet keeps no machine code."
        self._reads = 0
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)

    def strip(self, block: bytes, reception: Reception) -> Columns | None:
        """Times and texts of a block's frames, or None: then nothing is known of them."""
        if self._learnt is None:
            return None
        span, held = self._learnt
        rewrite = held()
        if rewrite is None:
            # There are more zones and spans than expressions: to make them in turn would take longer than to do
            # without.
            self._give_up()
            return None
        self._reads += 1
        if self._reads % self.LOOK_AGAIN == 0:
            self._retry_pause.reset()
            return None
        if not _holds(span, reception):
            self._learnt = None
            return None
        lines, count = rewrite(block) or (b"", 0)
        rows = lines.split(b"\n")
        if not count or len(rows) != 1 + count:
            # Other minutes, mostly.
            self._give_up()
            return None
        del rows[0]
        # As many digits in all of them: the text with the least time is the least.
        first, last = min(rows)[:DIGITS], max(rows)[:DIGITS]
        return Columns.of_timed(b"".join((memoryview(lines)[1:], b"\n")), count, int(first), int(last))

    def learn(self, seconds: Sequence[bytes], reception: Reception) -> None:
        """A read's seconds, as ``Nov 23 07:24:00``, a PRI before each or none."""
        if self._retry_pause.passes():
            return
        distinct = {second[-15:] for second in seconds}
        times = reception.reader.all_ms(list(distinct), b"", reception.zone, reception.received)
        if times is None or not is_scattered(len(distinct), len(seconds)):
            self._give_up()
            return
        span = _Span(
            min(times) // _STEP * _STEP, (max(times) // _STEP + 1) * _STEP, reception.zone, _hour(reception.received),
            any(second[4:5] == b"0" for second in distinct),
        )  # fmt: skip
        if self._learnt is not None and self._learnt[0] == span and self._learnt[1]() is not None:
            return
        rewrite = None
        if span.end - span.first <= MOST_MINUTES * _MINUTE and span.first >= _LEAST and _holds(span, reception):
            rewrite = _rewriter(span, reception.reader)
        if rewrite is None:
            self._give_up()
            return
        self._learnt = span, weakref.ref(rewrite)

    def _give_up(self) -> None:
        """Learn nothing for a while, and ever longer."""
        self._learnt = None
        self._retry_pause.in_vain()


def is_scattered(slots: int, events: int) -> bool:
    """Whether so many events of so many slots would be a group for nearly each of them."""
    return slots > MANY_SECONDS and events < slots * FEW_A_SECOND


def _holds(span: _Span, reception: Reception) -> bool:
    """Whether the times of a span are what they were when they are read now, and all are believed."""
    same = span.zone is reception.zone and span.hour == _hour(reception.received)
    return same and span.first >= reception.earliest and span.end - 1 <= reception.latest


def _hour(received: int) -> int:
    return received // _HOUR


@lru_cache(maxsize=MOST_EXPRESSIONS)
def _rewriter(span: _Span, reader: TimeReader) -> pcre2.Rewriter | None:
    """What makes lines, with their times, of frames of these minutes; None where they are written ambiguously."""
    by_hour: dict[bytes, list[bytes]] = {}
    for ms in range(span.first, span.end, _MINUTE):
        hour_text, minute = _written(ms, span)
        # An hour that comes twice in autumn, or another year is nearer.
        if reader.second_ms(hour_text + minute + b":00", b"", span.zone, span.hour * _HOUR) != ms:
            return None
        by_hour.setdefault(hour_text, []).append(minute + b":(?:" + b"|".join(_seconds(ms)) + b")")
    times = b"|".join(text + b"(?:" + b"|".join(minutes) + b")" for text, minutes in by_hour.items())
    return pcre2.rewriter(rb"\n" + PRI + b"(?:" + times + b")" + BEHIND_BSD, b"\n${*MARK}\t")


def _written(ms: int, span: _Span) -> tuple[bytes, bytes]:
    """``Nov 23 07:`` and ``24``."""
    local = datetime.fromtimestamp(ms // 1000, span.zone)
    day = b"%02d" if span.padded else b"%2d"
    return tuple(MONTHS)[local.month - 1] + b" " + day % local.day + b" %02d:" % local.hour, b"%02d" % local.minute


def _seconds(ms: int) -> Iterator[bytes]:
    """Those of a minute: by their tens, so that six and ten are tried, not sixty."""
    for tens in range(6):
        units = (b"%d(*MARK:%d)" % (unit, ms + (10 * tens + unit) * 1000) for unit in range(10))
        yield b"%d(?:" % tens + b"|".join(units) + b")"
