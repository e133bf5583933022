"""Writes the journal: the ledger's history on disk, with totals per minute and a receipt per accepted request.

Blocking calls; runs on the spool thread (``open`` and ``start`` run before the thread has other work).

``bridge.accounting.journal_lines`` specifies the format.

Invariants
    A receipt is written before the files of its batches are removed, a refusal before the file of its batch, and the
    account of an operator's command before its transaction is closed. The lines of one minute are one write. Only the
    end of the journal ever changes: ``open`` cuts off and counts an incomplete last line that a killed process left.

Faults
    A journal fault never stops delivery. Lines that cannot be written are counted and reported once, and the next line
    records their number. A line at the end whose chain does not match is reported as a note; the journal continues
    after it, and ``syslog-bridge report`` reports it.

fsync: the file each minute, after each command, at ``start`` and at ``stop``; the directory for each new file. A power
cut may lose one minute of lines.

``open`` and each new day delete the oldest files. ``keep`` counts the days that have a file, not the time since then.
So a clock that jumps years ahead does not delete the journal.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bridge.accounting import Account, journal_lines
from bridge.accounting.ledger import COLUMNS
from bridge.accounting.receipt import Receipt
from bridge.spool.recovery import RecoveredSpool
from bridge.spool.transaction import Change
from bridge.syslog.timestamps import rfc3339
from bridge.util.clock import MOST_AHEAD
from bridge.util.files import fsync_path, write_whole

MOST_SENDING = 20_000
MOST_REASON = 300
_MOST_ID = 200

Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Opened:
    """The state in which ``open`` found the journal."""

    unclean: bool = False
    "The last process did not write ``stop``."
    torn: int = 0
    "Incomplete lines that were cut off."
    notes: Sequence[str] = ()


class Journal:
    """Writes the journal of one spool. ``wall`` is in seconds since the epoch. No method raises OSError."""

    def __init__(
        self, directory: Path, *, keep: timedelta | None, wall: Callable[[], float], on_error: Callable[[str], object]
    ) -> None:
        """``on_error`` is called on the writing thread, once for each series of consecutive failures."""
        self.lost = 0
        "Lines that could not be written since the last successful write."
        self._directory = directory
        self._keep = keep
        self._wall = wall
        self._on_error = on_error
        self._opened = Opened()
        self._chain = journal_lines.BEGINNING
        self._day, self._part = date.min, 1
        "The newest file."
        self._descriptor: int | None = None
        self._size: int | None = None
        "Bytes of the complete lines in the newest file. None: not determined yet."
        self._last_written: dict[str, Figures] = {}
        self._whole_on: date | None = None
        self._stopped = False

    def change(self, keep: timedelta | None) -> None:
        """Keeps days for another time, from the next new day on. None: all days."""
        self._keep = keep

    # --- start and stop ----------------------------------------------------------------------------------------------

    def open(self) -> Opened:
        """Finds the end of the journal, cuts off an incomplete last line, and deletes files older than ``keep``."""
        unclean, torn, notes = False, 0, list[str]()
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            files = journal_lines.day_files(self._directory)
            self._day, self._part = files[-1][:2] if files else (date.min, 1)
            for _, _, path in reversed(files):
                try:
                    end = journal_lines.read_end(path)
                except OSError as error:
                    # The chain continues after the newest file that can be read.
                    notes.append(f"{path}: {error.strerror}; its lines are missing from reports until it can be read")
                    continue
                if end.damage is not None:
                    notes.append(f"{path}: {end.damage}; the rest of its lines is missing from reports")
                if end.torn:
                    os.truncate(path, end.size)
                    torn += 1
                    notes.append(f"{path}: the last line was incomplete and was cut off")
                if end.wrong:
                    notes.append(f'{path}: lines with errors: {end.wrong}. Run "syslog-bridge report" for details')
                if end.chain is not None:
                    self._chain, unclean = end.chain, end.kind != "stop"
                    break
            self._close_ahead()
            self._expire_and_compress()
        except OSError as error:
            notes.append(f"{error.filename or self._directory}: {error.strerror}; the journal may not be written")
        self._opened = Opened(unclean, torn, notes)
        return self._opened

    def start(
        self, found: RecoveredSpool, *, quarantined: int, version: str, config_sha256: str, offline: bool = False
    ) -> None:
        """Writes the ``start`` line of a process. ``offline``: it runs one command, and no bridge is running."""
        self._stopped = False
        recovered: dict[str, int] = {}
        sending: dict[str, list[list[int]]] = {}
        for held in found.stored:
            recovered[held.intake] = recovered.get(held.intake, 0) + held.count
        carried, unreadable = found.unconfirmed()
        for sequence, events, intake in carried[-MOST_SENDING:]:
            sending.setdefault(intake, []).append([sequence, events])
        row: Figures = {
            "kind": "start", "recovered": recovered, "damaged": dict(found.damaged), "quarantined": quarantined,
            "unclean": self._opened.unclean, "possible_duplicates": dict(found.sending), "sending": sending,
            "sending_more": max(0, len(carried) - MOST_SENDING) + unreadable, "torn": self._opened.torn,
            "version": version, "config_sha256": config_sha256,
        } | ({"offline": True} if offline else {})  # fmt: skip
        self._append([row])
        self._sync()

    def stop(
        self, accounts: Mapping[str, Account], kernel_drops: Mapping[str, int], sources: Figures | None = None
    ) -> None:
        """Writes the ``stop`` line of a clean stop. No request may be in flight."""
        figures = {name: _figures(account) for name, account in accounts.items()}
        self._append([{"kind": "stop", "accounts": figures, "kernel_drops": dict(kernel_drops)} | (sources or {})])
        self._sync()
        self._stopped = True

    def close(self) -> None:
        """Closes the file. A later line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    # --- lines -------------------------------------------------------------------------------------------------------

    def minute(
        self, accounts: Mapping[str, Account], kernel_drops: Mapping[str, int], sources: Figures | None = None
    ) -> None:
        """Writes a group of ``minute`` lines with the current accounts. ``sources``: events by source, once an hour."""
        day = self._today()
        whole = day != self._whole_on
        written: dict[str, Figures] = {}
        for name, account in accounts.items():
            figures = _figures(account)
            holds = account.spooled or account.buffered or account.quarantined
            if whole or holds or figures != self._last_written.get(name):
                written[name] = figures
        rows: list[Figures] = [{"kind": "minute", "intake": name} | figures for name, figures in written.items()]
        end: Figures = {"kind": "minute", "intake": None, "kernel_drops": dict(kernel_drops), "whole": whole}
        rows.append(end | (sources or {}))
        if self._append(rows):
            self._last_written.update(written)
            self._whole_on = day
        self._sync()

    def receipt(self, receipt: Receipt) -> None:
        """Writes the receipt of an accepted request, before the files of its batches are removed."""
        first, last = _bounded(receipt.first_id), _bounded(receipt.last_id)
        row: Figures = {
            "kind": "receipt", "intake": receipt.intake, "batches": receipt.batches, "count": receipt.count,
            "sha256": receipt.sha256, "status": receipt.status, "first": first, "last": last,
            "confirmed": receipt.confirmed,
        }  # fmt: skip
        self._append([row | ({"taken": True} if receipt.taken else {})])

    def handed(self, intake: str, sequence: int, count: int, batch_events: int) -> None:
        """Records events that went to the shared backlog queue, before the file of their batch is removed."""
        row: Figures = {"kind": "handed", "intake": intake, "sequence": sequence, "count": count}
        self._append([row | {"batch_events": batch_events}])

    def refused(
        self, intake: str, sequence: int, count: int, reason: str, batch_events: int, *, taken: bool = False
    ) -> None:
        """Records refused events that went to quarantine, before the file of their batch is removed.

        ``reason`` is the text of the collector's response.
        """
        row: Figures = {
            "kind": "refused", "intake": intake, "sequence": sequence, "count": count,
            "reason": reason if len(reason) <= MOST_REASON else reason[: MOST_REASON - 1] + "…",
            "batch_events": batch_events,
        }  # fmt: skip
        self._append([row | ({"taken": True} if taken else {})])

    def command(self, transaction: int, command: str, changes: Sequence[Change]) -> bool:
        """Records the events that an operator's command has moved. Returns True if the line was written."""
        row: Figures = {"kind": "command", "command": command, "transaction": transaction, "changes": changes}
        written = self._append([row])
        self._sync()
        return written

    def action(self, command: str, fields: Figures) -> None:
        """Records that an operator runs a command, or has run it. Does nothing after ``stop``."""
        if self._stopped:
            return
        # Earlier versions read this line as a command that moved no events.
        row: Figures = {"kind": "command", "command": command, "transaction": -int(str(fields["id"])), "changes": []}
        self._append([row | {"action": fields}])
        self._sync()

    # --- writing -----------------------------------------------------------------------------------------------------

    def _append(self, rows: list[Figures]) -> bool:
        """Writes all lines or none. Returns True if they were written."""
        head: Figures = {"t": rfc3339(int(self._wall() * 1000))}
        first: Figures = {"lost": self.lost} if self.lost else {}
        data, chain = [], self._chain
        for row in rows:
            line, chain = journal_lines.encode_line(head | row | first, chain)
            data.append(line)
            first = {}
        try:
            descriptor = self._file()
            assert self._size is not None
            block = b"".join(data)
            write_whole(descriptor, block, self._size)
        except OSError as error:
            # The next write cuts off the rest of a short write first.
            self.close()
            if not self.lost:
                self._on_error(f"journal {self._directory}: {error.strerror}; journal lines are lost, events are not")
            self.lost += len(rows)
            return False
        self._size += len(block)
        self._chain = chain
        self.lost = 0
        return True

    def _file(self) -> int:
        """Returns the descriptor of the current day's file, and opens it if necessary. Raises OSError."""
        day = self._today()
        if day != self._day:
            self._size = None
            if self._descriptor is not None:
                self._sync()
                self.close()
            self._close_ahead()
            if day > self._day:
                self._day, self._part = day, 1
            self._expire_and_compress()
        if self._descriptor is None:
            path = self._directory / journal_lines.file_name(self._day, self._part)
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            if (note := journal_lines.clear_day(path)) is not None:
                self._on_error(f"journal: {note}")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                size = os.fstat(descriptor).st_size
                if self._size is not None and size > self._size:
                    os.ftruncate(descriptor, self._size)
                self._size = size if self._size is None else min(size, self._size)
                if not size:
                    fsync_path(self._directory)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor

    def _today(self) -> date:
        """Returns the day whose file the next line belongs to."""
        today = datetime.fromtimestamp(self._wall(), UTC).date()
        return today if today > self._day or self._day - today > timedelta(seconds=MOST_AHEAD) else self._day

    def _close_ahead(self) -> None:
        """Turns files dated ahead of the clock into parts of the current day, followed by a new part. Raises OSError.

        If the process dies in between, the files that are left are still the last ones, and the next start continues.
        """
        today = self._today()
        files = journal_lines.day_files(self._directory) if today < self._day else []
        ahead = [file for file in files if file.day - today > timedelta(seconds=MOST_AHEAD)]
        if not ahead:
            return
        others = files[: -len(ahead)]
        day, part = max((today, 0), others[-1][:2] if others else (today, 0))
        for number, (_, _, path) in enumerate(ahead, part + 1):
            suffix = journal_lines.PLAIN if path.suffix == journal_lines.PLAIN else journal_lines.PACKED
            path.rename(self._directory / journal_lines.file_name(day, number, suffix))
            if suffix == journal_lines.PLAIN:
                journal_lines.delete_compressed(path)
        fsync_path(self._directory)
        self._day, self._part = day, part + len(ahead) + 1

    def _sync(self) -> None:
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._on_error(f"journal {self._directory}: {error.strerror}; the last minute may not be on disk")

    def _expire_and_compress(self) -> None:
        """Deletes files with more than ``keep`` newer days, and compresses the others except the current one."""
        try:
            files = journal_lines.day_files(self._directory)
        except OSError:
            # A write fails in the same way and reports the error.
            return
        newer = len({file.day for file in files})
        for position, (day, part, path) in enumerate(files):
            newer -= position == 0 or day != files[position - 1].day
            try:
                if self._keep is not None and timedelta(days=newer) > self._keep:
                    path.unlink(missing_ok=True)
                elif path.suffix == journal_lines.PLAIN and (day, part) < (self._day, self._part):
                    journal_lines.compress(path)
            except OSError as error:
                self._on_error(f"journal {path}: {error.strerror}; cannot compress or delete this day")


def _figures(account: Account) -> Figures:
    figures: Figures = {name: getattr(account, name) for name in COLUMNS}
    if account.borrowed:
        figures["borrowed"] = account.borrowed
    for name in ("taken_over", "handed_over"):
        if not figures[name]:
            del figures[name]
    figures["dropped"] = {reason: count for reason, count in account.dropped.items() if count}
    if account.delivered_bytes:
        figures["delivered_bytes"] = account.delivered_bytes
    if account.transferred:
        figures["transferred"] = account.transferred
    figures["possible_duplicates"] = account.possible_duplicates
    return figures


def _bounded(text: str | None) -> str | None:
    return None if text is None else text[:_MOST_ID]
