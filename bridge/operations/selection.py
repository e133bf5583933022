"""Reads and counts the events and frames that an operation would change. Changes nothing, and needs no lock.

A running bridge may deliver, add and remove events meanwhile, so the counts are those of the moment.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from bridge.operations import spool_summary
from bridge.spool import inspect
from bridge.spool.partition import EventFilter
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.reprocess import Selection
from bridge.syslog.intake_key import masked
from bridge.util.files import read_regular

OnUnreadable = Callable[[Path, int, OSError], object]
"Receives a file that cannot be read, the number of its events (0: unknown), and the error."


def waiting_events(
    directory: Path, intake: str | None, event_filter: EventFilter, on_unreadable: OnUnreadable
) -> Iterator[tuple[str, int, bytes]]:
    """Yields intake, time in milliseconds since the epoch (0: none) and text of the waiting events that match."""
    for name in [intake] if intake is not None else inspect.intakes(directory):
        for _, events in inspect.queued_batches(directory / name, on_unreadable):
            for ms, event in events:
                if event_filter.matches(event):
                    yield name, ms, event


def count_waiting(directory: Path, intake: str | None, event_filter: EventFilter) -> dict[str, int]:
    """Returns intake -> number of its waiting events that match. Raises OSError.

    Without a filter, reads only the names of the files.
    """
    if event_filter:
        found = waiting_events(directory, intake, event_filter, lambda path, events, error: None)
        return dict(Counter(name for name, _, _ in found))
    rows = cast(list[dict[str, object]], spool_summary.read_status(directory)["intakes"])
    counts = {str(row["name"]): cast(int, row["backlog_events"]) for row in rows}
    return {name: count for name, count in counts.items() if count and intake in (None, name)}


def count_unreadable(directory: Path, intake: str | None) -> dict[str, int]:
    """Returns intake -> number of the events in files that cannot be read, as far as their names tell it."""
    counts = Counter[str]()
    for name in [intake] if intake is not None else inspect.intakes(directory):

        def note(path: Path, events: int, error: OSError, name: str = name) -> None:
            counts[name] += events

        for _ in inspect.queued_batches(directory / name, note):
            continue
    return dict(counts)


def held_frames(
    directory: Path, reasons: Iterable[str], selection: Selection, on_unreadable: OnUnreadable
) -> Iterator[tuple[str, QuarantineEntry]]:
    """Yields reason and entry of the frames in quarantine that match, without intake keys in their text."""
    for reason in reasons:
        for path in sorted((directory / ".quarantine" / reason).glob("*.jsonl")):
            try:
                lines = read_regular(path).splitlines(keepends=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                on_unreadable(path, 0, error)
                continue
            for line in lines:
                entry = QuarantineEntry.read(line)
                if entry is not None and selection.matches(entry):
                    # A version before this one may have written keys.
                    yield reason, replace(entry, frame=masked(entry.frame))


def count_held(directory: Path, reasons: Iterable[str], selection: Selection) -> dict[str, int]:
    """Returns reason -> number of the frames in quarantine that match."""
    found = held_frames(directory, reasons, selection, lambda path, events, error: None)
    return dict(Counter(reason for reason, _ in found))
