"""Makes packs: of loose batch files, and of smaller packs. Blocking; runs in the spool's thread.

In this order, so that a killed process or a power cut at any point loses nothing and doubles nothing: the pack is
written aside and synced, renamed, its directory synced; then what it replaces goes.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bridge.spool import batch_reader, pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack import PARTIAL, Pack

BLOCK = 64 * 1024
"Bytes of lines in a block, about: what damage of a byte costs."
LARGEST_BATCH = 512 * 1024
"Bytes; a larger one stays a file of its own, whose last disk block is no waste."
FEW, FACTOR, MOST = 16, 4, 4096
"Batches worth a pack; how many packs of a size make one of the next; batches of the largest."
MOST_BYTES = 64 << 20
"Bytes of lines in packs that are put together."


def write(path: Path, parts: Iterable[bytes], *, aside: Path) -> None:
    """A file that is there whole and on disk, or not at all; never over another. Raises OSError."""
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # Nobody else makes names in this folder, so the test and the rename cannot be told apart.
        if path.exists():
            raise FileExistsError(17, "File exists", str(path))
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    try:
        sync(path.parent)
    except OSError:
        # Of two copies one is too many, and the old ones are whole.
        path.unlink()
        raise


def sync(directory: Path) -> None:
    """The names in a directory survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def taken_by(path: Path) -> int:
    """Allocated bytes of a file; 0 where it cannot be asked."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def in_blocks(entries: Iterable[pack_blocks.BlockEntry]) -> Iterator[bytes]:
    """Batches as blocks."""
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
    """A batch with its lines. Raises Damaged, OSError."""
    return pack_blocks.BlockEntry(
        batch.sequence, batch.earliest, batch.latest, batch.count, batch.size, batch.encoding, batch.timed,
        batch.sending, batch_reader.content(batch),
    )  # fmt: skip


def build(batches: list[Batch]) -> tuple[Pack | None, list[bytes], list[Batch], list[Batch]]:
    """A pack of batches of an intake, in order of sequence: its name, its blocks, the batches in it, and those that
    have to stay as they are: their files do not hold what their names say. Raises OSError."""
    apart: list[Batch] = []
    taken: list[Batch] = []
    entries: list[pack_blocks.BlockEntry] = []
    for batch in sorted(batches, key=lambda batch: batch.sequence):
        try:
            entries.append(entry_of(batch))
            taken.append(batch)
        except batch_reader.Damaged:
            apart.append(batch)
    if not taken:
        return None, [], [], apart
    made = Pack(
        taken[0].intake, taken[0].directory, first=taken[0].sequence, last=taken[-1].sequence,
        earliest=min(batch.earliest for batch in taken), latest=max(batch.latest for batch in taken),
        batches=len(taken), count=sum(batch.count for batch in taken), size=sum(batch.size for batch in taken),
        doubtful=sum(batch.count for batch in taken if batch.sending),
    )  # fmt: skip
    return made, list(in_blocks(entries)), taken, apart


def pack(batches: list[Batch], on_error: Callable[[Batch, OSError], None]) -> tuple[Pack | None, list[Batch]]:
    """One pack of the loose batches of an intake, and those that had to stay as they are.

    Raises OSError: then all of them are as they were.
    """
    made, packed, taken, apart = build(batches)
    if made is not None:
        write(made.path, packed, aside=made.directory / f"{made.first}{PARTIAL}")
        made.disk = taken_by(made.path)
        batch_reader.remove(taken, on_error)
    return made, apart


def merge(packs: list[Pack], on_error: Callable[[str], None]) -> Pack:
    """One pack of several that are untouched, in order; blocks move as they are.

    Raises OSError, also where a block is damaged: then all of them are as they were.
    """
    made = joined(packs)
    write(made.path, moved_blocks([pack.path for pack in packs]), aside=made.directory / f"{made.first}{PARTIAL}")
    made.disk = taken_by(made.path)
    for old in packs:
        try:
            old.path.unlink(missing_ok=True)
        except OSError as error:
            on_error(f"spool: cannot remove {old.path}: {error.strerror}; it goes at the next start")
    return made


def joined(packs: list[Pack]) -> Pack:
    """The name of several packs that become one."""
    return Pack(
        packs[0].intake, packs[0].directory, first=min(pack.first for pack in packs),
        last=max(pack.last for pack in packs), earliest=min(pack.earliest for pack in packs),
        latest=max(pack.latest for pack in packs), batches=sum(pack.batches for pack in packs),
        count=sum(pack.count for pack in packs), size=sum(pack.size for pack in packs),
        doubtful=sum(pack.doubtful for pack in packs),
    )  # fmt: skip


def moved_blocks(paths: Iterable[Path]) -> Iterator[bytes]:
    """The blocks of packs, behind each other. Raises OSError, also where one of them is damaged."""
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
    """The first run of ``FACTOR`` neighbours that are worth one larger pack, as a slice; None: there is none."""
    run = 0
    for i, candidate in enumerate(packs):
        size = _tier(candidate)
        fits = i >= after and candidate.untouched and size is not None
        run = (run + 1 if run and size == _tier(packs[i - 1]) else 1) if fits else 0
        if run == FACTOR:
            part = packs[i + 1 - FACTOR : i + 1]
            if sum(pack.size for pack in part) <= MOST_BYTES:
                return i + 1 - FACTOR, i + 1
            run -= 1
    return None


def _tier(pack: Pack) -> int | None:
    """0 for the smallest; None: large enough."""
    tier, size = 0, FEW * FACTOR
    while size <= MOST:
        if pack.batches < size:
            return tier
        tier, size = tier + 1, size * FACTOR
    return None
