"""Encodes, reads and verifies journal lines, and the hash chain that links them.

Format
    ``SPOOL/.ledger/YYYY-MM-DD.jsonl``, one file per UTC day, compressed to ``.jsonl.gz`` once the day is over: a
    receipt takes about 400 bytes, and a third of that compressed. Each line is one JSON object, ASCII, ended by an LF.
    Each object begins with ``t`` (wall time, RFC 3339, UTC, milliseconds) and ``kind``, and ends with ``chain``: the
    SHA-256, in hex, of the chain of the previous line (as 64 hex digits) and of the line's own bytes without
    ``,"chain":"..."`` and without its LF. The chain continues across the files in the order of their names, by day and
    part; the very first line follows 64 zeros. ``lost``, if present, is the number of lines before this one that could
    not be written.

Clock set back
    By up to two days: lines still go to the newest file, so that the order of names is the order of writing.
    By more: the files dated ahead of the clock become parts of the current day, ``YYYY-MM-DD.2.jsonl``, in their old
    order, and further lines go to its next part. The lines keep the times at which they were written.

=========  ===============================================================================================
start      a process started. ``recovered`` {intake: events found in the spool}; ``damaged`` {intake:
           events lost in files that are shorter than their name says}; ``quarantined``: frames found in
           quarantine; ``unclean``: the previous process did not write ``stop``; ``possible_duplicates``
           {intake: events} that no earlier start counted; ``sending`` {intake: [[sequence, events], ...]}:
           all batches that a request of an earlier process carried, the newest 20,000 (the earliest
           versions did not list batches in packs); ``sending_more``:
           number of further batches that may be among them; ``torn``: incomplete lines that were cut off
           (below); ``version``, ``config_sha256``
minute     ``intake`` and the columns of ``bridge.accounting.Account`` (*transferred*, *taken_over*,
           *handed_over*, *borrowed*, *delivered_bytes* only if they are not 0); *spooled*, *buffered*, *quarantined*,
           *borrowed* are current amounts, all others count since ``start``. Intake ``-``: events without
           an intake. Intakes with unchanged columns and no current events are left out
minute     with ``intake: null`` ends each minute's group: ``kernel_drops`` {listener: datagrams since
           start}; ``whole``: no intake was left out (the first group of a day). A group also follows each
           operator's command that moved events. Once an hour, and in ``stop``: ``sources`` [[listener, address,
           name or null, events, estimated bytes], ...] in the last ``sources_seconds``, the busiest 500;
           ``sources_other`` [events, bytes]: all others
receipt    an accepted request: ``intake``; ``batches`` [[sequence, its events settled by this request,
           all its events], ...]; ``count`` accepted; ``sha256`` of the body before compression;
           ``status``; ``first``, ``last`` event id or null; ``confirmed``: the response named the events
refused    events that the collector refused went to quarantine: ``intake``, ``sequence``, ``count``,
           ``reason`` (at most 300 characters), ``batch_events``
handed     events of a batch went to the shared backlog queue of a cluster: ``intake``, ``sequence``,
           ``count``, ``batch_events``. Receipts and refusals of events from this queue have
           ``taken: true``: their sequences are those of other nodes
command    an operator's command moved events: ``command``; ``transaction``, a number that may occur twice
           after a kill, but counts once; ``changes`` [[kind, from intake, to intake, events], ...], as in
           ``bridge.spool.transaction.Change``
command    with ``action``: an operator's command begins or has ended; ``changes`` is empty. ``action``: ``id``;
           ``state`` (started, done, interrupted, refused, failed); ``arguments`` without secrets; ``result``;
           ``via`` (socket, files, signal), ``uid``, ``user``, ``pid``, ``login_uid``, ``login``: of the process
           that ran the command; ``said`` {uid, user, sudo_user}: what that process says, not verified
stop       the last line of a clean stop: ``accounts`` {intake: columns}, ``kernel_drops``
=========  ===============================================================================================

To check a line with a shell, set ``$previous`` to the 64 digits of ``chain`` of the line before it::

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
from typing import Any, NamedTuple

from isal import igzip, isal_zlib

from bridge.util.files import clear_place, fsync_path, is_foreign, open_regular

PLAIN, PACKED = ".jsonl", ".jsonl.gz"
"File name suffixes of the current day and of finished days."

BEGINNING = "0" * 64
"Chain value before the first line of a journal."

_TAIL = 1024 * 1024
"Bytes at the end of the journal whose chain is verified at start."

MOST_FAULTS = 20
"Most faults whose text is kept; further faults are only counted."

_DAMAGED: tuple[type[Exception], ...] = (OSError, EOFError, isal_zlib.error)  # type: ignore[assignment]
"Errors of reading a compressed file that is truncated or damaged."

_LINK = re.compile(rb',"chain":"([0-9a-f]{64})"}')
_LINK_SIZE = 76

_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.([2-9]|[1-9][0-9]{1,8}))?\.jsonl(?:\.gz)?")

# Created once: json.dumps would create an encoder for each line.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def chain_hash(chain: str, body: bytes) -> str:
    """Returns the chain value of a line, from the chain of the previous line and the line's bytes without ``chain``."""
    return sha256(chain.encode("ascii") + body).hexdigest()


def encode_line(fields: dict[str, object], chain: str) -> tuple[bytes, str]:
    """Encodes a line. Returns its bytes with LF, and its chain value."""
    body = _encode(fields).encode("ascii")
    link = chain_hash(chain, body)
    return b'%b,"chain":"%b"}\n' % (body[:-1], link.encode("ascii")), link


def decode_line(line: bytes) -> tuple[dict[str, Any], bytes, str] | None:
    """Returns the fields of a line, its bytes without ``chain``, and its chain value.

    Returns None if it is not a journal line, or lacks a time or a kind.
    """
    match = _LINK.fullmatch(line, max(0, len(line) - _LINK_SIZE))
    if match is None:
        return None
    body = line[:-_LINK_SIZE] + b"}"
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    whole = isinstance(fields, dict) and isinstance(fields.get("t"), str) and isinstance(fields.get("kind"), str)
    return (fields, body, match[1].decode("ascii")) if whole else None


class DayFile(NamedTuple):
    """A file of the journal. A day has several parts if the clock was set back to it."""

    day: date
    part: int
    path: Path


def day_files(directory: Path) -> list[DayFile]:
    """Returns the day files in order. A missing directory has none. Raises OSError.

    Leaves out folders, FIFOs and other files that are not regular. If compression was interrupted, a file exists both
    plain and compressed; the plain one is returned.
    """
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    found: dict[tuple[date, int], Path] = {}
    for path in paths:
        if (name := _read_name(path.name)) is not None and not is_foreign(path):
            found.setdefault(name, path)
    return [DayFile(day, part, path) for (day, part), path in sorted(found.items())]


def foreign_days(directory: Path) -> list[Path]:
    """Returns what has the name of a day file and is not a regular file. Raises OSError."""
    return [path for path in sorted(directory.glob("*")) if _read_name(path.name) is not None and is_foreign(path)]


def clear_day(path: Path) -> str | None:
    """Frees the place of a day file. Returns a line if a file that is not regular was renamed. Raises OSError."""
    renamed = clear_place(path, folder=False)
    return None if renamed is None else f"{path}: not a regular file, renamed to {renamed.name}"


def file_name(day: date, part: int, suffix: str = PLAIN) -> str:
    """Returns the name of a part of a day; the first part has no number."""
    return f"{day}{suffix}" if part == 1 else f"{day}.{part}{suffix}"


def _read_name(name: str) -> tuple[date, int] | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1]), int(match[2] or 1)
    except ValueError:
        return None


def compress(path: Path) -> None:
    """Compresses a finished day to a temporary file, renames it, then deletes the plain file. Raises OSError."""
    target = path.with_suffix(PACKED)
    temporary = path.with_suffix(PACKED + ".part")
    with open_regular(path) as plain, igzip.open(temporary, "wb", compresslevel=2) as out:
        shutil.copyfileobj(plain, out, 1024 * 1024)
    fsync_path(temporary)
    temporary.rename(target)
    fsync_path(path.parent)
    path.unlink()


def delete_compressed(path: Path) -> None:
    """Deletes what an interrupted compression of a plain file left. Raises OSError."""
    for suffix in (PACKED, PACKED + ".part"):
        path.with_suffix(suffix).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """The end of a day file. ``chain`` and ``kind`` are those of its last readable line, if any."""

    size: int
    "Bytes up to the end of the last complete line."
    torn: bool
    "True if an incomplete line follows."
    chain: str | None
    kind: str | None
    wrong: int
    "Complete lines that cannot be read or whose chain does not match."
    damage: str | None = None
    "Why the rest of a compressed file cannot be read."


def read_end(path: Path) -> JournalEnd:
    """Reads the end of a day file, and verifies the chain of its last lines. Raises OSError."""
    at, tail, damage = _tail(path)
    whole = tail.rfind(b"\n") + 1
    chain = kind = None
    wrong = 0
    for line in tail[:whole].split(b"\n")[:-1]:
        if (decoded := decode_line(line)) is None:
            wrong += 1
            continue
        fields, body, link = decoded
        wrong += chain is not None and chain_hash(chain, body) != link
        chain, kind = link, fields["kind"]
    return JournalEnd(at + whole, whole != len(tail) and path.suffix == PLAIN, chain, kind, wrong, damage)


def _tail(path: Path) -> tuple[int, bytes, str | None]:
    """Reads the end of a file, from the start of a line. Returns its offset, its bytes, and the damage of its end.

    The bytes contain at least one complete line if the file has one. Raises OSError.
    """
    if path.suffix != PLAIN:
        data, damage = bytearray(), None
        with open_regular(path) as file, igzip.open(file, "rb") as packed:
            try:
                while chunk := packed.read(1 << 20):
                    data += chunk
            except _DAMAGED as error:
                damage = _damage_text(error)
        return 0, bytes(data), damage
    with open_regular(path) as file:
        size, wanted = file.seek(0, os.SEEK_END), _TAIL
        while True:
            at = max(0, size - wanted)
            file.seek(at)
            data = bytearray(file.read())
            start_of_line = 0 if not at else data.find(b"\n") + 1
            if not at or (start_of_line and b"\n" in data[start_of_line:]):
                return at + start_of_line, bytes(data[start_of_line:]), None
            wanted *= 2


def _damage_text(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or str(error)
    return "the compressed file is truncated" if isinstance(error, EOFError) else f"the file is damaged: {error}"


class JournalReader:
    """Reads a journal once, from its oldest line, and verifies its chain. Changes nothing.

    Yields the position of each line, as ``file:line``, and its fields.
    A line that cannot be read, or whose chain does not match the previous line, is a fault; reading continues after it.
    The very last line may be incomplete, because it may be being written.
    """

    def __init__(self, directory: Path) -> None:
        self.lines = 0
        "Number of readable lines."
        self.faults: list[str] = []
        "Texts of the first faults, each with its position."
        self.fault_count = 0
        self.first: str | None = None
        "Position of the first line."
        self.from_beginning = False
        "True if the first line is the first one ever written; else earlier days were deleted."
        self.last_chain: str | None = None
        self._directory = directory

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            paths = [file.path for file in day_files(self._directory)]
        except OSError as error:
            self.fault(f"{self._directory}: {error.strerror}")
            return
        for path in foreign_days(self._directory):
            self.fault(f"{path}: not a regular file; the lines of this day may be missing")
        for path in paths:
            try:
                yield from self._file(path, last=path is paths[-1])
            except FileNotFoundError:
                # A running bridge has deleted this file, because it was older than ``keep``.
                continue
            except _DAMAGED as error:
                self.fault(f"{path}: {_damage_text(error)}; the rest of its lines is missing")

    def fault(self, text: str) -> None:
        """Records a fault of the journal."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)

    def _file(self, path: Path, *, last: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        with open_regular(path) as opened, igzip.open(opened, "rb") if path.suffix == ".gz" else opened as file:
            for number, raw in enumerate(file, 1):
                place = f"{path}:{number}"
                if raw[-1:] != b"\n":
                    if not last:
                        self.fault(f"{place}: the line is incomplete")
                    continue
                if (decoded := decode_line(raw[:-1])) is None:
                    self.fault(f"{place}: this is not a journal line")
                    continue
                fields, body, link = decoded
                if self.last_chain is None:
                    self.first = place
                    self.from_beginning = chain_hash(BEGINNING, body) == link
                elif chain_hash(self.last_chain, body) != link:
                    self.fault(f"{place}: the chain does not match the previous line")
                self.last_chain = link
                self.lines += 1
                yield place, fields
