"""The ledger's history: what came in, where it went, minute by minute, and a receipt for each accepted request.

Blocking calls, in the spool's one thread (``open`` and ``start``: before it has work).

Format
    ``SPOOL/.ledger/YYYY-MM-DD.jsonl``, a file a UTC day, ``.jsonl.gz`` once the day is over: a receipt takes some 400
    bytes, compressed a third of that. One JSON object a line, ASCII, ended by an LF. Each begins
    with ``t`` (wall time, RFC 3339, UTC, milliseconds) and ``kind`` and ends with ``chain``: the SHA-256, in hex, of
    the chain of the line before it (as 64 hex digits) and of the line's own bytes without ``,"chain":"..."`` and
    without its LF. It goes on over the files in the order of their names; the first line ever follows 64 zeros. So
    that this order is also the order of writing, a clock that is set back goes on with the newest file there is.
    ``lost``, if there: so many lines before this one could not be written.

=========  ===============================================================================================
start      a process has begun. ``recovered``, ``damaged`` {intake: events found in the spool, and lost in
           files that are shorter than their name says}; ``quarantined``: frames found there; ``unclean``:
           the process before did not write ``stop``; ``possible_duplicates`` {intake: events}; ``sending``
           {intake: [[sequence, events], ...]}: the batches that these are in, the newest 20,000 (the first
           histories name none that are in packs); ``sending_more``: how many batches more there may be;
           ``torn``: lines that were cut off (below); ``version``, ``config_sha256``
minute     ``intake`` and the columns of ``bridge.accounting.Account`` (*transferred*, *taken_over*, *handed_over*,
           *borrowed* only where they are not 0); *spooled*, *buffered*, *quarantined*, *borrowed* are held now,
           all others count since ``start``. Intake ``-``: of what belongs to none. Intakes whose columns are as
           before and that hold nothing are left out
minute     with ``intake: null`` ends each minute's group: ``kernel_drops`` {listener: datagrams since
           start}; ``whole``: no intake was left out (the first group of a day). A group also stands behind
           each operator's command that moved events
receipt    an accepted request: ``intake``; ``batches`` [[sequence, its events settled by this request, its
           events in all], ...]; ``count`` accepted; ``sha256`` of the body before compression; ``status``;
           ``first``, ``last`` event id or null; ``confirmed``: the answer named the events
refused    events that the collector refused went to quarantine: ``intake``, ``sequence``, ``count``,
           ``reason`` (at most 300 characters), ``batch_events``
handed     events of a batch went to a queue that gateways share: ``intake``, ``sequence``, ``count``,
           ``batch_events``. Receipts and refusals of what came from one have ``taken: true``: their sequences
           are of other nodes
stop       the last line of a clean stop: ``accounts`` {intake: columns}, ``kernel_drops``
=========  ===============================================================================================

Invariants
    A receipt is written before its batches' files go, a refusal before its batch's. The lines of one minute are one
    write. Nothing is ever changed but the end: what a killed process left of a last line is cut at ``open``, and
    counted.

Faults
    Nothing here stops delivery: lines that cannot be written are counted, said once, and the next line says how many.
    A last line that does not follow is a note; the history goes on behind it, and ``syslog-bridge report`` names it.

fsync: each minute, ``start`` and ``stop``; and the directory for each new file. A power cut may cost a minute of lines.

Files are removed once their day is longer ago than ``keep``, at ``open`` and at each new day; counted from the newest
file that was there before, so that a clock that wakes up years ahead does not cost the history.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from isal import igzip

from bridge.accounting import UNROUTED, Account, journal_lines
from bridge.accounting.ledger import COLUMNS
from bridge.spool import unconfirmed
from bridge.spool.batch import Batch
from bridge.spool.pack import Pack
from bridge.spool.quarantine import write_whole
from bridge.spool.recovery import RecoveredSpool
from bridge.syslog.timestamps import rfc3339

MOST_SENDING = 20_000
MOST_REASON = 300
_MOST_ID = 200
_TAIL = 1024 * 1024
"Bytes at the end whose chain is verified at start."

Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the collector has taken with one request."""

    intake: str
    batches: Sequence[tuple[int, int, int]]
    "Sequence, its events that this request settled (not those refused), its events in all."
    count: int
    "Accepted; less than the batches' events where the collector took only a part without saying which."
    sha256: str
    "Hex, of the body before compression."
    status: int
    first_id: str | None
    last_id: str | None
    confirmed: bool
    "Whether the answer named the events."
    taken: bool = False
    "Its batches came from a queue that gateways share: their sequences are other nodes'."


@dataclass(slots=True)
class Opened:
    """What a history was found like."""

    unclean: bool = False
    "The last process did not write ``stop``."
    torn: int = 0
    "Lines that were cut off because they were not whole."
    notes: list[str] = field(default_factory=list)


class Journal:
    """One spool's history. ``wall`` is in seconds since the epoch. Nothing raises OSError."""

    def __init__(self, directory: Path, *, keep: timedelta | None, wall: Callable[[], float]) -> None:
        self.on_error: Callable[[str], None] = lambda text: None
        "Called in the writing thread, once for each row of failures."
        self.lost = 0
        "Lines that could not be written, since the last that could."
        self._directory = directory
        self.keep = keep
        self._wall = wall
        self._opened = Opened()
        self._chain = journal_lines.BEGINNING
        self._day = date.min
        "Of the newest file."
        self._descriptor: int | None = None
        self._size: int | None = None
        "Of the newest file's whole lines, in bytes; None where it has not been looked at."
        self._told: dict[str, Figures] = {}
        self._whole_on: date | None = None

    # --- the beginning and the end -----------------------------------------------------------------------------------

    def open(self) -> Opened:
        """Find the end of what is there, cut a torn last line, remove what is too old."""
        found = self._opened = Opened()
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            days = journal_lines.day_files(self._directory)
            self._day = days[-1][1] if days else date.min
            for path, _ in reversed(days):
                if self._go_on_from(path, found):
                    break
            self._tidy()
        except OSError as error:
            found.notes.append(f"{error.filename or self._directory}: {error.strerror}; there may be no ledger history")
        return found

    def start(self, found: RecoveredSpool, *, quarantined: int, version: str, config_sha256: str) -> None:
        """A process begins with what recovery has found; ``quarantined`` frames are held from before."""
        recovered: dict[str, int] = {}
        sending: dict[str, list[list[int]]] = {}
        everything: list[Batch | Pack] = [*found.batches, *found.packs]
        for held in everything:
            recovered[held.intake] = recovered.get(held.intake, 0) + held.count
        carried, unreadable = unconfirmed.carried(found)
        for batch in carried[-MOST_SENDING:]:
            sending.setdefault(batch.intake, []).append([batch.sequence, batch.events])
        row: Figures = {
            "kind": "start", "recovered": recovered, "damaged": dict(found.damaged), "quarantined": quarantined,
            "unclean": self._opened.unclean, "possible_duplicates": dict(found.sending), "sending": sending,
            "sending_more": max(0, len(carried) - MOST_SENDING) + unreadable, "torn": self._opened.torn,
            "version": version, "config_sha256": config_sha256,
        }  # fmt: skip
        self._append([row])
        self._sync()

    def stop(self, accounts: Mapping[str, Account], kernel_drops: Mapping[str, int]) -> None:
        """A process ends as it should, with nothing under way."""
        figures = {name: _figures(account) for name, account in accounts.items()}
        self._append([{"kind": "stop", "accounts": figures, "kernel_drops": dict(kernel_drops)}])
        self._sync()

    def close(self) -> None:
        """Give the file up. A later line would open it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    # --- what happens ------------------------------------------------------------------------------------------------

    def minute(self, accounts: Mapping[str, Account], kernel_drops: Mapping[str, int]) -> None:
        """The accounts as they are now."""
        day = self._today()
        whole = day != self._whole_on
        told: dict[str, Figures] = {}
        for name, account in accounts.items():
            figures = _figures(account)
            holds = account.spooled or account.buffered or account.quarantined
            if whole or holds or figures != self._told.get(name):
                told[name] = figures
        rows: list[Figures] = [{"kind": "minute", "intake": name} | figures for name, figures in told.items()]
        rows.append({"kind": "minute", "intake": None, "kernel_drops": dict(kernel_drops), "whole": whole})
        if self._append(rows):
            self._told.update(told)
            self._whole_on = day
        self._sync()

    def receipt(self, receipt: Receipt) -> None:
        """A request was accepted; its files are still there."""
        row: Figures = {
            "kind": "receipt", "intake": receipt.intake, "batches": receipt.batches, "count": receipt.count,
            "sha256": receipt.sha256, "status": receipt.status, "first": _bounded(receipt.first_id),
            "last": _bounded(receipt.last_id), "confirmed": receipt.confirmed,
        }  # fmt: skip
        self._append([row | ({"taken": True} if receipt.taken else {})])

    def handed(self, intake: str, sequence: int, count: int, batch_events: int) -> None:
        """Events of a batch are in a shared queue; the batch's file is still there."""
        row: Figures = {"kind": "handed", "intake": intake, "sequence": sequence, "count": count}
        self._append([row | {"batch_events": batch_events}])

    def refused(
        self, intake: str, sequence: int, count: int, reason: str, batch_events: int, *, taken: bool = False
    ) -> None:
        """Events of a batch are in quarantine, in the collector's words; the batch's file is still there."""
        row: Figures = {
            "kind": "refused", "intake": intake, "sequence": sequence, "count": count,
            "reason": reason if len(reason) <= MOST_REASON else reason[: MOST_REASON - 1] + "…",
            "batch_events": batch_events,
        }  # fmt: skip
        self._append([row | ({"taken": True} if taken else {})])

    # --- writing -----------------------------------------------------------------------------------------------------

    def _append(self, rows: list[Figures]) -> bool:
        """Write lines, all or none; whether they were."""
        head: Figures = {"t": rfc3339(int(self._wall() * 1000))}
        first: Figures = {"lost": self.lost} if self.lost else {}
        data, chain = [], self._chain
        for row in rows:
            line, chain = journal_lines.line_of(head | row | first, chain)
            data.append(line)
            first = {}
        try:
            descriptor = self._file()
            assert self._size is not None
            together = b"".join(data)
            write_whole(descriptor, together, self._size)
        except OSError as error:
            # What a short write left is cut before the next one.
            self.close()
            if not self.lost:
                self.on_error(f"ledger history {self._directory}: {error.strerror}; its lines are lost, events are not")
            self.lost += len(rows)
            return False
        self._size += len(together)
        self._chain = chain
        self.lost = 0
        return True

    def _file(self) -> int:
        """The descriptor of the day's file. Raises OSError."""
        day = self._today()
        if day != self._day:
            self._day, self._size = day, None
            if self._descriptor is not None:
                self._sync()
                self.close()
            self._tidy()
        if self._descriptor is None:
            path = self._directory / f"{day}.jsonl"
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                size = os.fstat(descriptor).st_size
                if self._size is not None and size > self._size:
                    os.ftruncate(descriptor, self._size)
                self._size = size if self._size is None else min(size, self._size)
                if not size:
                    journal_lines.sync_directory(self._directory)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor

    def _today(self) -> date:
        return max(self._day, datetime.fromtimestamp(self._wall(), UTC).date())

    def _sync(self) -> None:
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.on_error(f"ledger history {self._directory}: {error.strerror}; its last minute may not be on the disk")

    def _tidy(self) -> None:
        """Remove the days that lie longer than ``keep`` before the newest one that is there; compress the others."""
        try:
            days = journal_lines.day_files(self._directory)
        except OSError:
            # Writing meets the same, and says so.
            return
        try:
            for path, day in days:
                if self.keep is not None and days[-1][1] - day > self.keep:
                    path.unlink(missing_ok=True)
                elif path.suffix == journal_lines.PLAIN and day < self._day:
                    journal_lines.packed(path)
        except OSError as error:
            self.on_error(f"ledger history {self._directory}: {error.strerror}; old days could not be tidied up")

    # --- reading back ------------------------------------------------------------------------------------------------

    def _go_on_from(self, path: Path, found: Opened) -> bool:
        """Take up the chain behind a file's last line; False where it has none. Raises OSError."""
        at, tail = _tail(path)
        whole = tail.rfind(b"\n") + 1
        if whole != len(tail) and path.suffix == journal_lines.PLAIN:
            os.truncate(path, at + whole)
            found.torn += 1
            found.notes.append(f"{path}: the last line was not whole, it is cut off")
        chain = kind = None
        wrong = 0
        for line in tail[:whole].split(b"\n")[:-1]:
            parts = journal_lines.taken_apart(line)
            fields = None if parts is None else journal_lines.fields_of(parts[0])
            if parts is None or fields is None:
                wrong += 1
                continue
            body, link = parts
            wrong += chain is not None and journal_lines.linked(chain, body) != link
            chain, kind = link, fields["kind"]
        if wrong:
            found.notes.append(f"{path}: {wrong} lines do not follow from those before them; ask syslog-bridge report")
        if chain is None:
            return False
        self._chain = chain
        found.unclean = kind != "stop"
        return True


def _figures(account: Account) -> Figures:
    figures: Figures = {name: getattr(account, name) for name in COLUMNS}
    if account.borrowed:
        figures["borrowed"] = account.borrowed
    for name in ("taken_over", "handed_over"):
        if not figures[name]:
            del figures[name]
    figures["dropped"] = {reason: count for reason, count in account.dropped.items() if count}
    if account.transferred:
        figures["transferred"] = account.transferred
    figures["possible_duplicates"] = account.possible_duplicates
    return figures


def _bounded(text: str | None) -> str | None:
    return None if text is None else text[:_MOST_ID]


def _tail(path: Path) -> tuple[int, bytes]:
    """The end of a file, from the beginning of a line, with a whole line in it if the file has one; and its offset."""
    if path.suffix != journal_lines.PLAIN:
        with igzip.open(path, "rb") as packed:
            return 0, packed.read()
    with path.open("rb") as file:
        size, wanted = file.seek(0, os.SEEK_END), _TAIL
        while True:
            at = max(0, size - wanted)
            file.seek(at)
            data = file.read()
            begin = 0 if not at else data.find(b"\n") + 1
            if not at or (begin and b"\n" in data[begin:]):
                return at + begin, data[begin:]
            wanted *= 2


__all__ = ["UNROUTED", "Journal", "Opened", "Receipt"]
