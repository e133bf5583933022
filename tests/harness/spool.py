"""Reads a spool's files; their names and contents are its only state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bridge.spool import Pack
from tests.harness.messages import NUMBER


def batches(spool: Path) -> list[Path]:
    """Returns the files of sealed batches, in flight or not."""
    return [file for file in _batch_files(spool) if ".open." not in file.name]


def numbers_in_flight(spool: Path) -> set[int]:
    """Returns message numbers of batches whose first POST has begun: a crash may deliver these twice."""
    found: set[int] = set()
    for file in _batch_files(spool):
        if ".sending" in file.name:
            found.update(int(number) for number in re.findall(NUMBER, file.read_bytes().decode()))
    for pack in packs(spool):
        read = pack.read(most_batches=1 << 30, most_bytes=1 << 40, sealed=0.0)
        for batch in read.batches:
            if batch.sending:
                found.update(int(number) for number in re.findall(NUMBER, (batch.held or b"").decode()))
    return found


def packs(spool: Path) -> list[Pack]:
    """Returns the packs in the spool."""
    found = [Pack.of_name(file.parent.name, file.parent, file.name) for file in spool.glob("[!.]*/*.pack")]
    return [pack for pack in found if pack is not None]


def _batch_files(spool: Path) -> Iterator[Path]:
    for intake in spool.iterdir():
        if intake.is_dir() and not intake.name.startswith("."):
            yield from (file for file in intake.iterdir() if re.match(r"\d+-\d+", file.name) and file.suffix != ".pack")
