"""How long to leave alone what was tried in vain."""


class RetryPause:
    """After each try in vain, twice as many chances are passed over as after the one before: 1, 2, 4 to ``most``."""

    __slots__ = ("_next", "_passes", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._next = 1
        self._passes = 0

    @property
    def tried(self) -> bool:
        """Whether there was a try in vain since ``reset``."""
        return self._next > 1

    def passes(self) -> bool:
        """Whether this chance is passed over; counts it."""
        if self._passes:
            self._passes -= 1
            return True
        return False

    def in_vain(self) -> None:
        """It was tried for nothing."""
        self._passes = self._next
        self._next = min(self.most, 2 * self._next)

    def reset(self) -> None:
        """It was worth the try."""
        self._next = 1
