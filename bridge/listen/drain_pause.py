"""Decides how long a UDP listener pauses between two drains.

A drain has a fixed cost for itself and for each routing profile in it: together that of a hundred datagrams. So a drain
should find many datagrams, but the socket's buffer must hold all that arrives meanwhile.
"""

from bridge.listen.datagram_reader import MOST_BYTES, MOST_DATAGRAMS

SHORTEST = 0.002
"Seconds of a pause while few datagrams arrive, or while the use of the receive buffer is unknown."
LONGEST = 0.032
"Most seconds between the beginnings of two drains."
LARGE_BUFFER = 1024 * 1024
"""Bytes of a receive buffer that is large enough for ``SHORTEST``, at any rate that the gateway can process. A longer
pause takes a buffer that is larger in proportion, as a burst may begin during any pause."""
FEW = 2000
"Datagrams per second for which a longer pause is not worth its delay."
_SHARE = 0.8
"Share of the largest drain that a pause aims at, since a drain that is full is followed by another at once."
_BUFFER_SHARE = 0.25
"Share of the receive buffer that a pause may fill at the recent rate."


class DrainPause:
    """Computes the pauses of one listener from its latest drain. ``buffer``: bytes of the socket's receive buffer."""

    def __init__(self, buffer: int) -> None:
        self._longest = min(LONGEST, SHORTEST * buffer / LARGE_BUFFER)
        self._allowed = buffer >= LARGE_BUFFER
        self._began = float("-inf")

    def after(self, count: int, size: int, *, used: float | None, began: float, now: float) -> float:
        """Returns the seconds of the pause after a drain that has emptied the socket; 0: no pause.

        ``count`` and ``size`` are those of the drain, ``used`` is the share of the receive buffer in use when it
        ``began``, or None if the system does not tell. Call it for each drain.
        """
        interval, self._began = began - self._began, began
        if not self._allowed:
            return 0.0
        if used is None or count < FEW * interval or interval <= 0:
            return SHORTEST
        # The next drain is to find so many times what this one has found.
        times = min(
            _SHARE * MOST_DATAGRAMS / count,
            _SHARE * MOST_BYTES / max(size, 1),
            _BUFFER_SHARE / max(used, 0.001),
        )
        return max(0.0, min(self._longest, interval * times) - (now - began))
