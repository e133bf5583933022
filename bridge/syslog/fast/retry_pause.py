"""Skips a strategy for a growing number of reads while it keeps failing."""


class RetryPause:
    """Counts the reads to skip after a failure. Each further failure doubles them: 1, 2, 4, up to ``max_skips``."""

    __slots__ = ("_next_skips", "_skips_left", "max_skips")

    def __init__(self, max_skips: int = 64) -> None:
        self.max_skips = max_skips
        self._next_skips = 1
        self._skips_left = 0

    def should_skip(self) -> bool:
        """Returns True if the current read is to be skipped, and counts it as skipped."""
        if self._skips_left:
            self._skips_left -= 1
            return True
        return False

    def record_failure(self) -> None:
        """Starts a pause, and doubles the next one."""
        self._skips_left = self._next_skips
        self._next_skips = min(self.max_skips, 2 * self._next_skips)

    def reset(self) -> None:
        """Sets the next pause back to one read. A pause that is under way continues."""
        self._next_skips = 1
