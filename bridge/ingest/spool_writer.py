"""Writes groups of events to the spool, holds them for backpressure, or counts them as dropped.

Frames that cannot be delivered are written to quarantine. Each event or frame updates the ledger exactly once.
"""

from collections.abc import Callable
from typing import Protocol

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.ingest.backpressure import Backpressure, PausableSender
from bridge.ingest.peers import Peer
from bridge.spool import Spool
from bridge.spool.quarantine import QuarantineEntry


class Room(Protocol):
    """Declares what the spool writer needs of the disk budget."""

    @property
    def pauses(self) -> bool:
        """True if senders that can wait should pause while an intake is full."""

    def refuses(self, intake: str, size: int) -> str | None:
        """Returns the reason why ``size`` bytes of an intake may not be written now, or None if they may."""

    def subscribe(self, on_room: Callable[[], None]) -> None:
        """Calls ``on_room`` whenever an intake or the disk was full and may have room again."""

    def failed(self, intake: str, error: OSError) -> str:
        """Called after a failed write; returns the reason under which its events are counted as dropped."""


class UnlimitedRoom:
    """Accepts every write, for a spool without a budget."""

    pauses = False

    def subscribe(self, on_room: Callable[[], None]) -> None:
        """Does nothing: there is always room."""

    def refuses(self, intake: str, size: int) -> str | None:
        """Returns None: every write is accepted."""
        return None

    def failed(self, intake: str, error: OSError) -> str:
        """Returns the reason ``spool_write_failed``."""
        return "spool_write_failed"


class SpoolWriter:
    """Writes the events of one bridge. ``on_error`` receives the text of each failed write."""

    def __init__(self, *, spool: Spool, ledger: Ledger, room: Room, on_error: Callable[[str], None]) -> None:
        self.backpressure = Backpressure()
        self.granted = False
        "True while room for the events being appended has been checked in advance."
        self.losses = 0
        "Increases with each loss on arrival. If it has, the sender must not get an acknowledgement."
        self._spool = spool
        self._ledger = ledger
        self._room = room
        self._on_error = on_error
        self._resuming = False
        room.subscribe(self.resume)

    @property
    def pauses(self) -> bool:
        """True if senders that can wait should pause while an intake is full."""
        return self._room.pauses

    def refuses(self, intake: str, size: int) -> str | None:
        """Returns the reason why ``size`` bytes of an intake may not be written now, or None if they may."""
        return self._room.refuses(intake, size)

    def append(self, group: Group, sender: PausableSender | None) -> None:
        """Appends events to the spool. Without room they are held if ``sender`` can wait, else dropped."""
        for part in self._spool.parts(group):
            self._append_part(part, sender)

    def _append_part(self, part: Group, sender: PausableSender | None) -> None:
        intake = part.intake
        reason = None if self.granted else self._room.refuses(intake, len(part.data))
        if reason is None:
            try:
                self._spool.append(part)
            except OSError as error:
                reason = self._failed(intake, error)
            else:
                self._ledger.receive_spooled(intake, part.count)
                return
        waits = sender is not None and (sender.acknowledges or self._room.pauses)
        if sender is not None and waits and reason in ("spool_full", "disk_full"):
            self._ledger.receive_buffered(intake, part.count)
            self.backpressure.hold(part, sender)
        else:
            self.losses += 1
            self._ledger.receive_dropped(intake, part.count, reason)

    def _failed(self, intake: str, error: OSError) -> str:
        self._on_error(f"spool: cannot write for intake {intake}: {error.strerror}")
        return self._room.failed(intake, error)

    def quarantine(
        self, reason: str, peer: Peer, frames: list[tuple[bytes, str]], now: int, intake: str | None = None
    ) -> None:
        """Writes frames to quarantine, each with a description of its fault.

        ``reason`` is the reason code and ``now`` the time in milliseconds since the epoch. ``intake`` is given if the
        events belong to an intake.
        """
        entries = [QuarantineEntry(now, peer.listener, peer.address, frame, detail, intake) for frame, detail in frames]
        try:
            dropped = self._spool.quarantine.add(reason, entries)
        except OSError as error:
            self.losses += 1
            self._ledger.receive_dropped(None, len(entries), "quarantine_write_failed")
            self._on_error(f"quarantine: cannot write: {error.strerror}; {len(entries)} frames are lost")
            return
        self._ledger.receive_quarantined(None, len(entries))
        if dropped:
            self._ledger.drop_quarantined(None, dropped, f"{reason}_full")
            self._on_error(f"quarantine: {reason} is full: its {dropped} oldest frames were dropped")

    def resume(self) -> None:
        """Appends held events while there is room, and resumes their senders."""
        if self._resuming:
            # Asking for room may free some for another intake, which calls this method again. The outer call serves
            # that intake as well.
            return
        self._resuming = True
        try:
            for intake in self.backpressure.intakes():
                while (part := self.backpressure.first(intake)) and self._room.refuses(intake, len(part.data)) is None:
                    self._append_held(part)
        finally:
            self._resuming = False

    def finish(self) -> None:
        """Appends all held events at shutdown, without asking for room. Failed writes are counted as dropped."""
        for intake in self.backpressure.intakes():
            while part := self.backpressure.first(intake):
                self._append_held(part)

    def _append_held(self, part: Group) -> None:
        try:
            self._spool.append(part)
        except OSError as error:
            self._ledger.drop_buffered(part.intake, part.count, self._failed(part.intake, error))
        else:
            self._ledger.spool_buffered(part.intake, part.count)
        self.backpressure.pop(part.intake)
