"""Counts how many of the latest sampled events of an intake do not match its format."""

from collections import deque

LATEST = 200
"Number of sampled events that count: enough to measure a share of a tenth, and soon replaced after a fix."


class FormatMatches:
    """Counts the latest sampled events of one intake and their mismatches, read by read."""

    def __init__(self) -> None:
        self.sampled = 0
        "Sampled events that count: all until there are ``LATEST``, then at least ``LATEST``."
        self.mismatches = 0
        "Sampled events that count and do not match the format."
        self._reads: deque[tuple[int, int]] = deque()

    def note(self, sampled: int, mismatches: int) -> None:
        """Adds the sampled events of one read."""
        reads = self._reads
        reads.append((sampled, mismatches))
        self.sampled += sampled
        self.mismatches += mismatches
        while self.sampled - reads[0][0] >= LATEST:
            old_sampled, old_mismatches = reads.popleft()
            self.sampled -= old_sampled
            self.mismatches -= old_mismatches
