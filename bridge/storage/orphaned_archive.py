"""Raises an alarm for an archive that is no longer configured, as nothing limits or deletes its files."""

import os
from pathlib import Path

from bridge.util.alarms import AlarmSink
from bridge.util.jobs import Work

BLOCK = 512
"Bytes of one block of ``st_blocks`` in stat(2)."


class OrphanedArchive:
    """Checks for files of an archive that is not configured. ``work`` runs a job in the spool thread and passes its
    result to the reactor."""

    def __init__(
        self,
        directory: Path,
        alarms: AlarmSink,
        work: Work,
    ) -> None:
        self._directory = directory
        self._alarms = alarms
        self._work = work

    def look(self) -> None:
        """Checks the disk for files while no archive is configured.

        Measures the size only once. While the alarm is active, it only checks that files remain, as there may be tens
        of thousands of them.
        """
        if ("archive", "spool") in self._alarms.active:
            self._work(lambda: any(names for _, _, names in os.walk(self._directory)), self._clear_alarm)
        else:
            self._work(self._measure, self._raise_alarm)

    def in_use(self) -> None:
        """Clears the alarm, as the archive is configured."""
        self._alarms.off("archive", "spool", f"archive {self._directory} is configured again")

    def _measure(self) -> tuple[int, int]:
        """Returns the number and allocated bytes of the archive's files. Skips files that cannot be read."""
        files = size = 0
        for folder, _, names in os.walk(self._directory):
            for name in names:
                try:
                    size += Path(folder, name).lstat().st_blocks * BLOCK
                    files += 1
                except OSError:
                    continue
        return files, size

    def _raise_alarm(self, found: object) -> None:
        assert isinstance(found, tuple)
        files, size = found
        if files:
            self._alarms.on(
                "archive", "spool",
                f"archive {self._directory} holds {files} files ({size / 1e6:,.1f} MB) of delivered events, but"
                " spool.archive is not configured. Remove the folder, or configure spool.archive again.",
            )  # fmt: skip

    def _clear_alarm(self, has_files: object) -> None:
        if not has_files:
            self._alarms.off("archive", "spool", f"archive {self._directory} is empty")
