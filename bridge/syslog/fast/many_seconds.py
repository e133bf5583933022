"""Parses socket reads of plain RFC 3164 headers with different seconds, if only time and text are needed.

Examples are devices with random clocks, a relay that replays a day, and a read in which one second ends. One expression
removes the headers and leaves the PRI and the second: looking up both as one text is much cheaper than splitting them.
It accepts the same headers as ``layouts`` and rejects any other read.
"""

import re

from bridge.syslog.columns import Stamped
from bridge.syslog.fast.plain_patterns import AFTER_BSD, PRI, VALID_BSD
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.util.rewriter import shortener

_STAMP = rb"\n" + PRI + VALID_BSD
_FIRST = re.compile(_STAMP + b" ")
_shortened = shortener(_STAMP, AFTER_BSD)


class ManySeconds:
    """Removes all headers of a socket read. Pauses for a growing number of reads while it fails."""

    def __init__(self) -> None:
        self._retry_pause = RetryPause()

    def read(self, block: bytes) -> Stamped | None:
        """Returns times and texts of a block's frames, or None if another strategy must read the block."""
        if self._retry_pause.should_skip():
            return None
        interleaved: list[bytes] = []
        if _FIRST.match(block):
            lines, count = _shortened(block) or (b"", 0)
            interleaved = lines.split(b"\n")
        # Any other number of parts means that some frame does not have such a header.
        if not interleaved or not count or len(interleaved) != 1 + 2 * count:
            self._retry_pause.record_failure()
            return None
        self._retry_pause.reset()
        return Stamped(interleaved)
