"""Keeps the place of a reader in a pack, and defines the result of one read: batches, and parts that are lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bridge.spool import pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack_blocks import FoundBlock


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a pack that cannot be read."""

    what: str
    events: int
    "Number of lost events. 0: not known yet; events that are missing at the end of the pack are counted then."
    size: int
    data: bytes
    "The damaged bytes, or the first part of them."
    positions: tuple[int, int] | None = None
    "First and last lost position, if this loss counts their events."


@dataclass(slots=True)
class Fed:
    """The next batches of a pack, with their lines in memory."""

    batches: list[Batch] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    exhausted: bool = False
    stuck: OSError | None = None
    "Set at the end of the pack if blocks were skipped: why they cannot be read, or their bytes not be kept."
    next: int = 0
    "The sequence at which the next read continues, as far as it is known."


class BlockCursor:
    """The place of a reader in a pack, and the blocks that it has skipped because they could not be read."""

    def __init__(self, first_sequence: int) -> None:
        self.offset = 0
        self.sequence = first_sequence
        "The sequence at which the next block begins, as far as it is known."
        self.ended = False
        "True if the end was reached: only the skipped blocks are left."
        self.skipped: list[int] = []
        "Offsets of the skipped blocks."
        self.error: OSError | None = None
        "Why the last of them was skipped."
        self._position = 0

    def blocks(self, path: Path) -> Iterator[tuple[int, FoundBlock]]:
        """Yields the blocks that were not read yet, or once the end was reached, those that were skipped.

        Each comes with the open file. Raises OSError; then the next call begins at the same place.
        """
        if not self.ended:
            for descriptor, found in pack_blocks.blocks(path, self.offset):
                yield descriptor, found
                self._pass(found)
            self.ended = True
            return
        for offset in list(self.skipped):
            for block in islice(pack_blocks.blocks(path, offset), 1):
                yield block
                # If the block was skipped again, it is in the list twice.
                self.skipped.remove(offset)

    def _pass(self, found: FoundBlock) -> None:
        self.offset = found.end
        if found.header is not None:
            self.sequence = max(self.sequence, found.header.last + 1)
            self._position = found.header.position + found.header.batches

    def skip(self, found: FoundBlock, error: OSError) -> None:
        """Skips a block that cannot be read."""
        self.skipped.append(found.offset)
        self.error = error

    def unread_positions(self, path: Path, batches: int) -> list[tuple[int, int]]:
        """Returns the positions in skipped blocks, and from the place to the end. Raises OSError."""
        parts = [] if self.ended else [(self._position, batches - 1)]
        for offset in self.skipped:
            for _, found in islice(pack_blocks.blocks(path, offset), 1):
                parts += [] if found.header is None else [found.header.positions]
        return parts
