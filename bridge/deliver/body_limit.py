"""How large a request may be: what the collector has called too large, and what a slow line could not carry."""

SMALLEST_BODY = 64 * 1024
"Bytes; timeouts halve no further. Only a 413 does."
_NO_LIMIT = 1 << 62


class BodyLimit:
    """One intake's bodies, in bytes before compression. ``most``: what is configured."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._fits: int | None = None
        "The largest body that the collector has not called too large, learnt from its 413s."
        self._fits_now: int | None = None
        "The same, learnt from timeouts; grows again."
        self._timeouts = 0

    def forget(self) -> None:
        """It is another collector now."""
        self._fits = self._fits_now = None
        self._timeouts = 0

    @property
    def limit(self) -> int:
        """The largest body that has a chance."""
        return min(self._fits or _NO_LIMIT, self._fits_now or _NO_LIMIT)

    def answered(self, size: int, *, timeout: bool) -> None:
        """A request with so large a body has ended, by a timeout or not. Two in a row halve it."""
        self._timeouts = self._timeouts + 1 if timeout else 0
        if self._timeouts >= 2:
            self._timeouts = 0
            self._fits_now = max(SMALLEST_BODY, size // 2)

    def too_large(self, size: int) -> int:
        """The collector says so of a body. What fits from now on."""
        # A bit more than half: halves by events differ in bytes, and are not to be halved again unasked.
        self._fits = max(1, size * 5 // 8)
        return self._fits

    def accepted(self) -> None:
        """What a slow line could not carry grows again."""
        if self._fits_now is not None:
            self._fits_now = self._fits_now * 2 if self._fits_now < self._most else None
