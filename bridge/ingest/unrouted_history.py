"""Tells whether the frames of a sender still match no route, or a reload has fixed that."""

from bridge.routing import Disposition


class UnroutedHistory:
    """Compares the unrouted frames of one sender before and after the latest reload that applied to it."""

    __slots__ = ("events_before", "last_ms", "rerouted_ms", "unrouted_before")

    def __init__(self) -> None:
        self.last_ms = 0
        "Time of the latest unrouted frame."
        self.rerouted_ms = 0
        "Time of the reload after the latest unrouted frames; 0 if there was none."
        self.unrouted_before = self.events_before = 0
        "Unrouted frames, and all events, before that reload."

    def note(self, now_ms: int) -> None:
        """Records the time of an unrouted frame."""
        self.last_ms = now_ms

    def apply_reload(self, unrouted: int, events: int, changed_ms: int) -> None:
        """Begins to count again if frames were unrouted since the last call."""
        if unrouted != self.unrouted_before:
            self.unrouted_before, self.events_before, self.rerouted_ms = unrouted, events, changed_ms

    def is_unrouted(self, unrouted: int, events: int, constant: Disposition | None) -> bool:
        """Returns True if frames match no route now, as far as is known.

        ``constant`` is the disposition of all frames of the sender, None if it depends on the frame.
        """
        if unrouted > self.unrouted_before:
            return True
        if events > self.events_before:
            return False
        # It has sent nothing since the reload.
        return constant is None or constant.kind not in ("deliver", "drop")
