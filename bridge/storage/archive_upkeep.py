"""Tidies the archive. If it is no longer configured, raises an alarm, as nothing limits or deletes its files."""

import os
from pathlib import Path

from bridge.spool import Spool
from bridge.storage.open import ARCHIVE
from bridge.util.alarms import AlarmSink
from bridge.util.counts import counted
from bridge.util.files import allocated_bytes
from bridge.util.jobs import Work

EVERY = 30.0
"Seconds between two calls of ``look``."


class ArchiveUpkeep:
    """Looks after the archive of a spool. ``work`` runs a job in the spool thread and passes its result to the
    reactor."""

    def __init__(self, spool: Spool, alarms: AlarmSink, work: Work) -> None:
        self._spool = spool
        self._directory = spool.directory / ARCHIVE
        self._alarms = alarms
        self._work = work

    def look(self) -> None:
        """Tidies the archive, or checks the disk for files while none is configured.

        Measures their size only once. While the alarm is active, it only checks that files remain, as there may be tens
        of thousands of them.
        """
        if self._spool.archive is not None:
            self._work(self._spool.archive.tidy, lambda nothing: None)
            self._alarms.off("archive", "spool", f"archive {self._directory} is configured again")
        elif ("archive", "spool") in self._alarms.active:
            self._work(lambda: any(names for _, _, names in os.walk(self._directory)), self._clear_alarm)
        else:
            self._work(self._measure, self._raise_alarm)

    def _measure(self) -> tuple[int, int]:
        """Returns the number and allocated bytes of the archive's files."""
        files = [Path(folder, name) for folder, _, names in os.walk(self._directory) for name in names]
        return len(files), sum(map(allocated_bytes, files))

    def _raise_alarm(self, found: tuple[int, int]) -> None:
        files, size = found
        if files:
            self._alarms.on(
                "archive", "spool",
                f"archive {self._directory} holds {counted(files, 'file')} ({size / 1e6:,.1f} MB) of delivered events,"
                " but spool.archive is not configured",
                remedy="remove the folder, or configure spool.archive again",
            )  # fmt: skip

    def _clear_alarm(self, has_files: bool) -> None:
        if not has_files:
            self._alarms.off("archive", "spool", f"archive {self._directory} is empty")
