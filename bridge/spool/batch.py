"""Defines batches: one file of events of one intake whose times lie within the timestamp resolution."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.batching import Group
from bridge.spool.batch_names import BatchName
from bridge.spool.budget import on_disk
from bridge.util.files import allocated_bytes, close_quietly

if TYPE_CHECKING:
    from bridge.spool.pack import Pack


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The limits at which a batch is sealed."""

    max_age: float = 2.0
    "Seconds."
    max_events: int = 20_000
    max_bytes: int = 5_000_000
    resolution_ms: int = 1000
    max_slots: int = 64
    "Maximum open slots of one intake; further events go to one file whose lines carry their own time (*timed*)."


@dataclass(slots=True, eq=False)
class OpenBatch:
    """A batch file that is still open for appends."""

    intake: str
    sequence: int
    slot: int
    timed: bool
    encoding: str
    path: Path
    descriptor: int
    "-1: closed."
    opened: float
    "Monotonic seconds."
    earliest: int
    latest: int
    count: int = 0
    size: int = 0
    fresh: list[bytes] | None = field(default_factory=list, repr=False)
    "The lines appended so far, cached in memory. None: they did not fit the write cache."
    synced: int = 0
    "Bytes that were synced to disk, together with the file's name."
    sync_error: OSError | None = field(default=None, repr=False)
    "Error of a sync that failed. Events in this file are not acknowledged any more."
    sealed: "Batch | None" = field(default=None, repr=False)
    "The sealed batch that this file became."

    @property
    def key(self) -> tuple[str, int]:
        """Returns the key of the batch among the open batches of its intake. All timed events go to one file."""
        return (f"timed {self.encoding}", 0) if self.timed else (self.encoding, self.slot)

    def lines_of(self, group: Group) -> bytes:
        """Returns the lines of a group as they are appended to this file."""
        return group.as_timed().data if self.timed else group.data

    def appended(self, group: Group, size: int) -> None:
        """Counts a group that was appended as ``size`` bytes."""
        self.size += size
        self.count += group.count
        self.earliest = min(self.earliest, group.earliest)
        self.latest = max(self.latest, group.latest)

    def drop_fresh(self) -> None:
        """Drops the cached lines, which did not fit the write cache."""
        self.fresh = None

    def note_synced(self, size: int) -> None:
        """Records that the first ``size`` bytes and the file's name are on disk."""
        self.synced = size
        if self.sealed is not None:
            self.sealed.note_synced(size)

    def note_sync_failed(self, error: OSError) -> None:
        """Records that a sync failed. The kernel reports that once, so a later sync proves nothing about this file."""
        self.sync_error = error

    def close(self) -> None:
        """Closes the file. Only the reactor opens, duplicates and closes the descriptor."""
        descriptor, self.descriptor = self.descriptor, -1
        close_quietly(descriptor)

    def seal(self, now: float) -> "Batch | None":
        """Renames the file. Returns the sealed batch, or None if it was empty.

        Raises OSError; then the events are still in the file with the open name, and a further call tries again, or the
        next start.
        """
        self.sealed = sealed = Batch(
            intake=self.intake, sequence=self.sequence, encoding=self.encoding, timed=self.timed,
            earliest=self.earliest, latest=self.latest, count=self.count, size=self.size,
            directory=self.path.parent, sealed=now, fresh=self.fresh, synced=self.synced >= self.size,
        )  # fmt: skip
        if os.fstat(self.descriptor).st_size != self.size:
            os.ftruncate(self.descriptor, self.size)
        if not self.count:
            self.path.unlink(missing_ok=True)
            return None
        try:
            self.path.rename(sealed.path)
        except FileNotFoundError:
            # The courier detects that the file is missing, and counts its events.
            return sealed
        sealed.measure()
        return sealed


@dataclass(slots=True, eq=False)
class Batch:
    """A sealed batch. ``earliest`` and ``latest`` bound its events' times, in milliseconds since the epoch."""

    intake: str
    sequence: int
    encoding: str
    timed: bool
    earliest: int
    latest: int
    count: int
    size: int
    directory: Path
    sealed: float
    "Time of sealing in monotonic seconds; decides between the live lane and the backlog lane."
    sending: bool = False
    "A request with these events was started: they may have been accepted."
    unacknowledged: int = 0
    "Events that no response has settled yet."
    doubtful: bool = False
    "A request of an earlier process, or of another node, carried it: its events are counted as possible duplicates."
    disk: int = 0
    "Bytes in allocated blocks, or an estimate from the size. 0 in a pack, which has its own count."
    synced: bool = False
    "The file and its name were synced to disk."
    pack: "Pack | None" = field(default=None, repr=False)
    "The pack that contains this batch; the batch then has no file of its own."
    position: int = 0
    "Position in the pack."
    held: bytes | None = field(default=None, repr=False)
    "The lines, read from the pack."
    fresh: list[bytes] | None = field(default=None, repr=False)
    "The lines as appended, cached for the first reader. None: read them from the file."
    sent: bool = False
    "A request of an earlier process carried it, which is counted. Its file name says so while it is not *sending*."
    requests: int = 0
    "Requests in flight with events of this batch. Used on the reactor only."

    def __post_init__(self) -> None:
        self.unacknowledged = self.count
        if self.pack is None:
            self.disk = self.disk or on_disk(self.size)
        else:
            # A pack is synced before any batch is read from it.
            self.disk, self.synced = 0, True
        self.doubtful = self.doubtful or self.sending or self.sent

    @classmethod
    def of_name(
        cls, intake: str, directory: Path, name: BatchName, *, latest: int, sealed: float, disk: int = 0,
        synced: bool = False,
    ) -> "Batch":  # fmt: skip
        """Returns the batch that the name of a sealed file describes."""
        return cls(
            intake=intake, sequence=name.sequence, encoding=name.encoding, timed=name.timed, earliest=name.earliest,
            latest=latest, count=name.events, size=name.size, directory=directory, sealed=sealed,
            sending=name.state == "sending", sent=name.state == "sent", disk=disk, synced=synced,
        )  # fmt: skip

    @property
    def path(self) -> Path:
        """Returns the current path of the batch file, or of the pack that contains the batch."""
        return self.directory / str(self.name) if self.pack is None else self.pack.path

    @property
    def last(self) -> int:
        """Returns the highest sequence, as a pack does."""
        return self.sequence

    def measure(self) -> None:
        """Reads the allocated bytes of the file; keeps the estimate if they cannot be read."""
        self.disk = allocated_bytes(self.path) or self.disk

    def note_synced(self, size: int) -> None:
        """Records that the first ``size`` bytes and the file's name are on disk."""
        self.synced = size >= self.size

    def take_fresh(self) -> list[bytes] | None:
        """Returns the cached lines to the first caller, and None to all others."""
        lines, self.fresh = self.fresh, None
        return lines

    def begin_sending(self) -> None:
        """Marks the file as possibly accepted. Raises OSError; then it is not marked."""
        if not self.sending:
            source = self.path
            self.sending = True
            try:
                source.rename(self.path)
            except OSError:
                self.sending = False
                raise

    def end_sending(self) -> None:
        """Removes the mark of ``begin_sending``. Raises OSError; then it stays marked."""
        if self.sending:
            source = self.path
            self.sending = False
            try:
                source.rename(self.path)
            except OSError:
                self.sending = True
                raise

    def end_sending_in_pack(self) -> None:
        """Removes the mark of a packed batch. The pack still lists it as carried by a request."""
        self.sending, self.sent = False, True

    def sent_before(self) -> None:
        """Replaces the mark of an earlier process with that of a counted request. Raises OSError; then it stays."""
        self.sent = True
        self.end_sending()

    def request_started(self) -> None:
        """Counts a request with events of this batch."""
        self.requests += 1

    def request_ended(self) -> None:
        """Counts the end of a request with events of this batch."""
        self.requests -= 1

    @property
    def all_waits(self) -> bool:
        """Returns True if no request is in flight with this batch, and none has settled a part of it."""
        return not self.requests and self.unacknowledged == self.count

    @property
    def identity(self) -> int:
        """Returns the number by which quarantine recognises the batch's events."""
        return self.sequence

    @property
    def name(self) -> BatchName:
        """Returns the current file name."""
        return BatchName(
            self.sequence, self.earliest, self.count, self.size,
            "sending" if self.sending else "sent" if self.sent else "sealed", self.timed, self.encoding,
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class Piece:
    """The part of a batch that one request carries: the whole batch, or a range of its events in memory."""

    batch: Batch
    earliest: int
    latest: int
    count: int
    size: int
    lines: bytes | None = None
    "One event per line in the batch's encoding, without times. None: the whole file."
    start: int = 0
    "Position of the first event in the batch; a timed batch is ordered by time first."
    times: Sequence[int] | None = None
    "Time of each event, for a range of a timed batch. None: in the file, or all within the resolution."
    suspected: int | None = None
    "Number of accepted requests of the intake when a request with these events was first refused."
    place: tuple[int, ...] | None = None
    "Sort key of a range that was cut together with ranges of other batches. None: the order of the batch applies."

    @property
    def order(self) -> tuple[int, ...]:
        """Returns the key that orders pieces for sending; its first number is a batch sequence."""
        return self.place or (self.batch.sequence, self.start)

    @classmethod
    def whole(cls, batch: Batch) -> "Piece":
        """Returns a piece with all events of a batch that is not timed."""
        return cls(batch, batch.earliest, batch.latest, batch.count, batch.size)
