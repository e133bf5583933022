"""An archive that the configuration has no more: nothing bounds it and nothing removes it, so it is told."""

import os
from collections.abc import Callable
from pathlib import Path

from bridge.util.alarms import AlarmSink

BLOCK = 512
"Bytes in which stat(2) counts what is allocated."


class OrphanedArchive:
    """One bridge's. ``work`` runs a job in the spool's thread, then its result on the reactor."""

    def __init__(
        self,
        directory: Path,
        alarms: AlarmSink,
        work: Callable[[Callable[[], object], Callable[[object], None]], None],
    ) -> None:
        self._directory = directory
        self._alarms = alarms
        self._work = work

    def look(self) -> None:
        """There is no archive in the configuration: is there one on the disk? Its size is taken once; later it is only
        looked whether anything is left, as there may be tens of thousands of files."""
        if ("archive", "spool") in self._alarms.active:
            self._work(lambda: any(names for _, _, names in os.walk(self._directory)), self._is_left)
        else:
            self._work(self._amount, self._tell)

    def in_use(self) -> None:
        """It is in the configuration."""
        self._alarms.off("archive", "spool", f"{self._directory}: is in the configuration again")

    def _amount(self) -> tuple[int, int]:
        """Files and allocated bytes of delivered events; what cannot be looked at is not there."""
        files = size = 0
        for folder, _, names in os.walk(self._directory):
            for name in names:
                try:
                    size += Path(folder, name).lstat().st_blocks * BLOCK
                    files += 1
                except OSError:
                    continue
        return files, size

    def _tell(self, found: object) -> None:
        assert isinstance(found, tuple)
        files, size = found
        if files:
            self._alarms.on(
                "archive", "spool",
                f"{self._directory}: {files} files ({size / 1e6:,.1f} MB) of delivered events stay there, as"
                " spool.archive is not in the configuration any more: remove the folder, or configure it again",
            )  # fmt: skip

    def _is_left(self, left: object) -> None:
        if not left:
            self._alarms.off("archive", "spool", f"{self._directory}: nothing is left there")
