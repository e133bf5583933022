"""The end of the road: groups of events come into the spool, wait while there is no room, or are counted as lost;
frames that cannot be delivered come into quarantine. Each of them moves the ledger, once.
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
    """What says whether the spool has room."""

    @property
    def pauses(self) -> bool:
        """Whether who can wait shall."""

    def refuses(self, intake: str, size: int) -> str | None:
        """Why ``size`` bytes for an intake may not be written now; None: they may."""

    def failed(self, intake: str, error: OSError) -> str:
        """A write failed; the reason to count what it held under."""


class UnlimitedRoom:
    """A spool without a budget."""

    pauses = False

    def refuses(self, intake: str, size: int) -> str | None:
        """Nothing is refused."""
        return None

    def failed(self, intake: str, error: OSError) -> str:
        """There is one reason."""
        return "spool_write_failed"


class SpoolWriter:
    """Of one bridge. ``on_trouble`` is told in words what could not be written."""

    def __init__(self, *, spool: Spool, ledger: Ledger, room: Room, on_trouble: Callable[[str], None]) -> None:
        self.backpressure = Backpressure()
        self.granted = False
        "The room for what is appended now has been asked for."
        self.losses = 0
        "Grows with each loss on arrival; a sender who is told what is kept must not be told so then."
        self._spool = spool
        self._ledger = ledger
        self._room = room
        self._on_trouble = on_trouble
        self._resuming = False

    @property
    def pauses(self) -> bool:
        """Whether who can wait shall, where an intake is full."""
        return self._room.pauses

    def refuses(self, intake: str, size: int) -> str | None:
        """Why ``size`` bytes for an intake may not come now; None: they may."""
        return self._room.refuses(intake, size)

    def append(self, group: Group, sender: PausableSender | None) -> None:
        """Events on their arrival: into the spool; where there is no room, held if ``sender`` can wait, else lost."""
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
        self._on_trouble(f"spool: cannot write for intake {intake}: {error.strerror}")
        return self._room.failed(intake, error)

    def quarantine(
        self, reason: str, peer: Peer, frames: list[tuple[bytes, str]], now: int, intake: str | None = None
    ) -> None:
        """Frames with what is wrong with each, set aside for ``reason`` at ``now`` (milliseconds since the epoch); of
        an intake, where its events were counted for it."""
        entries = [QuarantineEntry(now, peer.listener, peer.address, frame, detail, intake) for frame, detail in frames]
        try:
            gone = self._spool.quarantine.add(reason, entries)
        except OSError as error:
            self.losses += 1
            self._ledger.receive_dropped(None, len(entries), "quarantine_write_failed")
            self._on_trouble(f"quarantine: cannot write: {error.strerror}; frames are lost")
            return
        self._ledger.receive_quarantined(None, len(entries))
        if gone:
            self._ledger.drop_quarantined(None, gone, f"{reason}_full")
            self._on_trouble(f"quarantine: {reason} is full: {gone} of its oldest frames are dropped")

    def resume(self) -> None:
        """There is room: append what waited, and let its senders go on."""
        if self._resuming:
            # Asking for room may find some for another, and say so: this very call sees to that one too.
            return
        self._resuming = True
        try:
            for intake in self.backpressure.intakes():
                while (part := self.backpressure.first(intake)) and self._room.refuses(intake, len(part.data)) is None:
                    self._append_held(part)
        finally:
            self._resuming = False

    def finish(self) -> None:
        """The end: what waits is appended, room or not; it fits, or is counted."""
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
