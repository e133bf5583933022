"""Learns how large a request body may be, from 413 responses and from requests that are cut off.

A 413 lowers the limit to the largest size that was accepted before. If a body of at most that size is refused, the
limit becomes five eighths of it. Each success at the limit raises it again: the limit doubles while the double is below
the size that was refused last, then it grows by a twentieth. A body above the largest accepted size is a probe. A
second probe is sent at once if the first was accepted, otherwise after ``PROBE_EVERY`` seconds.

Two requests in a row that are cut off halve a second limit, because the line is slow or the answer is lost. It doubles
with each acceptance, but reaches the size that was cut off only after ``PROBE_EVERY`` seconds.
"""

from collections.abc import Callable

SMALLEST_BODY = 64 * 1024
"Lower limit in bytes of what is learned. The refusal of a smaller body says nothing about sizes."
PROBE_EVERY = 60.0
_NO_LIMIT = 1 << 62


class BodyLimit:
    """Size limit of one intake's bodies, in bytes before compression. ``max_bytes`` is the configured limit, ``clock``
    returns monotonic seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._limit: int | None = None
        "Limit that was learned from 413 responses."
        self._safe = 0
        "Largest size that was accepted; after a refusal of at most this size, a smaller guess."
        self._refused = 0
        "Size that was refused last."
        self._probe_at = 0.0
        "Earliest time of the next probe."
        self._max_carried: int | None = None
        "Largest body that the line carries without being cut off."
        self._too_long, self._too_long_at = 0, 0.0
        "Size and time of the request that halved this limit last."
        self._cut_off = 0

    def forget(self) -> None:
        """Forgets what was learned, because the intake uses another collector."""
        self._limit = self._max_carried = None
        self._safe = self._cut_off = 0

    @property
    def learned(self) -> int | None:
        """Returns the limit in bytes that was learned; None if none is in force."""
        limit = self.limit
        return limit if limit < self._max_bytes else None

    @property
    def limit(self) -> int:
        """Returns the largest size that the next body may have."""
        accepted = _NO_LIMIT
        if self._limit is not None:
            accepted = self._limit if self._clock() >= self._probe_at else min(self._limit, self._safe)
        return min(accepted, self._max_carried or _NO_LIMIT)

    def sending(self, size: int) -> None:
        """Records that a body of this size is sent."""
        if self._limit is not None and size > self._safe:
            self._probe_at = self._clock() + PROBE_EVERY

    def answered(self, size: int, *, cut_off: bool) -> None:
        """Records whether a request with a body of this size was cut off: by a timeout, or by the end of the connection
        without a response. Two consecutive ones halve the limit."""
        if cut_off and size <= SMALLEST_BODY:
            return
        self._cut_off = self._cut_off + 1 if cut_off else 0
        if self._cut_off >= 2:
            self._cut_off = 0
            self._max_carried = max(SMALLEST_BODY, size // 2)
            self._too_long, self._too_long_at = size, self._clock()

    def too_large(self, size: int) -> bool:
        """Records that the collector called a body of this size too large. Returns True if this lowered the limit,
        False if the body was a probe or is so small that its refusal says nothing about sizes."""
        if size <= SMALLEST_BODY:
            return False
        # The guess is slightly more than half. Halves by number of events differ in bytes and would otherwise be
        # halved again without need.
        guess, probe = max(SMALLEST_BODY, size * 5 // 8), size > self._safe and self._limit is not None
        if not probe:
            self._safe = max(self._safe, guess) if size > self._safe else guess
        self._limit, self._refused = self._safe, size
        self._probe_at = self._clock() + PROBE_EVERY
        return not probe

    def accepted(self, size: int) -> None:
        """Records that a body of this size was accepted, and raises the limits."""
        waited = self._clock() - self._too_long_at >= PROBE_EVERY
        if self._max_carried is not None and (waited or self._max_carried * 2 < self._too_long):
            self._max_carried = self._max_carried * 2 if self._max_carried < self._max_bytes else None
        if size > self._safe:
            self._safe, self._probe_at = size, self._clock()
        if self._limit is None or size * 2 <= self._limit or self._clock() < self._probe_at:
            return
        doubled = self._limit * 2
        self._limit = max(self._safe, doubled if doubled < self._refused else self._limit * 21 // 20)
        if self._limit >= self._max_bytes:
            self._limit = None
