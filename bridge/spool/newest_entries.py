"""The last entries of the quarantine, read from the ends of its files: for people who look; nothing is changed."""

import base64
import json
import os
from pathlib import Path

from bridge.spool.quarantine import REASONS

EACH = 20
"Entries of a reason."
READ = 1 << 20
"Bytes that are read of a reason's latest file."
SHOWN = 500
"Bytes of a frame that are shown."


def last_entries(directory: Path) -> list[dict[str, object]]:
    """Up to ``EACH`` entries of each reason, the latest first. What cannot be read is left out."""
    found: list[dict[str, object]] = []
    for reason in REASONS:
        try:
            names = sorted((entry.name for entry in os.scandir(directory / reason)), reverse=True)
        except OSError:
            continue
        rows: list[dict[str, object]] = []
        for name in (one for one in names if one.endswith(".jsonl")):
            rows += _of_file(directory / reason / name, reason)[: EACH - len(rows)]
            if len(rows) >= EACH:
                break
        found += rows
    return sorted(found, key=lambda row: -_number(row["received_ms"]))


def _of_file(path: Path, reason: str) -> list[dict[str, object]]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - READ))
            lines = file.read(READ).split(b"\n")
    except OSError:
        return []
    # What the reading begins in, and what is being written.
    whole = lines[1:-1] if size > READ else lines[:-1]
    return [row for line in reversed(whole[-EACH:]) if (row := _entry(line, reason)) is not None]


def _entry(line: bytes, reason: str) -> dict[str, object] | None:
    try:
        fields = json.loads(line)
        frame = base64.b64decode(fields["frame"])
        return {
            "reason": reason,
            "received_ms": int(fields["received_ms"]),
            "listener": str(fields["listener"]),
            "address": str(fields["peer"]),
            "intake": fields["intake"],
            "why": str(fields["reason"]),
            "sample": frame[:SHOWN].decode("utf-8", "backslashreplace"),
            "bytes": len(frame),
        }
    except (ValueError, KeyError, TypeError):
        return None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
