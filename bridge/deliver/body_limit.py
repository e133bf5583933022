"""Learns how large a request body may be, from 413 responses and from timeouts on slow lines."""

SMALLEST_BODY = 64 * 1024
"Lower limit in bytes for halving after timeouts. Only a 413 goes below it."
_NO_LIMIT = 1 << 62


class BodyLimit:
    """Size limit of one intake's bodies, in bytes before compression. ``max_bytes`` is the configured limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_accepted: int | None = None
        "Largest body that the collector accepts, learned from its 413 responses."
        self._max_carried: int | None = None
        "Largest body that the line carries without a timeout. It grows again with each acceptance."
        self._timeouts = 0

    def forget(self) -> None:
        """Forgets what was learned, because the intake uses another collector."""
        self._max_accepted = self._max_carried = None
        self._timeouts = 0

    @property
    def limit(self) -> int:
        """Returns the largest body that is likely to be accepted."""
        return min(self._max_accepted or _NO_LIMIT, self._max_carried or _NO_LIMIT)

    def answered(self, size: int, *, timeout: bool) -> None:
        """Records whether a request with a body of this size ended in a timeout. Two consecutive timeouts halve the
        limit."""
        self._timeouts = self._timeouts + 1 if timeout else 0
        if self._timeouts >= 2:
            self._timeouts = 0
            self._max_carried = max(SMALLEST_BODY, size // 2)

    def too_large(self, size: int) -> int:
        """Records that the collector called a body of this size too large. Returns the new limit."""
        # The limit is slightly more than half. Halves by number of events differ in bytes and would otherwise be
        # halved again without need.
        self._max_accepted = max(1, size * 5 // 8)
        return self._max_accepted

    def accepted(self) -> None:
        """Raises the limit that was learned from timeouts."""
        if self._max_carried is not None:
            self._max_carried = self._max_carried * 2 if self._max_carried < self._max_bytes else None
