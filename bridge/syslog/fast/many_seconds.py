"""Parses socket reads of plain headers with different seconds, if only time and text are needed.

Every frame has a plain header of the same RFC, but its own second. Examples are devices with random clocks, a relay
that replays a day, and a read in which one second ends. ``single_second`` handles reads of one second.

One expression removes the headers and leaves the times. For a plain header of RFC 3164 it leaves the PRI before the
second: looking up both as one text is much cheaper than splitting them.

The reader accepts the same headers as ``columns`` and rejects any other read. Property tests assert that both give the
same result.
"""

import re
from collections.abc import Callable, Sequence

from bridge.syslog.fast.columns import Columns, are_times
from bridge.syslog.fast.pcre2 import cutter, shortener
from bridge.syslog.fast.plain_patterns import AFTER_BSD, AFTER_OFFSET, BSD, FRACTION, ISO, OFFSET, PRI
from bridge.syslog.fast.precompiled_times import PrecompiledTimes, Reception
from bridge.syslog.fast.retry_pause import RetryPause

# Rejects days that the month does not have. ``columns`` rejects them as well.
_VALID_DAY = b"(?!Feb 3|(?:Apr|Jun|Sep|Nov) 31)"
_STAMP = rb"\n" + PRI + _VALID_DAY + BSD
_FIRST = re.compile(_STAMP + b" ")
_shortened = shortener(_STAMP, AFTER_BSD)

_FIRST_5424 = re.compile(rb"\n" + PRI + b"1 ")
# Matches any text of the length of a second. Each distinct text is checked afterwards, once for all reads.
_cut_5424 = cutter(rb"\n" + PRI + b"1 (.{19})(" + FRACTION + b")(" + OFFSET + b")" + AFTER_OFFSET, 3)
_second = re.compile(ISO)
_known: set[bytes] = set()
"Cache of texts that are valid seconds of RFC 5424."
MAX_KNOWN = 20_000
"Limit of the cache. It bounds the memory when a thousand devices have random clocks."


class ManySecondsReader:
    """Removes all headers of a socket read. Pauses for a growing number of reads while it fails."""

    LONGEST_PAUSE = 64
    "Maximum number of reads skipped after failures."

    def __init__(self) -> None:
        self._retry_pause = RetryPause(self.LONGEST_PAUSE)
        self._precompiled = PrecompiledTimes()

    def strip(self, block: bytes, reception: Callable[[], Reception | None] = lambda: None) -> Columns | None:
        """Returns times and texts of a block's frames, or None if another reader must read the block.

        ``reception`` returns how times are converted, for reads that may become timed lines if their times are
        scattered. It is called only if the result may be used.
        """
        if self._retry_pause.should_skip():
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
            self._retry_pause.record_failure()
            return None
        self._retry_pause.reset()
        if received is not None and columns.stamps is not None:
            self._precompiled.learn(columns.stamps, received)
        return columns


def _of_3164(block: bytes) -> Columns | None:
    lines, count = _shortened(block) or (b"", 0)
    interleaved = lines.split(b"\n")
    # Any other number of parts means that some frame does not have such a header.
    return Columns.of_interleaved(interleaved) if count and len(interleaved) == 1 + 2 * count else None


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
    unknown = set(texts) - _known
    if not all(map(_second.fullmatch, unknown)) or not are_times(list(unknown)):
        return False
    if len(_known) + len(unknown) > MAX_KNOWN:
        _known.clear()
    _known.update(unknown)
    return True
