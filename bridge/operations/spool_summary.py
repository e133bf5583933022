"""Reads the contents of a spool from its file names, without a bridge. Changes nothing."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from bridge.spool import Pack, batch_names
from bridge.spool.pack import PARTIAL
from bridge.spool.quarantine import REASONS
from bridge.util.files import is_folder, is_foreign, is_nfs_leftover, read_regular

_QUARANTINED = re.compile(r"[0-9]{1,19}-([0-9]{1,10})\.jsonl")


@dataclass(slots=True)
class _Backlog:
    """The events in the spool for one intake."""

    events: int = 0
    size: int = 0
    oldest: int | None = None
    "Time of reception of the oldest batch, in microseconds since the epoch."
    sending: int = 0
    "Events of requests that had started: possible duplicates, as the collector may have accepted them."
    foreign: int = 0
    "Number of files that are not batches."
    unreadable: int = 0
    "Number of files and folders whose events cannot be counted, because they cannot be read."

    def add(self, events: int, size: int, sequence: int, *, sending: int) -> None:
        """Adds a batch or pack."""
        self.events += events
        self.size += size
        self.sending += sending
        self.oldest = sequence if self.oldest is None else min(self.oldest, sequence)


def read_status(directory: Path) -> dict[str, object]:
    """Reads the contents of a spool from its file names. Raises OSError.

    Returns them in the form of ``/api/status``, with ``running`` false. Opens only the files that were still open when
    their process died, because their names have no counts.
    """
    now = time.time()
    backlogs = {
        folder.name: _read_backlog(folder)
        for folder in sorted(directory.iterdir())
        if batch_names.is_intake(folder.name) and is_folder(folder)
    }
    return {
        "running": False,
        "spool": str(directory),
        "intakes": [
            {
                "name": name,
                "state": "stopped",
                "backlog_events": backlog.events,
                "backlog_bytes": backlog.size,
                "oldest_seconds": None
                if backlog.oldest is None
                else max(0.0, round(now - backlog.oldest / 1_000_000, 3)),
                "last_error": None,
            }
            for name, backlog in backlogs.items()
        ],
        "quarantine": {
            reason.name: sum(map(_count_frames, _entries(reason)))
            for reason in sorted(_entries(directory / ".quarantine"))
            if reason.name in REASONS
        },
        "possible_duplicates": sum(backlog.sending for backlog in backlogs.values()),
        "foreign_files": sum(backlog.foreign for backlog in backlogs.values()),
        "unreadable_files": sum(backlog.unreadable for backlog in backlogs.values()),
    }


def _read_backlog(folder: Path) -> _Backlog:
    backlog = _Backlog()
    try:
        paths = [path for path in folder.iterdir() if not is_nfs_leftover(path.name)]
    except OSError:
        backlog.unreadable += 1
        return backlog
    for path in paths:
        if is_foreign(path):
            backlog.foreign += 1
        elif (name := batch_names.read(path.name)) is not None:
            events, size = name.events, name.size
            if name.state == "open":
                try:
                    data = read_regular(path)
                except FileNotFoundError:
                    continue
                except OSError:
                    backlog.unreadable += 1
                    continue
                events, size = data.count(b"\n"), len(data)
            backlog.add(events, size, name.sequence, sending=events if name.state in ("sending", "sent") else 0)
        elif (pack := Pack.of_name(folder.name, folder, path.name)) is not None:
            backlog.add(pack.count, pack.size, pack.sequence, sending=pack.progress.doubtful)
        else:
            backlog.foreign += not path.name.endswith(PARTIAL)
    return backlog


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _count_frames(path: Path) -> int:
    if is_foreign(path):
        return 0
    if match := _QUARANTINED.fullmatch(path.name):
        return int(match[1])
    try:
        return read_regular(path).count(b"\n") if path.name.endswith(".open.jsonl") else 0
    except OSError:
        return 0
