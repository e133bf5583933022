"""Reads the queued events of a spool from its files, also from another process. Changes nothing.

A running bridge renames, packs and removes files meanwhile. So the reader lists a folder again until a listing contains
nothing new. It returns each event once. Events that it misses were delivered while it was reading.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import batch_names
from bridge.spool.batch_names import BatchName
from bridge.spool.batch_reader import time_of
from bridge.spool.pack import Pack
from bridge.spool.pack_blocks import BlockEntry

Event = tuple[int, bytes]
"Time in milliseconds since the epoch (0: none), and the event."


def intakes(spool: Path) -> list[str]:
    """Returns the names of the intakes that have a folder in the spool. Raises OSError."""
    return sorted(entry.name for entry in spool.iterdir() if entry.is_dir() and batch_names.is_intake(entry.name))


def queued_batches(folder: Path) -> Iterator[tuple[int, list[Event]]]:
    """Yields the queued batches of an intake as (sequence, events), oldest first. Raises OSError."""
    seen: set[int] = set()
    newest: int | None = None
    again = True
    while again:
        again = False
        found = sorted(_listed(folder), key=lambda row: row[1].sequence)
        if newest is None:
            # Ignore batches that arrive during this read.
            newest = max((each.sequence for _, each in found), default=0)
        for path, each in found:
            if each.sequence > newest or (each.sequence in seen and isinstance(each, BatchName)):
                continue
            again |= isinstance(each, BatchName)
            # A file that is missing was delivered, renamed or packed meanwhile.
            with suppress(FileNotFoundError):
                for sequence, events in _of_pack(each) if isinstance(each, Pack) else _of_file(path, each):
                    if sequence not in seen:
                        seen.add(sequence)
                        yield sequence, events


def _listed(folder: Path) -> Iterator[tuple[Path, BatchName | Pack]]:
    with suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            found = batch_names.read(path.name) or Pack.of_name(folder.name, folder, path.name)
            if found is not None:
                yield path, found


def _of_file(path: Path, name: BatchName) -> Iterator[tuple[int, list[Event]]]:
    data = path.read_bytes()
    # An open file may end in the middle of a line.
    yield name.sequence, _events(data[: data.rfind(b"\n") + 1], name)


def _of_pack(pack: Pack) -> Iterator[tuple[int, list[Event]]]:
    for place, entry in enumerate(pack.entries()):
        if place not in pack.progress.settled:
            yield entry.sequence, _events(entry.lines, entry)


def _events(data: bytes, batch: BatchName | BlockEntry) -> list[Event]:
    lines = data.split(b"\n")[:-1]
    if batch.timed:
        return [(time_of(line, batch.earliest), _decoded(line.partition(b"\t")[2], batch.encoding)) for line in lines]
    return [(batch.earliest, _decoded(line, batch.encoding)) for line in lines]


def _decoded(event: bytes, encoding: str) -> bytes:
    if encoding != JSON:
        return event
    try:
        return from_json_line(event)
    except ValueError:
        return event
