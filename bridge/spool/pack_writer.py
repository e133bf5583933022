"""Writes packs from loose batch files and merges small packs. Blocking calls; runs on the spool thread.

A killed process or a power cut at any point neither loses nor duplicates a batch, because of this order: the pack is
written to a temporary file and synced, then renamed, then its directory is synced. Only then are the files that it
replaces removed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bridge.spool import batch_reader, pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack import PARTIAL, Pack

BLOCK = 64 * 1024
"Approximate bytes of lines in a block. One damaged byte costs one block."
LARGEST_BATCH = 512 * 1024
"Largest batch that is packed, in bytes. A larger one stays a file: its partly filled last disk block matters little."
MIN_BATCHES, MERGE_FACTOR, MAX_BATCHES = 16, 4, 4096
"Fewest batches in a new pack; number of packs that merge into one; batches of the largest merged pack."
MAX_BYTES = 64 << 20
"Largest total bytes of lines in packs that are merged."


def write(path: Path, parts: Iterable[bytes], *, temporary: Path) -> None:
    """Writes and syncs a file completely or not at all, through the file ``temporary``.

    Raises OSError, also if ``path`` exists already.
    """
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # No other code creates names in this folder, so there is no race between this test and the rename.
        if path.exists():
            raise FileExistsError(17, "File exists", str(path))
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        sync(path.parent)
    except OSError:
        # The old files are complete and remain, so remove the new copy.
        path.unlink()
        raise


def sync(directory: Path) -> None:
    """Syncs a directory, so that its names survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allocated_bytes(path: Path) -> int:
    """Returns the allocated bytes of a file, or 0 if they cannot be read."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


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


def entry_of(batch: Batch) -> pack_blocks.BlockEntry:
    """Returns the pack entry of a batch, with its lines. Raises Damaged, OSError."""
    return pack_blocks.BlockEntry(
        batch.sequence, batch.earliest, batch.latest, batch.count, batch.size, batch.encoding, batch.timed,
        batch.sending, batch_reader.content(batch),
    )  # fmt: skip


def build(batches: list[Batch]) -> tuple[Pack | None, list[bytes], list[Batch], list[Batch]]:
    """Builds a pack from batches of one intake, in sequence order, without writing it.

    Returns the pack (None: no batch was readable), its blocks, the batches in it, and the damaged batches, which are
    left out. Raises OSError.
    """
    damaged: list[Batch] = []
    packed: list[Batch] = []
    entries: list[pack_blocks.BlockEntry] = []
    for batch in sorted(batches, key=lambda batch: batch.sequence):
        try:
            entries.append(entry_of(batch))
            packed.append(batch)
        except batch_reader.Damaged:
            damaged.append(batch)
    if not packed:
        return None, [], [], damaged
    made = Pack(
        packed[0].intake, packed[0].directory, first=packed[0].sequence, last=packed[-1].sequence,
        earliest=min(batch.earliest for batch in packed), latest=max(batch.latest for batch in packed),
        batches=len(packed), count=sum(batch.count for batch in packed), size=sum(batch.size for batch in packed),
        doubtful=sum(batch.count for batch in packed if batch.sending),
    )  # fmt: skip
    return made, list(encode_blocks(entries)), packed, damaged


def pack(batches: list[Batch], on_error: Callable[[Batch, OSError], None]) -> tuple[Pack | None, list[Batch]]:
    """Packs the loose batches of an intake. Returns the pack and the damaged batches, which are not packed.

    Raises OSError; then all files are unchanged.
    """
    made, blocks, packed, damaged = build(batches)
    if made is not None:
        write(made.path, blocks, temporary=made.directory / f"{made.first}{PARTIAL}")
        made.disk = allocated_bytes(made.path)
        batch_reader.remove(packed, on_error)
    return made, damaged


def merge(packs: list[Pack], on_error: Callable[[str], object]) -> Pack:
    """Merges several untouched packs, in order, into one pack. Copies their blocks without recompressing them.

    Raises OSError, also if a block is damaged; then all packs are unchanged.
    """
    made = merged(packs)
    write(made.path, moved_blocks([pack.path for pack in packs]), temporary=made.directory / f"{made.first}{PARTIAL}")
    made.disk = allocated_bytes(made.path)
    for old in packs:
        try:
            old.path.unlink(missing_ok=True)
        except OSError as error:
            on_error(f"spool: cannot remove {old.path}: {error.strerror}; the next start removes it")
    return made


def merged(packs: list[Pack]) -> Pack:
    """Returns the merged pack that several packs will become. Writes no file."""
    return Pack(
        packs[0].intake, packs[0].directory, first=min(pack.first for pack in packs),
        last=max(pack.last for pack in packs), earliest=min(pack.earliest for pack in packs),
        latest=max(pack.latest for pack in packs), batches=sum(pack.batches for pack in packs),
        count=sum(pack.count for pack in packs), size=sum(pack.size for pack in packs),
        doubtful=sum(pack.doubtful for pack in packs),
    )  # fmt: skip


def moved_blocks(paths: Iterable[Path]) -> Iterator[bytes]:
    """Yields the blocks of all packs, with new positions. Raises OSError, also if a block is damaged."""
    position = 0
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            offset = 0
            while found := pack_blocks.find(descriptor, offset):
                if found.header is None or pack_blocks.decode(descriptor, found) is None:
                    raise OSError(5, "damaged", str(path))
                yield pack_blocks.moved(os.pread(descriptor, found.end - offset, offset), found.header, position)
                position += found.header.batches
                offset = found.end
        finally:
            os.close(descriptor)


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
    tier, size = 0, MIN_BATCHES * MERGE_FACTOR
    while size <= MAX_BATCHES:
        if pack.batches < size:
            return tier
        tier, size = tier + 1, size * MERGE_FACTOR
    return None
