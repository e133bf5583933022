"""The ledger history's lines and the chain that holds them together: written, read back, verified.

The grammar of a line is in ``bridge.accounting.journal``. To check one with a shell, take the line before it for
``$previous`` (its 64 digits of ``chain``)::

    printf %s "$previous$(sed -n 2p 2026-03-01.jsonl | sed 's/,"chain":"[0-9a-f]*"}$/}/')" | sha256sum
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from isal import igzip

PLAIN, PACKED = ".jsonl", ".jsonl.gz"
"Endings of a day that is being written, and of one that is finished."

BEGINNING = "0" * 64
"What the first line ever follows."

MOST_FAULTS = 20
"Faults that are kept in words; the rest are counted."

_LINK = re.compile(rb',"chain":"([0-9a-f]{64})"}')
_LINK_SIZE = 76

# Made once: json.dumps would make one for each line.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def linked(chain: str, body: bytes) -> str:
    """The chain of a line, from that of the line before it and the line's bytes without ``chain``."""
    return sha256(chain.encode("ascii") + body).hexdigest()


def line_of(fields: dict[str, object], chain: str) -> tuple[bytes, str]:
    """A line with its LF, and its chain."""
    body = _encode(fields).encode("ascii")
    link = linked(chain, body)
    return b'%b,"chain":"%b"}\n' % (body[:-1], link.encode("ascii")), link


def taken_apart(line: bytes) -> tuple[bytes, str] | None:
    """The bytes of a line without ``chain``, and its chain; None where it is no line of the history."""
    match = _LINK.fullmatch(line, max(0, len(line) - _LINK_SIZE))
    return None if match is None else (line[:-_LINK_SIZE] + b"}", match[1].decode("ascii"))


def fields_of(body: bytes) -> dict[str, Any] | None:
    """The fields of a line, with a time and a kind at least; None where they cannot be read."""
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    whole = isinstance(fields, dict) and isinstance(fields.get("t"), str) and isinstance(fields.get("kind"), str)
    return fields if whole else None


def day_files(directory: Path) -> list[tuple[Path, date]]:
    """The day files with their days, in order. A missing directory has none. Raises OSError.

    Of a day that is there both ways, as its compressing was cut off, the one that was written first.
    """
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return []
    days: dict[date, Path] = {}
    for name in names:
        day = _day_of(name)
        if day is not None:
            days.setdefault(day, directory / name)
    return [(path, day) for day, path in sorted(days.items())]


def _day_of(name: str) -> date | None:
    try:
        day = date.fromisoformat(name[:10])
    except ValueError:
        return None
    return day if name in (f"{day}{PLAIN}", f"{day}{PACKED}") else None


def packed(path: Path) -> None:
    """Compress a finished day: aside, then in its place, then the plain file goes. Raises OSError."""
    target = path.with_suffix(PACKED)
    aside = path.with_suffix(PACKED + ".part")
    with path.open("rb") as plain, igzip.open(aside, "wb", compresslevel=2) as out:
        shutil.copyfileobj(plain, out, 1024 * 1024)
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.rename(target)
    sync_directory(path.parent)
    path.unlink()


def sync_directory(directory: Path) -> None:
    """What was made or renamed in a directory survives a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line that was read."""

    place: str
    "``file:line``"
    fields: dict[str, Any]


class JournalReader:
    """Reads a history once, from its oldest line, and verifies its chain on the way. Changes nothing.

    A line that cannot be read or does not follow from the one before it is a fault; the walk goes on behind it. The
    last line of all may lack its end: it is being written.
    """

    def __init__(self, directory: Path) -> None:
        self.lines = 0
        "That could be read."
        self.faults: list[str] = []
        "The first ones, in words, each with its place."
        self.fault_count = 0
        self.first: str | None = None
        "The place of the first line."
        self.from_beginning = False
        "Whether the first line is the first that was ever written; else the days before it are not kept."
        self.last_chain: str | None = None
        self._directory = directory

    def __iter__(self) -> Iterator[JournalLine]:
        try:
            paths = [path for path, _ in day_files(self._directory)]
        except OSError as error:
            self.fault(f"{self._directory}: {error.strerror}")
            return
        for path in paths:
            try:
                yield from self._file(path, last=path is paths[-1])
            except FileNotFoundError:
                # A running bridge has removed it: it was older than ``keep``.
                continue
            except OSError as error:
                self.fault(f"{path}: {error.strerror}")

    def fault(self, text: str) -> None:
        """Something is wrong with the history."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)

    def _file(self, path: Path, *, last: bool) -> Iterator[JournalLine]:
        with igzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                place = f"{path}:{number}"
                if raw[-1:] != b"\n":
                    if not last:
                        self.fault(f"{place}: the line is cut off")
                    continue
                parts = taken_apart(raw[:-1])
                fields = None if parts is None else fields_of(parts[0])
                if parts is None or fields is None:
                    self.fault(f"{place}: this is no line of the history")
                    continue
                body, link = parts
                if self.last_chain is None:
                    self.first = place
                    self.from_beginning = linked(BEGINNING, body) == link
                elif linked(self.last_chain, body) != link:
                    self.fault(f"{place}: the line does not follow from the one before it")
                self.last_chain = link
                self.lines += 1
                yield JournalLine(place, fields)
