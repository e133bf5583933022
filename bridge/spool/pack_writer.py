"""Writes packs from loose batch files and merges small packs. Blocking calls; runs on the spool thread.

A killed process or a power cut at any point neither loses nor duplicates a batch, because of this order: the pack is
written to a temporary file and synced, then renamed, then its directory is synced. Only then are the files that it
replaces removed.
"""

import errno
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from bridge.spool import batch_reader, pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack import LONGEST_NAME, PARTIAL, Pack
from bridge.spool.pack_name import PackName, Ranges
from bridge.util.files import fsync_path, write_new

BLOCK = 64 * 1024
"Approximate bytes of lines in a block. One damaged byte costs one block."
LARGEST_BATCH = 512 * 1024
"Largest batch that is packed, in bytes. A larger one stays a file: its partly filled last disk block matters little."
MIN_BATCHES, MERGE_FACTOR, MAX_BATCHES = 16, 4, 4096
"Fewest batches in a new pack; number of packs that merge into one; batches of the largest merged pack."
_TIERS = tuple(MIN_BATCHES * MERGE_FACTOR**power for power in range(1, 5))
"Size classes of packs that are merged: fewer batches than each of these numbers. The last one is ``MAX_BATCHES``."
MAX_BYTES = 64 << 20
"Largest total bytes of lines in packs that are merged."


def write(made: Pack, parts: Iterable[bytes]) -> None:
    """Writes and syncs the file of a new pack completely or not at all, through a temporary file.

    Raises OSError, also if the file exists already.
    """
    path, temporary = made.path, made.directory / f"{made.first}{PARTIAL}"
    try:
        temporary.unlink(missing_ok=True)
        write_new(temporary, parts)
        # No other code creates names in this folder, so there is no race between this test and the rename.
        if path.exists():
            raise FileExistsError(17, "File exists", str(path))
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        fsync_path(path.parent)
    except OSError:
        # The old files are complete and remain, so remove the new copy.
        path.unlink()
        raise
    made.measure()


def encode_blocks(entries: Iterable[pack_blocks.BlockEntry]) -> Iterator[bytes]:
    """Encodes batches as blocks of about ``BLOCK`` bytes of lines."""
    group: list[pack_blocks.BlockEntry] = []
    position = size = 0
    for entry in entries:
        if group and size + entry.size > BLOCK:
            yield pack_blocks.encode(position, group)
            position, group, size = position + len(group), [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield pack_blocks.encode(position, group)


def entry_of(batch: Batch, lines: bytes) -> pack_blocks.BlockEntry:
    """Returns the pack entry of a batch with these lines."""
    return pack_blocks.BlockEntry(
        batch.sequence, batch.earliest, batch.latest, batch.count, batch.size, batch.encoding, batch.timed,
        batch.sending, lines,
    )  # fmt: skip


def build(batches: list[Batch], *, prefix: str = "") -> tuple[Pack | None, list[Batch], list[Batch]]:
    """Writes a pack of batches of one intake, in sequence order. ``prefix``: of the file name.

    Returns the pack (None: no batch was readable), the batches in it, and the damaged batches, which are left out.
    Batches that cannot be read are left out too. Raises OSError.
    """
    damaged: list[Batch] = []
    packed: list[Batch] = []
    entries: list[pack_blocks.BlockEntry] = []
    for batch in sorted(batches, key=lambda batch: batch.sequence):
        try:
            entries.append(entry_of(batch, batch_reader.content(batch)))
            packed.append(batch)
        except batch_reader.Damaged:
            damaged.append(batch)
        except batch_reader.Unreadable:
            continue
    if not packed:
        return None, [], damaged
    sent = Ranges((place, place) for place, batch in enumerate(packed) if batch.sent and not batch.sending)
    name = replace(PackName.of(entries), begun=sent)
    if len(str(name)) > LONGEST_NAME:
        name = replace(name, begun=sent.hull())
    made = Pack(packed[0].intake, packed[0].directory, name, file=f"{prefix}{name}")
    write(made, list(encode_blocks(entries)))
    return made, packed, damaged


def pack(batches: list[Batch], on_error: Callable[[Batch, OSError], None]) -> tuple[Pack | None, list[Batch]]:
    """Packs the loose batches of an intake. Returns the pack, and the damaged and unreadable batches, which are not
    packed.

    Raises OSError; then all files are unchanged.
    """
    made, packed, _ = build(batches)
    batch_reader.remove(packed, on_error)
    inside = set(packed)
    return made, [batch for batch in batches if batch not in inside]


def merge(packs: list[Pack], on_error: Callable[[str], object]) -> Pack:
    """Merges several untouched packs, in order, into one pack. Copies their blocks without recompressing them.

    Raises OSError, also if a block is damaged; then all packs are unchanged.
    """
    made = merged(packs)
    for old in packs:
        try:
            old.path.unlink(missing_ok=True)
        except OSError as error:
            on_error(f"spool: cannot remove {old.path}: {error.strerror}; the next start removes it")
    return made


def merged(packs: list[Pack], *, prefix: str = "") -> Pack:
    """Writes a pack with the blocks of several packs, which remain. Raises OSError, also if a block is damaged."""
    name = PackName(
        min(pack.first for pack in packs), max(pack.last for pack in packs), min(pack.earliest for pack in packs),
        max(pack.latest for pack in packs), sum(pack.batches for pack in packs), sum(pack.count for pack in packs),
        sum(pack.size for pack in packs), sum(pack.progress.doubtful for pack in packs),
    )  # fmt: skip
    made = Pack(packs[0].intake, packs[0].directory, name, file=f"{prefix}{name}")
    write(made, _moved_blocks(packs))
    return made


def _moved_blocks(packs: Iterable[Pack]) -> Iterator[bytes]:
    """Yields the blocks of all packs, with new positions. Raises OSError, also if a block is damaged."""
    position = 0
    for pack in packs:
        for descriptor, found in pack_blocks.blocks(pack.path):
            if found.header is None or pack_blocks.decode(descriptor, found) is None:
                raise OSError(errno.EIO, "a block is damaged", str(pack.path))
            data = os.pread(descriptor, found.end - found.offset, found.offset)
            yield pack_blocks.moved(data, found.header, position)
            position += found.header.batches


def mergeable(packs: list[Pack], *, after: int = 0) -> tuple[int, int] | None:
    """Returns the bounds of the first ``MERGE_FACTOR`` neighbouring packs that are worth merging, or None."""
    run = 0
    for i, candidate in enumerate(packs):
        size = _tier(candidate)
        fits = i >= after and candidate.untouched and size is not None
        run = (run + 1 if run and size == _tier(packs[i - 1]) else 1) if fits else 0
        if run == MERGE_FACTOR:
            part = packs[i + 1 - MERGE_FACTOR : i + 1]
            if sum(pack.size for pack in part) <= MAX_BYTES:
                return i + 1 - MERGE_FACTOR, i + 1
            run -= 1
    return None


def _tier(pack: Pack) -> int | None:
    """Returns the size class of a pack, 0 for the smallest. None: the pack is large enough."""
    tier = bisect_right(_TIERS, pack.batches)
    return tier if tier < len(_TIERS) else None
