"""Sets aside the files of one intake that cannot be read, so that all others are delivered.

A file is tried again after 1 s and after 5 s more. After ``TRIES`` failures it is *held*: an alarm names it, and it is
tried every minute, after ten more failures every ten minutes. A failing disk may need seconds for each attempt, so few
held files are tried at once. As soon as one of them can be read again, all are tried: a storage that fails over looks
like a thousand damaged files.

The events stay spooled in the ledger until the file can be read, an operator purges them, or the spool is full.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from bridge.deliver.context import DeliveryContext
from bridge.spool import Batch, Pack, Piece
from bridge.spool.batch_reader import Unreadable, concerns_one_file
from bridge.util.counts import counted, verb

TRIES = 3
"Failures in a row after which a file is held."
SOON = (1.0, 5.0)
"Seconds until the next attempt after the first failures."
EVERY, RARELY = 60.0, 600.0
"Seconds between two attempts of a held file: at first, and after ``PATIENCE`` failures."
PATIENCE = TRIES + 10
AT_ONCE = 8
"Held files of an intake that are tried at the same time."


@dataclass(slots=True)
class _File:
    """A file that could not be read."""

    error: OSError
    failures: int = 0
    due: float = 0.0
    waiting: bool = False
    "False while the file is tried again."
    pieces: list[tuple[Piece, bool]] = field(default_factory=list)
    "Pieces of a batch that wait here, each with True if it comes from the split queue."

    def failed(self, error: OSError, now: float) -> None:
        """Counts a failure, and sets the time of the next attempt."""
        if not self.waiting:
            self.failures += 1
            waits = (*SOON, EVERY) if self.failures < PATIENCE else (RARELY,)
            self.due = now + waits[min(self.failures, len(waits)) - 1]
        self.error, self.waiting = error, True

    def try_now(self, now: float) -> None:
        """Makes the file due for the next attempt."""
        self.due = now

    def take(self) -> list[tuple[Piece, bool]]:
        """Begins another attempt. Returns the pieces that wait."""
        pieces, self.pieces, self.waiting = self.pieces, [], False
        return pieces

    @property
    def held(self) -> bool:
        """Returns True if the file has failed often enough for an alarm."""
        return self.failures >= TRIES


class UnreadableFiles:
    """The unreadable files of one intake. ``back_off`` receives an error that does not concern a single file."""

    def __init__(self, name: str, *, context: DeliveryContext, back_off: Callable[[str], None]) -> None:
        self.back_off = back_off
        self._name = name
        self._context = context
        self._files: dict[Batch | Pack, _File] = {}
        "In the order of their latest failures."
        self._text: str | None = None
        "The text of the alarm, if it is raised."
        self._named: set[Batch | Pack] = set()
        "The files that the text is about."

    def __len__(self) -> int:
        return len(self._files)

    @property
    def text(self) -> str | None:
        """Returns which files are held and why; None if none is."""
        return self._text

    def pieces(self) -> list[Piece]:
        """Returns all pieces that wait here."""
        return [piece for file in self._files.values() for piece, _ in file.pieces]

    def set_aside(self, pieces: Iterable[Piece], error: Unreadable, *, split: bool) -> None:
        """Keeps pieces of a batch whose file cannot be read."""
        self._failed(error.batch, error).pieces.extend((piece, split) for piece in pieces)

    def set_pack_aside(self, pack: Pack, error: OSError) -> bool:
        """Records that the rest of a pack cannot be read. Returns False if the error does not concern the pack only."""
        if not concerns_one_file(error):
            return False
        self._failed(pack, error)
        return True

    def _failed(self, stored: Batch | Pack, error: OSError) -> _File:
        file = self._files.pop(stored, None) or _File(error)
        file.failed(error, self._context.clock.seconds())
        self._files[stored] = file
        return file

    def was_read(self, stored: Collection[Batch | Pack]) -> None:
        """Records that files could be read. If one of them was held, all other held files are tried soon."""
        if not self._files:
            return
        found = [file for each in stored if (file := self._files.get(each)) is not None and not file.waiting]
        self.forget(each for each in stored if each in self._files and not self._files[each].waiting)
        if any(file.held for file in found):
            for file in self._files.values():
                file.try_now(self._context.clock.seconds())

    def forget(self, stored: Iterable[Batch | Pack]) -> None:
        """Forgets files that are settled, dropped or moved."""
        for each in list(stored):
            self._files.pop(each, None)

    def oldest(self) -> Batch | None:
        """Returns the oldest batch that waits here whole; None if there is none."""
        return min(self.whole_batches(), key=lambda batch: batch.sequence, default=None)

    def whole_batches(self) -> list[Batch]:
        """Returns the batches that wait here whole, in their own files."""
        return [
            batch
            for batch, file in self._files.items()
            if isinstance(batch, Batch)
            and [piece for piece, _ in file.pieces if piece.lines is None]
            and batch.unacknowledged == batch.count
        ]

    def take_due(self) -> tuple[list[tuple[Piece, bool]], list[Pack]]:
        """Updates the alarm. Takes out the files that are tried again now: pieces of batches, and packs."""
        self._update_alarm()
        now = self._context.clock.seconds()
        free = AT_ONCE - sum(file.held and not file.waiting for file in self._files.values())
        pieces: list[tuple[Piece, bool]] = []
        packs: list[Pack] = []
        for stored, file in self._files.items():
            if not file.waiting or file.due > now or (file.held and free <= 0):
                continue
            free -= file.held
            pieces += file.take()
            if isinstance(stored, Pack):
                packs.append(stored)
        return pieces, packs

    def _update_alarm(self) -> None:
        held = [(stored, file) for stored, file in self._files.items() if file.held]
        about = f"intake {self._name}"
        if not held:
            if self._text is not None:
                self._text, self._named = None, set()
                self._context.alarms.off("unreadable", self._name, f"{about}: all files can be read again")
            return
        if (held_now := {stored for stored, _ in held}) == self._named:
            # Keep the text: the name of a pack changes with its progress.
            return
        self._named = held_now
        stored, file = min(held, key=lambda each: each[0].sequence)
        count = sum(each.unread[0] if isinstance(each, Pack) else each.unacknowledged for each in held_now)
        events = f"{counted(count, 'event')} {verb(count, 'is', 'are')}"
        others = f" and {counted(len(held) - 1, 'more file')}" if len(held) > 1 else ""
        self._text = (
            f"{about}: cannot read {stored.path}{others}: {file.error.strerror}. {events} held, all others"
            " are delivered. Check the disk, and the owner and mode of the file; the bridge tries again every minute,"
            f' later every 10 minutes. To delete the events, run "syslog-bridge spool purge --unreadable --intake'
            f' {self._name}"'
        )
        self._context.alarms.on("unreadable", self._name, self._text)
