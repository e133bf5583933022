"""Writes the packs that a long outage leaves in a spool, much faster than the outage would."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bridge.spool import Pack, pack_writer
from bridge.spool.pack_blocks import BlockEntry
from bridge.spool.pack_name import PackName

BATCHES_PER_PACK = 256


def write_packs(intake: Path, *, batches: int, events: int, every: float, ends: float) -> int:
    """Writes `batches` batches of `events` events, one every so many seconds until `ends` (seconds since the epoch).

    Returns the bytes of all events.
    """
    intake.mkdir(parents=True, exist_ok=True)
    total = 0
    remaining = _entries(batches, events, every, ends)
    while entries := list(islice(remaining, BATCHES_PER_PACK)):
        name = PackName.of(entries)
        pack_writer.write(Pack(intake.name, intake, name), pack_writer.encode_blocks(entries))
        total += sum(entry.size for entry in entries)
    return total


def _entries(batches: int, events: int, every: float, ends: float) -> Iterator[BlockEntry]:
    for i in range(batches):
        ms = int((ends - (batches - i) * every) * 1000)
        lines = b"".join(
            b"backlog %d session %d from 10.1.%d.%d port %d to 192.0.2.%d port 443 accepted by policy %d, %d bytes\n"
            % (number, number * 7919 % 100_003, number % 251, number * 31 % 253, number * 17 % 65_521, number % 29,
               number % 41, number * 104_729 % 1_000_003)
            for number in range(i * events, (i + 1) * events)
        )  # fmt: skip
        yield BlockEntry(ms * 1000, ms, ms + 999, events, len(lines), "lines", False, False, lines)
