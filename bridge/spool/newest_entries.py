"""Reads the newest quarantine entries from the ends of its files, for display. Changes nothing."""

import os
from itertools import chain, islice
from pathlib import Path

from bridge.spool.quarantine import REASONS, QuarantineEntry

PER_REASON = 20
"Entries returned for each reason."
TAIL_BYTES = 1 << 20
"Bytes read from the end of a file."
SAMPLE_BYTES = 500
"Bytes of a frame in the sample."


def last_entries(directory: Path) -> list[dict[str, object]]:
    """Returns up to ``PER_REASON`` entries of each reason, newest first. Skips files and lines that cannot be read."""
    found: list[tuple[QuarantineEntry, str]] = []
    for reason in REASONS:
        try:
            names = sorted((entry.name for entry in os.scandir(directory / reason)), reverse=True)
        except OSError:
            continue
        files = (directory / reason / name for name in names if name.endswith(".jsonl"))
        newest = islice(chain.from_iterable(map(_of_file, files)), PER_REASON)
        found += [(entry, reason) for entry in newest]
    found.sort(key=lambda each: -each[0].received_ms)
    return [
        {
            "reason": reason, "received_ms": entry.received_ms, "listener": entry.listener, "address": entry.peer,
            "intake": entry.intake, "why": entry.detail,
            "sample": entry.frame[:SAMPLE_BYTES].decode("utf-8", "backslashreplace"), "bytes": len(entry.frame),
        }
        for entry, reason in found
    ]  # fmt: skip


def _of_file(path: Path) -> list[QuarantineEntry]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")
    except OSError:
        return []
    # Drop the last part, which may still be being written, and the first if it was cut by the read limit.
    whole = lines[1:-1] if size > TAIL_BYTES else lines[:-1]
    return [entry for entry in map(QuarantineEntry.read, reversed(whole[-PER_REASON:])) if entry is not None]
