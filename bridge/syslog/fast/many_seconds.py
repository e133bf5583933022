"""As ``stripping``, for reads whose frames bear seconds of their own: a plain header of one RFC each, and nothing is
wanted but time and text. Clocks at random, a relay that replays its day, a read in which one second ends.

One expression takes the headers off and leaves the times. For a plain header of RFC 3164 it leaves PRI before the
second, as it is: to look up both as one text is much cheaper than to take them apart.

What is accepted is what the fast path in ``columns`` accepts; anything else is left to others. A property test holds
both equal.
"""

import re
from collections.abc import Callable, Sequence

from bridge.syslog.fast.columns import Columns, are_times
from bridge.syslog.fast.pcre2 import cutter, shortener
from bridge.syslog.fast.plain_patterns import (
    BEHIND_BSD,
    BEHIND_OFFSET,
    BSD,
    FRACTION,
    ISO,
    OFFSET,
    PRI,
)
from bridge.syslog.fast.precompiled_times import PrecompiledTimes, Reception
from bridge.syslog.fast.retry_pause import RetryPause

# What ``columns`` finds to be no time is none here either: no text of these is.
_NO_DAY = b"(?!Feb 3|(?:Apr|Jun|Sep|Nov) 31)"
_STAMP = rb"\n" + PRI + _NO_DAY + BSD
_FIRST = re.compile(_STAMP + b" ")
_shortened = shortener(_STAMP, BEHIND_BSD)

_FIRST_5424 = re.compile(rb"\n" + PRI + b"1 ")
# Anything as long as a second: what stands there is looked at afterwards, each distinct text once for all reads.
_cut_5424 = cutter(rb"\n" + PRI + b"1 (.{19})(" + FRACTION + b")(" + OFFSET + b")" + BEHIND_OFFSET, 3)
_second = re.compile(ISO)
_known: set[bytes] = set()
"Texts that are seconds of RFC 5424."
MOST_KNOWN = 20_000
"As many are remembered: a thousand random clocks must not grow the memory."


class ManySecondsReader:
    """Strips whole reads. Remembers how often it has tried in vain."""

    LONGEST_PAUSE = 64
    "Reads that are passed over, at most, after tries in vain."

    def __init__(self) -> None:
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)
        self._precompiled = PrecompiledTimes()

    def strip(self, block: bytes, reception: Callable[[], Reception | None] = lambda: None) -> Columns | None:
        """Times and texts of a block's frames, or None: then nothing is known of them. ``reception``: of reads that
        become timed lines where their times are scattered; asked only where it may be used."""
        if self._retry_pause.passes():
            return None
        columns = None
        received = None
        if _FIRST.match(block):
            received = reception()
            if received is not None and (timed := self._precompiled.strip(block, received)) is not None:
                return timed
            columns = _of_3164(block)
        elif _FIRST_5424.match(block):
            columns = _of_5424(block)
        if columns is None:
            self._retry_pause.in_vain()
            return None
        self._retry_pause.reset()
        if received is not None and columns.stamps is not None:
            self._precompiled.learn(columns.stamps, received)
        return columns


def _of_3164(block: bytes) -> Columns | None:
    lines, count = _shortened(block) or (b"", 0)
    woven = lines.split(b"\n")
    # A part more is a frame without such a header.
    return Columns.of_woven(woven) if count and len(woven) == 1 + 2 * count else None


def _of_5424(block: bytes) -> Columns | None:
    lines, count = _cut_5424(block) or (b"", 0)
    parts = lines.split(b"\n")
    if not count or len(parts) != 1 + 4 * count or not _are_seconds(parts[1::4]):
        return None
    names = ("second", "fraction", "offset", "text")
    return Columns(count, {name: parts[place::4] for place, name in enumerate(names, 1)})


def _are_seconds(texts: Sequence[bytes]) -> bool:
    if _known.issuperset(texts):
        return True
    fresh = set(texts) - _known
    if not all(map(_second.fullmatch, fresh)) or not are_times(list(fresh)):
        return False
    if len(_known) + len(fresh) > MOST_KNOWN:
        _known.clear()
    _known.update(fresh)
    return True
