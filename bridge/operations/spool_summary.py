"""Reads the contents of a spool from its file names and its lock, without a bridge. Changes nothing."""

import fcntl
import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from bridge.spool import Pack, batch_names
from bridge.spool.pack import PARTIAL

_QUARANTINED = re.compile(r"[0-9]+-([0-9]+)\.jsonl")


@dataclass(slots=True)
class IntakeBacklog:
    """The events in the spool for one intake."""

    events: int = 0
    size: int = 0
    "Bytes."
    oldest: int | None = None
    "Time of reception of the oldest batch, in microseconds since the epoch."


@dataclass(slots=True)
class SpoolContents:
    """The contents of a spool."""

    intakes: dict[str, IntakeBacklog] = field(default_factory=dict)
    quarantine: dict[str, int] = field(default_factory=dict)
    "Number of frames by reason."
    sending: int = 0
    "Events of requests that had started: possible duplicates, as the collector may have accepted them."
    foreign: int = 0
    "Number of files that are not batches."


def owner(directory: Path) -> str | None:
    """Returns the ID of the process that has the lock of a spool, or None if no process has it. Raises OSError.

    Returns ``unknown`` if the lock file contains no ID.
    """
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Take a shared lock and release it at once, so that a bridge that starts now can take the lock.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None


def read(directory: Path) -> SpoolContents:
    """Reads the contents of a spool from its file names. Raises OSError.

    Opens only the files that were still open when their process died, because their names have no counts.
    """
    found = SpoolContents()
    for folder in sorted(directory.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            found.intakes[folder.name] = _backlog(folder, found)
    for reason in sorted(_entries(directory / ".quarantine")):
        found.quarantine[reason.name] = sum(map(_frames, _entries(reason)))
    return found


def _backlog(folder: Path, found: SpoolContents) -> IntakeBacklog:
    backlog = IntakeBacklog()
    for path in folder.iterdir():
        name = batch_names.read(path.name)
        if name is None:
            _add_pack(folder, path.name, backlog, found)
            continue
        if name.state == "open":
            data = path.read_bytes()
            backlog.events += data.count(b"\n")
            backlog.size += len(data)
        else:
            backlog.events += name.events
            backlog.size += name.size
        if name.state == "sending":
            found.sending += name.events
        backlog.oldest = name.sequence if backlog.oldest is None else min(backlog.oldest, name.sequence)
    return backlog


def _add_pack(folder: Path, name: str, backlog: IntakeBacklog, found: SpoolContents) -> None:
    pack = Pack.of_name(folder.name, folder, name)
    if pack is None:
        found.foreign += not name.endswith(PARTIAL)
        return
    backlog.events += pack.count
    backlog.size += pack.size
    backlog.oldest = pack.sequence if backlog.oldest is None else min(backlog.oldest, pack.sequence)
    found.sending += pack.doubtful


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _frames(path: Path) -> int:
    if match := _QUARANTINED.fullmatch(path.name):
        return int(match[1])
    if path.name.endswith(".open.jsonl") and stat.S_ISREG(path.stat().st_mode):
        return path.read_bytes().count(b"\n")
    return 0


def as_json(directory: Path, files: SpoolContents) -> dict[str, object]:
    """Returns the contents in the form of ``/api/status``, with ``running`` false."""
    now = time.time()
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
            for name, backlog in files.intakes.items()
        ],
        "quarantine": files.quarantine,
        "possible_duplicates": files.sending,
        "foreign_files": files.foreign,
    }
