"""A batch: events of one intake whose times lie within the resolution, in one file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.spool.batch_names import BatchName
from bridge.spool.budget import on_disk

if TYPE_CHECKING:
    from bridge.spool.pack import Pack


@dataclass(slots=True, eq=False)
class OpenBatch:
    """A file that is being appended to."""

    intake: str
    sequence: int
    slot: int
    timed: bool
    encoding: str
    path: Path
    descriptor: int
    opened: float
    "Monotonic seconds."
    earliest: int
    latest: int
    count: int = 0
    size: int = 0
    fresh: list[bytes] | None = field(default_factory=list, repr=False)
    "All that was appended; None: too much to keep."
    synced: int = 0
    "Bytes of it that are known to be on the disk, and with them its name."
    sealed: "Batch | None" = field(default=None, repr=False)
    "What it has become."


@dataclass(slots=True, eq=False)
class Batch:
    """A sealed file. ``earliest`` and ``latest`` bound its events' times, in milliseconds since the epoch."""

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
    "Monotonic seconds; orders the lanes."
    sending: bool = False
    "A request with its events has been begun: they may have been accepted."
    unacknowledged: int = 0
    "Events that no answer has settled yet."
    doubtful: bool = False
    "Found as one that was being sent: its events are counted as possible duplicates."
    disk: int = 0
    "Bytes in allocated blocks; where nobody asked, what they must be at least. 0 in a pack, which has its own."
    synced: bool = False
    "File and name have been forced to the disk."
    pack: "Pack | None" = field(default=None, repr=False)
    "The pack that it is in; then it has no file of its own."
    position: int = 0
    "In its pack."
    held: bytes | None = field(default=None, repr=False)
    "Its lines, read from its pack."
    fresh: list[bytes] | None = field(default=None, repr=False)
    "Its lines as they were appended, for the first one to read it; None: they are in the file."

    def __post_init__(self) -> None:
        self.unacknowledged = self.count
        if self.pack is None:
            self.disk = self.disk or on_disk(self.size)
        else:
            # A pack is on the disk before any of it is read.
            self.disk, self.synced = 0, True
        self.doubtful = self.doubtful or self.sending

    @property
    def path(self) -> Path:
        """Where the file is now; of a packed batch, its pack's."""
        return self.directory / str(self.name) if self.pack is None else self.pack.path

    @property
    def identity(self) -> int:
        """By which quarantine knows it again."""
        return self.sequence

    @property
    def name(self) -> BatchName:
        """The file's name now."""
        return BatchName(
            self.sequence, self.earliest, self.count, self.size, "sending" if self.sending else "sealed", self.timed,
            self.encoding,
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class Piece:
    """What a request carries of a batch: all of it, or a range that is held in memory."""

    batch: Batch
    earliest: int
    latest: int
    count: int
    size: int
    lines: bytes | None = None
    "One event a line in the batch's encoding, without times; None: the whole file."
    start: int = 0
    "Position of its first event in the batch (in a timed one, by time)."
    doubtful: bool = False
    "Its events may have been accepted already, and are counted as possible duplicates."
    times: Sequence[int] | None = None
    "Of a range of a timed batch: each event's. None: they are in the file, or all are within the resolution."
    suspected: int | None = None
    "How many requests of its intake had been accepted when one with these events was first refused."
    place: tuple[int, ...] | None = None
    "Of a range that was cut together with other batches': where it stands. None: where its batch does."

    def __post_init__(self) -> None:
        self.doubtful = self.doubtful or self.batch.doubtful

    @property
    def order(self) -> tuple[int, ...]:
        """Pieces leave in this order; the first number is the sequence that they stand at."""
        return self.place or (self.batch.sequence, self.start)

    @classmethod
    def whole(cls, batch: Batch) -> "Piece":
        """All of a batch that is not timed."""
        return cls(batch, batch.earliest, batch.latest, batch.count, batch.size)
