"""Tries again to recover the batch files that could not be read at start, and the folders that could not be listed.

Their events are not counted before: the name of a file that was still open does not tell how many it holds.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.spool import Pack, Spool
from bridge.spool.recovery import RecoveredSpool
from bridge.util.alarms import AlarmSink
from bridge.util.counts import counted
from bridge.util.files import shown_path
from bridge.util.jobs import Work

EVERY = 60.0
"Seconds between two attempts; after ``PATIENCE`` attempts, only every ``RARELY``-th takes place."
PATIENCE, RARELY = 10, 10
LONGEST = 1.0
"Seconds after which a job tries no further file: a read from a failing disk may take half a minute."
ABOUT = "files of an earlier process"
"What the alarm is about. No intake can have this name."

log = Logger(namespace="spool")


class _Attempt(NamedTuple):
    path: Path
    result: RecoveredSpool | OSError


class UnrecoveredFiles:
    """The batch files and folders of one spool that could not be read at start. ``work`` runs a job in the spool thread
    and passes its result to the reactor. ``clock`` is in monotonic seconds."""

    def __init__(self, spool: Spool, ledger: Ledger, alarms: AlarmSink, work: Work, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._ledger = ledger
        self._alarms = alarms
        self._work = work
        self._clock = clock
        self._waiting: dict[Path, OSError] = {}
        "Files and folders with their last errors, in the order in which they are tried."
        self._shown: Path | None = None
        "The file or folder that the alarm names."
        self._add_pack: Callable[[Pack], object] = lambda pack: None
        self._looks = 0
        self._busy = False

    def begin(self, unreadable: Mapping[Path, OSError], add_pack: Callable[[Pack], object]) -> None:
        """Takes the files and folders that recovery could not read, and raises an alarm if there are any.

        ``add_pack`` receives the packs that are recovered later. Batches are announced.
        """
        self._waiting, self._add_pack = dict(unreadable), add_pack
        self._report()

    def _report(self) -> None:
        """Raises or clears the alarm, or updates its text if what it names is recovered."""
        if not self._waiting:
            self._alarms.off("unreadable", ABOUT, "spool: all files can be read again")
        elif self._shown not in self._waiting:
            (path, error), more = next(iter(self._waiting.items())), len(self._waiting) - 1
            others = f" and {counted(more, 'other place')}" if more else ""
            text = (
                f"spool: cannot read {shown_path(path)}{others}, which an earlier process left: {error.strerror}. Their"
                " events are not counted or delivered yet, all others are. Check the disk, and the owner and mode of"
                " the file or folder; the bridge tries again every minute, later every 10 minutes."
            )
            self._shown = path
            self._alarms.on("unreadable", ABOUT, text)

    def look(self) -> None:
        """Tries the files and folders again. Called every ``EVERY`` seconds."""
        if not self._waiting or self._busy:
            return
        self._looks += 1
        if self._looks <= PATIENCE or self._looks % RARELY == 0:
            self._try()

    def _try(self) -> None:
        self._busy = True
        paths = list(self._waiting)
        self._work(lambda: self._attempts(paths), self._recovered)

    def _attempts(self, paths: list[Path]) -> list[_Attempt]:
        """Tries one file after the other, until the job has lasted ``LONGEST``. Runs in the spool thread."""
        end, attempts = self._clock() + LONGEST, list[_Attempt]()
        for path in paths:
            attempts.append(_Attempt(path, self._recover(path)))
            if self._clock() > end:
                break
        return attempts

    def _recover(self, path: Path) -> RecoveredSpool | OSError:
        try:
            found = self._spool.recover_again(path)
        except OSError as error:
            return error
        found.possible_duplicates_counted()
        return found

    def _recovered(self, attempts: list[_Attempt]) -> None:
        self._busy = False
        for path, result in attempts:
            # What fails again is tried last.
            del self._waiting[path]
            if isinstance(result, OSError):
                self._waiting[path] = result
            else:
                self._take(path, result)
        self._report()
        if self._waiting and all(isinstance(attempt.result, RecoveredSpool) for attempt in attempts):
            # The job was ended by its time. The others can probably be read too.
            self._try()

    def _take(self, path: Path, found: RecoveredSpool) -> None:
        """Counts what was recovered, and passes it to the couriers."""
        for note in found.notes:
            log.warn("spool: {note}", note=note)
        events = sum(each.count for each in found.stored)
        log.info("spool: {path} can be read again: {events}", path=shown_path(path), events=counted(events, "event"))
        self._waiting.update(found.unreadable)
        for intake, count in found.sending.items():
            self._ledger.add_possible_duplicates(intake, count)
        for each in found.stored:
            self._ledger.recover_spooled(each.intake, each.count)
        for pack in found.packs:
            self._add_pack(pack)
        for batch in found.batches:
            self._spool.announce(batch)
