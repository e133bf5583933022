"""Estimates the bytes that a sender sends from its samples, so that nothing is added up per message."""


class SentVolume:
    """The events and bytes of one sender. A sample stands for all frames since the sample before."""

    __slots__ = ("_counted", "_frame_size", "_size", "_sized")

    def __init__(self) -> None:
        self._counted = 0
        "Events that ``take`` has returned."
        self._sized = self._size = self._frame_size = 0
        """Events whose bytes are estimated, those bytes since the last ``take``, and the bytes of the latest sample."""

    def sample(self, frame_size: int, events: int) -> None:
        """Takes the bytes of a sampled frame, and the number of all events so far."""
        self._frame_size = frame_size
        self._estimate(events)

    def take(self, events: int) -> tuple[int, int]:
        """Returns the events and their estimated bytes since the last call; ``events`` is the number so far."""
        self._estimate(events)
        new, size = events - self._counted, self._size
        self._counted, self._size = events, 0
        return max(0, new), size

    def _estimate(self, events: int) -> None:
        self._size += self._frame_size * max(0, events - self._sized)
        self._sized = events
