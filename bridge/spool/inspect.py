"""Reads the queue and the newest quarantine entries of a spool from its files. Changes nothing.

The queue can be read from another process. A running bridge renames, packs and removes files meanwhile. So the reader
lists a folder again until a listing contains nothing new. It returns each event once. Events that it misses were
delivered while it was reading.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import batch_names
from bridge.spool.batch_names import BatchName
from bridge.spool.batch_reader import time_of
from bridge.spool.newest_entries import newest_entries
from bridge.spool.pack import Pack
from bridge.spool.pack_blocks import BlockEntry
from bridge.spool.quarantine import REASONS, UNREDACTED
from bridge.util.files import is_folder, read_regular

SAMPLE_BYTES = 500
"Bytes of a frame in the sample."

Event = tuple[int, bytes]
"Time in milliseconds since the epoch (0: none), and the event."


def intakes(spool: Path) -> list[str]:
    """Returns the names of the intakes that have a folder in the spool. Raises OSError."""
    return sorted(entry.name for entry in spool.iterdir() if batch_names.is_intake(entry.name) and is_folder(entry))


def queued_batches(
    folder: Path, on_unreadable: Callable[[Path, int, OSError], object] = lambda path, events, error: None
) -> Iterator[tuple[int, list[Event]]]:
    """Yields the queued batches of an intake as (sequence, events), oldest first.

    ``on_unreadable`` receives each file that cannot be read, the events that its name counts (0: unknown, for an open
    file), and the error.
    """
    seen: set[int] = set()
    skipped: set[Path] = set()
    newest: int | None = None
    again = True
    while again:
        again = False
        found = sorted(_listed(folder, on_unreadable), key=lambda row: row[1].sequence)
        if newest is None:
            # Ignore batches that arrive during this read.
            newest = max((each.sequence for _, each in found), default=0)
        for path, each in found:
            if each.sequence > newest or path in skipped:
                continue
            if isinstance(each, Pack):
                batches = _of_pack(each)
            elif each.sequence not in seen:
                batches, again = _of_file(path, each), True
            else:
                continue
            try:
                for sequence, events in batches:
                    if sequence not in seen:
                        seen.add(sequence)
                        yield sequence, events
            except FileNotFoundError:
                # The file was delivered, renamed or packed meanwhile, or is a link that leads nowhere.
                skipped.add(path)
            except OSError as error:
                skipped.add(path)
                on_unreadable(path, each.count if isinstance(each, Pack) else each.events, error)


def _listed(
    folder: Path, on_unreadable: Callable[[Path, int, OSError], object]
) -> Iterator[tuple[Path, BatchName | Pack]]:
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        on_unreadable(folder, 0, error)
        return
    for path in paths:
        found = batch_names.read(path.name) or Pack.of_name(folder.name, folder, path.name)
        if found is not None:
            yield path, found


def _of_file(path: Path, name: BatchName) -> Iterator[tuple[int, list[Event]]]:
    data = read_regular(path)
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


def last_entries(directory: Path) -> list[dict[str, object]]:
    """Returns the newest entries of each reason, newest first. Skips files and lines that cannot be read.

    Frames that could not be redacted have no sample.
    """
    found = [(entry, reason) for reason in REASONS for entry in newest_entries(directory / reason)]
    found.sort(key=lambda each: -each[0].received_ms)
    return [
        {
            "reason": reason, "received_ms": entry.received_ms, "listener": entry.listener, "address": entry.peer,
            "intake": entry.intake, "why": entry.detail,
            "sample": None if reason == UNREDACTED
            else entry.frame[:SAMPLE_BYTES].decode("utf-8", "backslashreplace"),
            "bytes": len(entry.frame),
        }
        for entry, reason in found
    ]  # fmt: skip
