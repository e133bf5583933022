"""A spool without its bridge: what its names and its lock say. Nothing is changed."""

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
    """What waits for one intake."""

    events: int = 0
    size: int = 0
    "Bytes."
    oldest: int | None = None
    "Reception of the oldest batch, in microseconds since the epoch."


@dataclass(slots=True)
class SpoolContents:
    """What a spool holds."""

    intakes: dict[str, IntakeBacklog] = field(default_factory=dict)
    quarantine: dict[str, int] = field(default_factory=dict)
    "Frames by reason."
    sending: int = 0
    "Events of requests that had been begun: they may have been accepted."
    foreign: int = 0
    "Files that are not batches."


def owner(directory: Path) -> str | None:
    """The process that holds the spool, ``unknown`` where it cannot be told, None where none does. Raises OSError."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared, and given back at once: a bridge that starts now finds it free.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None


def read(directory: Path) -> SpoolContents:
    """All that the names say; only files that were still open when their process died are read. Raises OSError."""
    found = SpoolContents()
    for folder in sorted(directory.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            found.intakes[folder.name] = _held(folder, found)
    for reason in sorted(_entries(directory / ".quarantine")):
        found.quarantine[reason.name] = sum(map(_frames, _entries(reason)))
    return found


def _held(folder: Path, found: SpoolContents) -> IntakeBacklog:
    held = IntakeBacklog()
    for path in folder.iterdir():
        name = batch_names.read(path.name)
        if name is None:
            _held_in_pack(folder, path.name, held, found)
            continue
        if name.state == "open":
            data = path.read_bytes()
            held.events += data.count(b"\n")
            held.size += len(data)
        else:
            held.events += name.events
            held.size += name.size
        if name.state == "sending":
            found.sending += name.events
        held.oldest = name.sequence if held.oldest is None else min(held.oldest, name.sequence)
    return held


def _held_in_pack(folder: Path, name: str, held: IntakeBacklog, found: SpoolContents) -> None:
    pack = Pack.of_name(folder.name, folder, name)
    if pack is None:
        found.foreign += not name.endswith(PARTIAL)
        return
    held.events += pack.count
    held.size += pack.size
    held.oldest = pack.sequence if held.oldest is None else min(held.oldest, pack.sequence)
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
    """In the names of ``/api/status``; ``running`` says that it is not one."""
    now = time.time()
    return {
        "running": False,
        "spool": str(directory),
        "intakes": [
            {
                "name": name,
                "state": "stopped",
                "backlog_events": held.events,
                "backlog_bytes": held.size,
                "oldest_seconds": None if held.oldest is None else max(0.0, round(now - held.oldest / 1_000_000, 3)),
                "last_error": None,
            }
            for name, held in files.intakes.items()
        ],
        "quarantine": files.quarantine,
        "possible_duplicates": files.sending,
        "foreign_files": files.foreign,
    }
