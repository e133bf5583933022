"""Counts how many of the latest sampled events of an intake do not match its format."""

from collections import deque

LATEST = 200
"Number of sampled events that count: enough to measure a share of a tenth, and soon replaced after a fix."


class FormatMatches:
    """Holds the latest samples of one intake, as pairs of sampled events and mismatches for each read."""

    def __init__(self) -> None:
        self.sampled = 0
        "Sampled events that count. At least ``LATEST`` once there were as many."
        self.mismatches = 0
        "Those that do not match the format."
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
