"""Finds the recovered batches that a request already carried before the restart.

Such batches may have been accepted, and the journal may have receipts for them.

A loose batch file is named ``.sending``. The name of a pack lists the positions that a request carried. Batches that
were ``.sending`` when they were packed are marked inside the pack. So a pack whose name shows possible duplicates is
read, except for blocks that are settled as a whole. Reading a pack of 4,096 batches takes some hundredths of a second.
"""

from typing import NamedTuple

from bridge.spool import pack_blocks
from bridge.spool.pack import Pack
from bridge.spool.recovery import RecoveredSpool


class UnconfirmedBatch(NamedTuple):
    """A batch that a request carried, without a settled outcome."""

    sequence: int
    events: int
    intake: str


def carried(found: RecoveredSpool) -> tuple[list[UnconfirmedBatch], int]:
    """Returns these batches in sequence order, and the number of unreadable batches that may also be such."""
    batches = [UnconfirmedBatch(batch.sequence, batch.count, batch.intake) for batch in found.batches if batch.sending]
    unreadable = 0
    for pack in found.packs:
        try:
            unreadable += _packed(pack, batches)
        except OSError:
            unreadable += pack.batches
    batches.sort()
    return batches, unreadable


def _packed(pack: Pack, batches: list[UnconfirmedBatch]) -> int:
    """Adds the batches of a pack to the list. Returns the number of batches in damaged blocks. Raises OSError."""
    settled, begun = pack.settled, pack.begun
    if not pack.doubtful and begun.within(settled):
        return 0
    unreadable = 0
    for descriptor, block in pack_blocks.blocks(pack.path):
        header = block.header
        if header is not None and settled.covers(header.position, header.position + header.batches - 1):
            continue
        entries = pack_blocks.decode(descriptor, block)
        if header is None or entries is None:
            unreadable += 1 if header is None else header.batches
            continue
        for place, entry in enumerate(entries, header.position):
            if (entry.sending or place in begun) and place not in settled:
                batches.append(UnconfirmedBatch(entry.sequence, entry.events, pack.intake))
    return unreadable
