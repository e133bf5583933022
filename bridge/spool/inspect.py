"""Reads the queued events of a spool from its files, also from another process. Changes nothing.

A running bridge renames, packs and removes files meanwhile. So the reader lists a folder again until a listing contains
nothing new. It returns each event once. Events that it misses were delivered while it was reading.
"""

from collections.abc import Iterator
from pathlib import Path

from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import batch_names
from bridge.spool.batch_reader import time_of
from bridge.spool.pack import Pack
from bridge.spool.pack_name import SUFFIX

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
        found = sorted(_listed(folder), key=lambda each: each[0])
        if newest is None:
            # Ignore batches that arrive during this read.
            newest = max((each[0] for each in found), default=0)
        for sequence, path in found:
            if sequence > newest:
                continue
            if path.name.endswith(SUFFIX):
                for member, events in _of_pack(folder, path):
                    if member not in seen:
                        seen.add(member)
                        yield member, events
            elif sequence not in seen:
                again = True
                if (found_here := _of_file(path)) is not None:
                    seen.add(sequence)
                    yield sequence, found_here


def _listed(folder: Path) -> Iterator[tuple[int, Path]]:
    try:
        entries = list(folder.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        if (name := batch_names.read(path.name)) is not None:
            yield name.sequence, path
        elif (pack := Pack.of_name(folder.name, folder, path.name)) is not None:
            yield pack.first, path


def _of_file(path: Path) -> list[Event] | None:
    name = batch_names.read(path.name)
    assert name is not None
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    # An open file may end in the middle of a line.
    return _events(data[: data.rfind(b"\n") + 1], name.earliest, name.encoding, timed=name.timed)


def _of_pack(folder: Path, path: Path) -> Iterator[tuple[int, list[Event]]]:
    pack = Pack.of_name(folder.name, folder, path.name)
    assert pack is not None
    try:
        for place, entry in enumerate(pack.entries()):
            if place not in pack.settled:
                yield entry.sequence, _events(entry.lines, entry.earliest, entry.encoding, timed=entry.timed)
    except FileNotFoundError:
        return


def _events(data: bytes, earliest: int, encoding: str, *, timed: bool) -> list[Event]:
    lines = data.split(b"\n")[:-1]
    if timed:
        return [(time_of(line, earliest), _decoded(line.partition(b"\t")[2], encoding)) for line in lines]
    return [(earliest, _decoded(line, encoding)) for line in lines]


def _decoded(event: bytes, encoding: str) -> bytes:
    if encoding != JSON:
        return event
    try:
        return from_json_line(event)
    except ValueError:
        return event
