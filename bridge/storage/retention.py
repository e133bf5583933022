"""What is too old in quarantine goes, and is counted."""

from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.spool import Spool
from bridge.spool.quarantine import REASONS
from bridge.storage import from_config as storage_config

EVERY = 3600.0
"Seconds between two looks."

log = Logger(namespace="app")


class Retention:
    """One bridge's. ``work`` runs a job in the spool's thread, then its result on the reactor."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        ledger: Ledger,
        work: Callable[[Callable[[], object], Callable[[object], None]], None],
    ) -> None:
        self.config = config
        self._spool = spool
        self._ledger = ledger
        self._work = work

    def look(self) -> None:
        """Remove what is too old. *Refused* is written in the spool's thread only, the others on the reactor only."""
        quarantine = self._spool.quarantine
        for reason in REASONS:
            age = storage_config.quarantine_age(self.config, reason)
            if reason == "refused":
                self._work(lambda age=age: quarantine.expire("refused", age), self._counted("refused"))  # type: ignore[misc]
            else:
                self._counted(reason)(quarantine.expire(reason, age))
        age = storage_config.quarantine_age(self.config, "damaged")
        self._work(lambda: self._trim_aside(age), self._trimmed)

    def _counted(self, reason: str) -> Callable[[object], None]:
        def counted(gone: object) -> None:
            assert isinstance(gone, int)
            if gone:
                self._ledger.drop_quarantined(None, gone, f"{reason}_expired")
                log.info("quarantine: {n} frames ({why}) were too old and are gone", n=gone, why=reason)

        return counted

    def _trim_aside(self, age: float | None) -> list[tuple[Path, str, int]]:
        gone = []
        try:
            for file in self._spool.quarantine.trim_aside(age):
                gone.append(file)  # what went before one that cannot go is gone
        except OSError as error:
            log.warn("quarantine: cannot remove {file}: {why}", file=error.filename, why=error.strerror)
        return gone

    def _trimmed(self, gone: object) -> None:
        assert isinstance(gone, list)
        for path, intake, events in gone:
            log.warn("quarantine: {file} was too old, or one too many, and is gone", file=path)
            if events:
                self._ledger.drop_quarantined(intake, events, "damaged_expired")
