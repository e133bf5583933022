"""Writes groups of events to the spool, holds them for backpressure, or counts them as dropped.

Frames that cannot be delivered are written to quarantine. Each event or frame updates the ledger exactly once.
"""

from collections.abc import Callable, Iterable

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.ingest.backpressure import Backpressure, HeldQueue
from bridge.ingest.read import Read
from bridge.spool import Spool
from bridge.spool.batch import OpenBatch
from bridge.spool.budget import Full, Reserved
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.storage.disk_budget import DiskBudget
from bridge.util.os_errors import reason_of


class RequestFailed(Exception):
    """Raised when an event of a request that must be taken as a whole cannot be stored."""


class SpoolWriter:
    """Writes the events of one bridge. ``on_error`` receives the text of each failed write."""

    def __init__(self, *, spool: Spool, ledger: Ledger, room: DiskBudget, on_error: Callable[[str], None]) -> None:
        self.backpressure = Backpressure()
        self._spool = spool
        self._ledger = ledger
        self.room = room
        self._on_error = on_error
        self._resuming = False
        room.subscribe(self.resume)

    def parts(self, group: Group) -> Iterable[Group]:
        """Splits a group into parts that each fit one batch."""
        return self._spool.parts(group)

    def is_scattered(self, intake: str | None) -> bool:
        """Returns True if the times of an intake were scattered a short time ago."""
        return intake in self._spool.scattered

    def append(self, group: Group, read: Read) -> None:
        """Appends events to the spool. Without room they are held if their sender can wait, else dropped.

        Raises RequestFailed if an event of a request cannot be written.
        """
        for part in self._spool.parts(group):
            self._append_part(part, read)

    def _append_part(self, part: Group, read: Read) -> None:
        intake, taken, sender = part.intake, read.taken, read.sender
        waits = sender is not None and (sender.acknowledges or self.room.pauses)
        room = read.reserved or self._reserve(part, acknowledges=sender is not None and sender.acknowledges)
        if isinstance(room, Full):
            reason = room.reason
        else:
            try:
                taken.files.append(self._spool.append(part))
            except OSError as error:
                reason = self._failed(intake, error)
                if read.reserved is not None:
                    raise RequestFailed from error
                if reason == "spool_write_failed" and sender is not None and sender.acknowledges:
                    # The connection is closed, and the sender sends again.
                    waits = False
            else:
                self._ledger.receive_spooled(intake, part.count)
                taken.spooled += part.count
                return
        if sender is not None and waits:
            self._ledger.receive_buffered(intake, part.count)
            taken.held += part.count
            self.backpressure.hold(part, sender)
        else:
            taken.lost += part.count
            self._ledger.receive_dropped(intake, part.count, reason)

    def _reserve(self, part: Group, *, acknowledges: bool) -> Reserved | Full:
        if acknowledges and self.room.unsynced:
            # Storing what cannot be acknowledged would multiply it, as its sender repeats it.
            return Full("spool_write_failed")
        return self.room.reserve(part.intake, len(part.data))

    def _failed(self, intake: str, error: OSError) -> str:
        path = f"{error.filename}: " if error.filename else ""
        self._on_error(f"spool: cannot write for intake {intake}: {path}{reason_of(error)}")
        return self.room.failed(intake, error)

    def quarantine(self, reason: str, read: Read, frames: list[tuple[bytes, str]], intake: str | None = None) -> None:
        """Writes frames to quarantine under a reason code, each with a description of its fault.

        ``intake`` is given if the events belong to an intake. Raises RequestFailed if those of a request cannot be
        written.
        """
        peer, taken = read.peer, read.taken
        entries = [
            QuarantineEntry(read.now, peer.listener, peer.address, frame, detail, intake) for frame, detail in frames
        ]
        try:
            dropped = self._spool.quarantine.add(reason, entries, awaited=read.is_acknowledged)
        except OSError as error:
            self._on_error(f"quarantine: cannot write {reason} frames: {error.strerror}")
            if read.reserved is not None:
                raise RequestFailed from error
            taken.lost += len(entries)
            self._ledger.receive_dropped(None, len(entries), "quarantine_write_failed")
            return
        self._ledger.receive_quarantined(None, len(entries))
        if dropped:
            self._ledger.drop_quarantined(None, dropped, f"{reason}_full")
            self._on_error(f"quarantine: {reason} is full: its oldest frames were dropped ({dropped})")

    def resume(self) -> None:
        """Appends held events while there is room, and resumes their senders. Events whose write fails stay held."""
        if self._resuming:
            # Asking for room may free some for another intake, which calls this method again. The outer call serves
            # that intake as well.
            return
        self._resuming = True
        try:
            for queue in self.backpressure.queues():
                while part := self.backpressure.first(queue):
                    room = self._reserve(part, acknowledges=queue.acknowledged)
                    if isinstance(room, Full) or not self._append_held(queue, part):
                        break
        finally:
            self._resuming = False

    def finish(self) -> None:
        """Appends all held events at shutdown, without asking for room. Failed writes are counted as dropped."""
        for queue in self.backpressure.queues():
            while part := self.backpressure.first(queue):
                self._append_held(queue, part, drop=True)

    def _append_held(self, queue: HeldQueue, part: Group, *, drop: bool = False) -> bool:
        """Appends the first held group of a queue. If that fails, it stays held and the result is False, or it is
        dropped."""
        try:
            batch: OpenBatch | None = self._spool.append(part)
        except OSError as error:
            reason = self._failed(part.intake, error)
            if not drop:
                return False
            batch = None
            self._ledger.drop_buffered(part.intake, part.count, reason)
        else:
            self._ledger.spool_buffered(part.intake, part.count)
        self.backpressure.pop(queue, batch)
        return True
