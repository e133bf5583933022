"""Which batches of those that a start finds a request has carried before: they may have been accepted, or be receipted.

A file of its own is named ``.sending``. Of a pack the name has the positions that a request has carried; what was
``.sending`` when it was packed says so in the pack. So a pack whose name has something in doubt is read, but for the
blocks that are settled whole: one of 4,096 batches takes some hundredths of a second.
"""

import os
from typing import NamedTuple

from bridge.spool import pack_blocks
from bridge.spool.pack import Pack, begun_of, settled_of
from bridge.spool.recovery import RecoveredSpool


class UnconfirmedBatches(NamedTuple):
    """A batch that a request has carried."""

    sequence: int
    events: int
    intake: str


def carried(found: RecoveredSpool) -> tuple[list[UnconfirmedBatches], int]:
    """Those that were found, in sequence order; and how many batches more may be such, but cannot be read."""
    batches = [
        UnconfirmedBatches(batch.sequence, batch.count, batch.intake) for batch in found.batches if batch.sending
    ]
    unreadable = 0
    for pack in found.packs:
        try:
            unreadable += _packed(pack, batches)
        except OSError:
            unreadable += pack.batches
    batches.sort()
    return batches, unreadable


def _packed(pack: Pack, batches: list[UnconfirmedBatches]) -> int:
    """Add a pack's to the list; the batches of its damaged blocks. Raises OSError."""
    settled, begun = settled_of(pack.name), begun_of(pack.name)
    if not pack.doubtful and begun.within(settled):
        return 0
    unreadable = 0
    descriptor = os.open(pack.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        offset = 0
        while block := pack_blocks.find(descriptor, offset):
            offset, header = block.end, block.header
            if header is not None and settled.covers(header.position, header.position + header.batches - 1):
                continue
            entries = pack_blocks.decode(descriptor, block)
            if header is None or entries is None:
                unreadable += 1 if header is None else header.batches
                continue
            for place, entry in enumerate(entries, header.position):
                if (entry.sending or place in begun) and place not in settled:
                    batches.append(UnconfirmedBatches(entry.sequence, entry.events, pack.intake))
    finally:
        os.close(descriptor)
    return unreadable
