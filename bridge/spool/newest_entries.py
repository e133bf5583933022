"""Reads the newest quarantine entries from the ends of its files, for display. Changes nothing."""

import os
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
    found: list[dict[str, object]] = []
    for reason in REASONS:
        try:
            names = sorted((entry.name for entry in os.scandir(directory / reason)), reverse=True)
        except OSError:
            continue
        rows: list[dict[str, object]] = []
        for name in (one for one in names if one.endswith(".jsonl")):
            rows += _of_file(directory / reason / name, reason)[: PER_REASON - len(rows)]
            if len(rows) >= PER_REASON:
                break
        found += rows
    return sorted(found, key=lambda row: -_number(row["received_ms"]))


def _of_file(path: Path, reason: str) -> list[dict[str, object]]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")
    except OSError:
        return []
    # Drop the last part, which may still be being written, and the first if it was cut by the read limit.
    whole = lines[1:-1] if size > TAIL_BYTES else lines[:-1]
    return [row for line in reversed(whole[-PER_REASON:]) if (row := _entry(line, reason)) is not None]


def _entry(line: bytes, reason: str) -> dict[str, object] | None:
    entry = QuarantineEntry.read(line)
    return (
        None
        if entry is None
        else {
            "reason": reason,
            "received_ms": entry.received_ms,
            "listener": entry.listener,
            "address": entry.peer,
            "intake": entry.intake,
            "why": entry.detail,
            "sample": entry.frame[:SAMPLE_BYTES].decode("utf-8", "backslashreplace"),
            "bytes": len(entry.frame),
        }
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
