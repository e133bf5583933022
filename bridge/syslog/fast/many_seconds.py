"""Parses socket reads of plain RFC 3164 headers with different seconds, if only time and text are needed.

Examples are devices with random clocks, a relay that replays a day, and a read in which one second ends. One expression
removes the headers and leaves the PRI and the second: looking up both as one text is much cheaper than splitting them.
It accepts the same headers as ``fields`` and rejects any other read.
"""

import re

from bridge.syslog.columns import Stamped, TextBlock
from bridge.syslog.fast.pcre2 import shortener
from bridge.syslog.fast.plain_patterns import AFTER_BSD, BSD, PRI
from bridge.syslog.fast.precompiled_times import PrecompiledTimes
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.timestamps import TimeConversion

# Rejects days that the month does not have. ``fields`` rejects them as well.
_STAMP = rb"\n" + PRI + b"(?!Feb 3|(?:Apr|Jun|Sep|Nov) 31)" + BSD
_FIRST = re.compile(_STAMP + b" ")
_shortened = shortener(_STAMP, AFTER_BSD)


class ManySeconds:
    """Removes all headers of a socket read. Pauses for a growing number of reads while it fails."""

    LEARN_EVENTS = 2000
    """Events of a connection for each attempt to precompile its times. Compiling takes as long as reading thousands of
    them, so connections that bring fewer, or always other times, must not cause it."""

    def __init__(self) -> None:
        self._retry_pause = RetryPause()
        self._precompiled = PrecompiledTimes()
        self._events_to_learn = self.LEARN_EVENTS

    def read(self, block: bytes, received: int, conversion: TimeConversion | None) -> TextBlock | None:
        """Returns times and texts of a block's frames, or None if another strategy must read the block.

        With ``conversion``, reads may become timed lines if their times are scattered. ``received`` is the time of
        reception in milliseconds since the epoch.
        """
        if self._retry_pause.should_skip():
            return None
        interleaved: list[bytes] = []
        if _FIRST.match(block):
            if conversion is not None and (timed := self._precompiled.read(block, received, conversion)) is not None:
                return timed
            lines, count = _shortened(block) or (b"", 0)
            interleaved = lines.split(b"\n")
        # Any other number of parts means that some frame does not have such a header.
        if not interleaved or not count or len(interleaved) != 1 + 2 * count:
            self._retry_pause.record_failure()
            return None
        self._retry_pause.reset()
        if conversion is not None:
            self._events_to_learn -= count
            if self._events_to_learn <= 0:
                self._events_to_learn = self.LEARN_EVENTS
                self._precompiled.learn(interleaved[1::2], received, conversion)
        return Stamped(interleaved)
