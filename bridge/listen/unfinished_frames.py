"""Limits the memory that unfinished frames of all stream connections take together.

Each connection buffers at most one frame of ``max_frame_size`` bytes, but a thousand connections may all do so. Above
the limit, the connection with the largest unfinished frame is closed, of the address whose frames take the most memory.
"""

from typing import Protocol

MAX_BYTES = 32 << 20
"Bytes that the unfinished frames of all connections may have."
COUNTED_FROM = 4096
"Bytes of an unfinished frame from which it counts. Most reads end within a frame that is shorter."


class FrameHolder(Protocol):
    """Declares what the limit needs of a connection."""

    def close_unfinished(self) -> None:
        """Closes the connection, because its unfinished frame takes too much memory."""


class UnfinishedFrames:
    """Counts the bytes of unfinished frames by address and connection."""

    def __init__(self) -> None:
        self.size = 0
        "Bytes of all counted frames."
        self._sizes: dict[str, dict[FrameHolder, int]] = {}
        "Address -> connection -> bytes."

    def note(self, source: str, holder: FrameHolder, size: int) -> None:
        """Records the unfinished bytes of a connection. May close it or another one."""
        sizes = self._sizes.setdefault(source, {})
        self.size += size - sizes.pop(holder, 0)
        if size:
            sizes[holder] = size
        elif not sizes:
            del self._sizes[source]
        if self.size > MAX_BYTES:
            self._close_largest()

    def _close_largest(self) -> None:
        source = max(self._sizes, key=lambda source: sum(self._sizes[source].values()))
        sizes = self._sizes[source]
        holder = max(sizes, key=sizes.__getitem__)
        # Counted no more from now on: the connection ends in a later reactor turn.
        self.note(source, holder, 0)
        holder.close_unfinished()
