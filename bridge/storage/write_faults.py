"""Handles writes to the spool that failed, until their cause is gone.

``Spool.append`` has tried a write that found the disk full, or an I/O error, twice. What follows depends on the error:

===================  =============================================================================================
ENOSPC, EDQUOT       A probe decides. If as many bytes as a batch has can be written, the cause is gone and nothing
                     else happens. Otherwise the spool is *closed*: the reserve and a part of the archive are deleted,
                     and no event is written until the reserve is back and the intakes can be written.
  *disk*             The filesystem reports little free space. Its free space limits the spool (``spool.budget``).
  *inodes*, *quota*  The filesystem has no free inodes, or reports free space that it does not give. The bytes in use
                     become the provisional limit of the spool. A probe as large as what is written next lifts it.
  *one folder*         The folder of the intake takes no bytes, but that of the spool does: the folder is on another
                     filesystem, or has a quota of its own. As any other error.
EROFS, any other     Each later write is tried. A probe in the folder of the intake ends the alarm.
failed fsync         Requests of acknowledged inputs are refused until a file can be synced again.
===================  =============================================================================================
"""

import errno
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from twisted.logger import Logger

from bridge.spool import Spool
from bridge.spool.budget import DiskState
from bridge.spool.reserve import Reserve
from bridge.storage import disk_usage
from bridge.storage.disk_usage import SOME, DiskUsage, ProbePlan
from bridge.util.alarms import AlarmSink
from bridge.util.jobs import Work
from bridge.util.os_errors import FORBIDDEN, reason_of

FULL = (errno.ENOSPC, errno.EDQUOT)
"Errors of a write to a full disk."
_DISK_ERRORS = (*FULL, errno.EIO, errno.EROFS, errno.ESTALE)
"Errors of an fsync that the disk causes."
PROBE_EVERY = 5.0
"Seconds between two probes of a provisional limit while the spool is written."

_CAUSES = {
    "disk": ("the disk is full", "Free disk space, or set spool.max_size below the space that the disk has."),
    "inodes": (
        "the filesystem has no free inodes",
        "Delete small files on it, or give the spool a filesystem of its own with more inodes.",
    ),
    "quota": (
        "the filesystem reports free space but takes no more bytes, as with a quota",
        "Raise the quota, or set spool.max_size below it.",
    ),
}  # fmt: skip
_UNREADY = {
    "disk": "the disk of the spool is full",
    "inodes": "the filesystem of the spool has no free inodes",
    "quota": "the filesystem of the spool takes no more bytes, as with a quota",
}

log = Logger(namespace="spool")


class FullDiskDiagnosis(NamedTuple):
    """Result of the probes after a write that found the disk full."""

    disk: DiskState | None
    fits: bool
    "True if the folder of the intake takes a batch."
    fits_elsewhere: bool
    "True if it does not, but the folder of the spool does."


class WriteFaults:
    """The failed writes of one spool. ``used`` returns the bytes on disk of the spool, its archive and its reserve.
    ``shrink_archive`` deletes archived events of about so many bytes, in the spool thread. ``look`` measures the disk.
    """

    def __init__(
        self, spool: Spool, reserve: Reserve, *, alarms: AlarmSink, work: Work, used: Callable[[], int],
        shrink_archive: Callable[[int], None], look: Callable[[], None],
    ) -> None:  # fmt: skip
        self.closed = False
        "True while nothing is written to the spool, because its filesystem is full."
        self.cause: str | None = None
        "What the filesystem has run out of: disk, inodes or quota. None: nothing, as far as is known."
        self.unsynced: str | None = None
        "Error of the last fsync that failed, until a file can be synced again."
        self._spool = spool
        self._reserve = reserve
        self._alarms = alarms
        self._work = work
        self._used = used
        self._shrink_archive = shrink_archive
        self._look = look
        self._failed: dict[str, OSError] = {}
        "Intakes whose last write failed, with the error."
        self._full: set[str] = set()
        "Those of them whose write found the disk full."
        self._full_alone: set[str] = set()
        "Those of them whose folder is full although the folder of the spool is not. They do not close the spool."
        self._recent: set[str] = set()
        "Intakes and syncs that have failed since the last call of `plan`."
        self._unstable: set[str] = set()
        "Those that had failed between the last two calls. Their alarms stay, although a probe may succeed."
        self._read_only = False
        self._diagnosing = False
        self._limit: int | None = None
        "Bytes in use when a write failed although the filesystem reported free space."
        self._probed = 0.0

    # --- a failed write ----------------------------------------------------------------------------------------------

    def failed(self, intake: str, error: OSError, batch_bytes: int) -> str:
        """Handles a failed write. Returns the reason code under which its events are counted."""
        self._failed[intake] = error
        if error.errno not in FULL or intake in self._full_alone:
            self._failed_alone(intake, error)
            return "spool_write_failed"
        self._full.add(intake)
        if not self.closed and not self._diagnosing:
            self._diagnosing = True
            spool, space = self._spool.directory, self._spool.probe_lock

            def diagnose() -> FullDiskDiagnosis:
                disk = disk_usage.query(spool)
                fits = disk_usage.fits(spool / intake, batch_bytes, disk, space)
                return FullDiskDiagnosis(disk, fits, not fits and disk_usage.fits(spool, batch_bytes, disk, space))

            self._work(diagnose, partial(self._diagnosed, intake, error))
        return "disk_full"

    def _failed_alone(self, intake: str, error: OSError) -> None:
        """Handles an error that concerns one intake, or all of them on a read-only filesystem."""
        self._full.discard(intake)
        self._recent.add(f"intake {intake}")
        self._report(intake, error)

    def _report(self, intake: str, error: OSError) -> None:
        where = f"spool {self._spool.directory}"
        if error.errno == errno.EROFS:
            # One alarm for all intakes. Their names would change its text with each of them.
            self._read_only = True
            self._alarms.on(
                "spool", "disk",
                f"{where}: the filesystem is read-only. New events are lost, unless their sender can wait; stored"
                f" events are still delivered. Look for disk errors in the kernel log (dmesg), and remount it"
                f" read-write: the gateway continues by itself.",
            )  # fmt: skip
        else:
            folder = self._spool.directory / intake
            remedy = "Look for its cause in the kernel log (dmesg)"
            if error.errno in FULL:
                remedy = f"Free space on the filesystem of {folder}, or raise its quota"
            elif error.errno in FORBIDDEN:
                remedy = f"Make {folder} writable for this user"
            self._alarms.on(
                "spool", f"intake {intake}",
                f"{where}: cannot write for intake {intake}: {reason_of(error)}. Its new events are lost, unless their"
                f" sender can wait. {remedy}: the gateway continues by itself.",
            )  # fmt: skip

    def _diagnosed(self, intake: str, error: OSError, found: FullDiskDiagnosis) -> None:
        self._diagnosing = False
        disk = found.disk
        where = f"spool {self._spool.directory}: {error.strerror or error} while writing for intake {intake}"
        if found.fits:
            log.warn("{where}; a probe shows that there is room again", where=where)
            self._recovered(intake)
            return
        if found.fits_elsewhere:
            self._full_alone.add(intake)
            self._failed_alone(intake, error)
            return
        cause = disk_usage.explains_failure(disk) or "quota"
        self.closed = True
        self._limit = None if cause == "disk" else self._used()
        if cause != self.cause:
            # The text of an active alarm stays: other figures would report it again at each failure.
            self.cause = cause
            self._alarms.on("spool", "disk", f"{where}: {self._explanation(cause, disk)}")
        self._work(self._release_reserve, lambda nothing: self._look())

    def _explanation(self, cause: str, disk: DiskState | None) -> str:
        what, remedy = _CAUSES[cause]
        free = "" if disk is None else f"{disk.available:,} bytes"
        free += "" if disk is None or disk.inodes is None else f" and {disk.inodes:,} inodes"
        effect = "New events are lost until there is room, unless their sender can wait."
        if cause != "disk":
            effect = (
                "These bytes limit the spool until a probe shows more room. Beyond them the oldest events are dropped,"
                " or senders wait."
            )
        figures = f"{free and free + ' are free; '}the spool uses {self._used():,} bytes"
        return f"{what} ({figures}). {effect} {remedy}"

    def _release_reserve(self) -> None:
        """Deletes the reserve and part of the archive of a full disk. Runs in the spool thread."""
        self._reserve.release()
        self._shrink_archive(self._reserve.size + SOME)

    def sync_failed(self, error: OSError) -> None:
        """Handles a failed fsync."""
        if error.errno not in _DISK_ERRORS:
            # Descriptors are used up, or a folder may not be opened: that concerns the waiting sender only.
            return
        self._recent.add("sync")
        if self.unsynced is None:
            self.unsynced = error.strerror or str(error)
            self._alarms.on(
                "spool", "sync",
                f"spool {self._spool.directory}: cannot sync files to disk: {self.unsynced}. RELP and HTTPS senders get"
                f" no acknowledgement and send again. Look for disk errors in the kernel log (dmesg).",
            )  # fmt: skip

    # --- the state ---------------------------------------------------------------------------------------------------

    def refuses(self, intake: str) -> bool:
        """Returns True if requests for an intake are refused: a part would be stored each time they are repeated."""
        return self.unsynced is not None or (intake in self._failed and not self.closed)

    def available(self) -> int | None:
        """Returns the bytes that the provisional limit leaves, or None if there is no such limit."""
        return None if self._limit is None else max(0, self._limit - self._used())

    def unready(self) -> list[str]:
        """Returns the reasons why events cannot be written."""
        if self.closed and self.cause is not None:
            return [_UNREADY[self.cause]]
        found = [
            f"the spool cannot be written for intake {name}: {error.strerror or error}"
            for name, error in self._failed.items()
        ]
        return found + ([] if self.unsynced is None else [f"the spool cannot be synced to disk: {self.unsynced}"])

    # --- recovery ----------------------------------------------------------------------------------------------------

    def plan(self, now: float, batch_bytes: int) -> ProbePlan:
        """Returns what to probe now. Called about once a second."""
        self._unstable, self._recent = self._recent, set()
        available = self.available()
        due = available is not None and (self.closed or now - self._probed >= PROBE_EVERY)
        if due:
            self._probed = now
        return ProbePlan(
            tuple(self._failed), self.unsynced is not None,
            # What is written next: all that the limit allows, and a batch.
            size=max(SOME, batch_bytes) + (available or 0) if due else 0, available=available,
        )  # fmt: skip

    def measured(self, result: DiskUsage) -> bool:
        """Applies the results of the probes. Returns True if senders that wait can be resumed."""
        resumes = False
        if result.fits:
            self._limit = None
        # On a full disk, a small file may be created long before there is room.
        for intake in result.recovered:
            if result.room or intake not in self._full:
                self._recovered(intake)
                resumes = True
        if result.room and result.works_elsewhere and not self._diagnosing:
            # The reserve is back, so only these folders are still full.
            for intake in sorted(self._full):
                self._full_alone.add(intake)
                self._failed_alone(intake, self._failed[intake])
        if self.closed and result.room and not self._full:
            self.closed, resumes = False, True
        if result.synced:
            self.unsynced, resumes = None, True
        self._end_alarms()
        if not self._failed:
            self._read_only = False
        if not self.closed and self._limit is None:
            self.cause = None
            if not self._read_only:
                self._alarms.off("spool", "disk", f"spool {self._spool.directory}: it can be written again")
        return resumes

    def _recovered(self, intake: str) -> None:
        self._full.discard(intake)
        self._full_alone.discard(intake)
        self._failed.pop(intake, None)

    def _end_alarms(self) -> None:
        """Ends the alarms of intakes and syncs that work again and have not failed lately."""
        kept = {f"intake {name}" for name in self._failed} | self._unstable | self._recent
        if self.unsynced is not None:
            kept.add("sync")
        for about in [about for kind, about in self._alarms.active if kind == "spool" and about not in kept | {"disk"}]:
            what = "files can be synced to disk again" if about == "sync" else f"{about} can be written again"
            self._alarms.off("spool", about, f"spool {self._spool.directory}: {what}")
