"""Opens a spool with its ledger and journal, for a running bridge and for commands on the files of a stopped one."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge import __version__
from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.config import Config
from bridge.spool import Spool, SpoolTerms
from bridge.spool.archive import Archive
from bridge.spool.recovery import RecoveredSpool
from bridge.spool.transaction import Transaction
from bridge.storage import from_config as storage_config
from bridge.util.clock import WallClock, last_modified
from bridge.util.jobs import Work

ARCHIVE, JOURNAL = ".archive", ".ledger"
"Folders of the archive and the journal in the spool."


@dataclass(frozen=True, slots=True)
class Storage:
    """A locked spool, the ledger of its events, and the journal of its ledger."""

    spool: Spool
    ledger: Ledger
    journal: Journal

    def recover(self, config_sha256: str, on_note: Callable[[str], object], *, offline: bool = False) -> RecoveredSpool:
        """Recovers the spool, counts its events, and starts the journal of this process run. Blocking.

        ``on_note`` receives a text about each damage that was found. ``offline``: this process only runs a command.
        Raises SpoolError.
        """
        found, ledger, journal = self.spool.recover(), self.ledger, self.journal
        quarantined = self.spool.quarantine.counts.total()
        ledger.recover_quarantined(None, quarantined)
        for each in found.stored:
            ledger.recover_spooled(each.intake, each.count)
        for intake, count in found.sending.items():
            ledger.add_possible_duplicates(intake, count)
        for text in found.notes:
            on_note(f"spool: {text}")
        for text in journal.open().notes:
            on_note(f"journal: {text}")
        for transaction in found.transactions:
            self.record(transaction)
        journal.start(found, quarantined=quarantined, version=__version__, config_sha256=config_sha256, offline=offline)
        found.possible_duplicates_counted()
        return found

    def record(self, transaction: Transaction) -> None:
        """Writes the account of a finished transaction to the journal, and closes the transaction. Blocking.

        If the line cannot be written, the transaction stays, and the next start writes it.
        """
        if self.journal.command(transaction.number, transaction.command, transaction.changes):
            transaction.close()


def wall_clock(config: Config) -> WallClock:
    """Returns the wall clock of a process. If the machine's clock was never set, it continues from the journal."""
    return WallClock(last_modified(config.spool.directory / JOURNAL))


def open_storage(
    config: Config, *, clock: Callable[[], float], wall: Callable[[], float], work: Work,
    on_error: Callable[[str], object], archive: Archive | None, cache: int = 0,
) -> Storage:  # fmt: skip
    """Locks the spool of a configuration. ``cache``: bytes of appended lines to cache. Raises SpoolError."""
    terms = SpoolTerms(storage_config.batch_limits(config), storage_config.quarantine_bounds(config), cache)
    spool = Spool(config.spool.directory, terms, wall=wall, clock=clock, work=work, on_error=on_error, archive=archive)
    journal = Journal(config.spool.directory / JOURNAL, keep=config.ledger.keep, wall=wall, on_error=on_error)
    return Storage(spool, Ledger(), journal)


def make_archive(
    config: Config, *, wall: Callable[[], float], on_error: Callable[[str], object], earlier: bool = False,
    settled: Callable[[], bool] = lambda: False,
) -> Archive | None:  # fmt: skip
    """Returns the archive of a configuration, not yet recovered, or None if it has none.

    ``earlier``: returns also the archive of an earlier configuration, which can still be replayed. ``settled`` returns
    True once files may be deleted by their age.
    """
    terms = config.spool.archive
    if terms is None and not earlier:
        return None
    return Archive(
        config.spool.directory / ARCHIVE, max_size=1 << 62 if terms is None else terms.max_size,
        max_age=None if terms is None or terms.max_age is None else terms.max_age.total_seconds(),
        wall=wall, on_error=on_error, settled=settled,
    )  # fmt: skip
