"""Builds the spool, its ledger and journal, and the tasks that look after them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bridge.app.process import Process
from bridge.config import Config
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.sync_monitor import SyncMonitor
from bridge.spool import write_cache
from bridge.spool.archive import Archive
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.group_commit import GroupCommit
from bridge.spool.synced_folders import SyncedFolders
from bridge.storage import from_config as storage_config
from bridge.storage.archive_upkeep import ArchiveUpkeep
from bridge.storage.open import Storage, make_archive, open_storage
from bridge.storage.retention import Retention
from bridge.storage.unrecovered import UnrecoveredFiles
from bridge.util.clock import SteadyClock


@dataclass(frozen=True, slots=True)
class StorageParts:
    """The spool of a running bridge. Alarms belong to it because they can be stored as events."""

    opened: Storage
    fsync_policy: FsyncPolicy
    group_commit: GroupCommit
    sync_monitor: SyncMonitor
    self_events: SelfEvents
    alarms: Alarms
    retention: Retention
    archive_upkeep: ArchiveUpkeep
    unrecovered: UnrecoveredFiles
    make_archive: Callable[[Config], Archive | None]
    settled: Callable[[], bool]
    "Returns False while the clock may be wrong; then nothing expires by its age."

    def prepare(self, config: Config) -> Callable[[], None]:
        """Opens the archive if it is new. Returns a function that applies the configuration. Blocking. Raises
        OSError."""
        spool = self.opened.spool
        new = self.make_archive(config) if spool.archive is None else None
        if new is not None:
            new.recover()

        def apply() -> None:
            spool.change(limits=storage_config.batch_limits(config), bounds=storage_config.quarantine_bounds(config))
            if (terms := config.spool.archive) is None:
                spool.use_archive(None)
            elif new is not None:
                spool.use_archive(new)
            elif spool.archive is not None:
                age = None if terms.max_age is None else terms.max_age.total_seconds()
                spool.archive.change(max_size=terms.max_size, max_age=age)
            self.fsync_policy.change(config.spool.fsync)
            self.opened.journal.change(config.ledger.keep)
            self.retention.change(config)
            self.self_events.change(config)

        return apply


def build_storage(config: Config, process: Process) -> StorageParts:
    """Locks the spool and builds what looks after it. Raises SpoolError."""
    clock, wall, work = process.reactor.seconds, process.wall, process.spool_thread.work
    on_error = process.log_throttle.log_error_from_thread
    settled = SteadyClock(wall, clock).settled
    archive_of = partial(make_archive, wall=wall, on_error=on_error, settled=settled)
    opened = open_storage(
        config, clock=clock, wall=wall, work=work, on_error=on_error, archive=archive_of(config),
        cache=write_cache.MAX_BYTES,
    )  # fmt: skip
    sync_work, folders = process.sync_thread.work, SyncedFolders(config.spool.directory)
    fsync_policy = FsyncPolicy(
        config.spool.fsync, folders, work=work, sync_work=sync_work, clock=clock, wall=wall,
        on_error=process.log_throttle.log_error,
    )  # fmt: skip
    opened.spool.subscribe(fsync_policy.add)
    self_events = SelfEvents(config, opened.spool, opened.ledger, wall)
    alarms = Alarms(self_events.emit, clock=clock, wall=wall)
    sync_monitor = SyncMonitor(fsync_policy, alarms, clock)
    group_commit = GroupCommit(opened.spool.quarantine, folders, sync_work=sync_work, observer=sync_monitor)
    return StorageParts(
        opened, fsync_policy, group_commit, sync_monitor, self_events, alarms,
        retention=Retention(config, opened.spool, opened.ledger, work, settled=settled),
        archive_upkeep=ArchiveUpkeep(opened.spool, alarms, work),
        unrecovered=UnrecoveredFiles(opened.spool, opened.ledger, alarms, work, clock),
        make_archive=archive_of, settled=settled,
    )  # fmt: skip
