"""Tries again to recover the batch files that could not be read at start.

Their events are not counted before: the name of a file that was still open does not tell how many it holds.
"""

from pathlib import Path

from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.spool import Spool
from bridge.spool.recovery import RecoveredSpool
from bridge.util.alarms import AlarmSink
from bridge.util.files import shown_path
from bridge.util.jobs import Work

EVERY = 60.0
"Seconds between two attempts; after ``PATIENCE`` attempts, only every ``RARELY``-th takes place."
PATIENCE, RARELY = 10, 10

log = Logger(namespace="spool")

Attempt = tuple[Path, RecoveredSpool | OSError]


class UnrecoveredFiles:
    """The batch files of one spool that could not be read at start. ``work`` runs a job in the spool thread and passes
    its result to the reactor."""

    def __init__(self, spool: Spool, ledger: Ledger, alarms: AlarmSink, work: Work) -> None:
        self._spool = spool
        self._ledger = ledger
        self._alarms = alarms
        self._work = work
        self._files: list[Path] = []
        self._looks = 0
        self._busy = False

    def begin(self, files: list[Path]) -> None:
        """Takes the files that recovery could not read, and raises an alarm if there are any."""
        self._files = list(files)
        if files:
            others = f" and {len(files) - 1} more files" if len(files) > 1 else ""
            text = (
                f"spool: cannot read {shown_path(files[0])}{others}, which an earlier process left. Their events are"
                " not counted or delivered yet, all others are. Check the disk, and the owner and mode of the file; the"
                " bridge tries again every minute, later every 10 minutes."
            )
            self._alarms.on("unreadable", "spool", text)

    def look(self) -> None:
        """Tries the files again. Called every ``EVERY`` seconds."""
        if not self._files or self._busy:
            return
        self._looks += 1
        if self._looks <= PATIENCE or self._looks % RARELY == 0:
            self._busy = True
            files = list(self._files)
            self._work(lambda: [(path, self._recover(path)) for path in files], self._recovered)

    def _recover(self, path: Path) -> RecoveredSpool | OSError:
        try:
            return self._spool.recover_file(path)
        except OSError as error:
            return error

    def _recovered(self, attempts: list[Attempt]) -> None:
        self._busy = False
        for path, result in attempts:
            if isinstance(result, OSError):
                continue
            self._files.remove(path)
            for note in result.notes:
                log.warn("spool: {note}", note=note)
            for batch in result.batches:
                log.info("spool: {path} can be read again: {n} events", path=shown_path(path), n=batch.count)
                self._ledger.recover_spooled(batch.intake, batch.count)
                if batch.sending:
                    self._ledger.add_possible_duplicates(batch.intake, batch.count)
                self._spool.announce(batch)
        if not self._files:
            self._alarms.off("unreadable", "spool", "spool: all files can be read again")
