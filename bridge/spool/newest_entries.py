"""Reads the newest frames of the quarantine from its files. Changes nothing."""

import os
from itertools import chain, islice
from pathlib import Path

from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.util.files import open_regular

MAX_ENTRIES = 20
"Entries that are returned."
TAIL_BYTES = 1 << 20
"Bytes read from the end of a file."


def newest_entries(folder: Path) -> list[QuarantineEntry]:
    """Returns up to ``MAX_ENTRIES`` entries of the folder of one reason, newest first.

    Skips files and lines that cannot be read.
    """
    try:
        names = sorted((entry.name for entry in os.scandir(folder)), reverse=True)
    except OSError:
        return []
    files = (folder / name for name in names if name.endswith(".jsonl"))
    return list(islice(chain.from_iterable(map(_newest_of, files)), MAX_ENTRIES))


def _newest_of(path: Path) -> list[QuarantineEntry]:
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")
    except OSError:
        return []
    # Drop the last part, which may still be being written, and the first if it was cut by the read limit.
    whole = lines[1:-1] if size > TAIL_BYTES else lines[:-1]
    return [entry for entry in map(QuarantineEntry.read, reversed(whole[-MAX_ENTRIES:])) if entry is not None]
