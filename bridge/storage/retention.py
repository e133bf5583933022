"""Deletes quarantined frames that are older than the configured age, and counts them as dropped."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.spool import Spool
from bridge.spool.quarantine import REASONS
from bridge.storage import from_config as storage_config
from bridge.util.counts import counted
from bridge.util.jobs import Work

EVERY = 3600.0
"Seconds between two runs."

log = Logger(namespace="app")


class Retention:
    """Deletes expired quarantine files. ``work`` runs a job in the spool thread, then its callback on the reactor.
    ``settled`` returns False while the clock may be wrong; then nothing expires."""

    def __init__(
        self, config: Config, spool: Spool, ledger: Ledger, work: Work, *, settled: Callable[[], bool] = lambda: True
    ) -> None:
        self._config = config
        self._spool = spool
        self._ledger = ledger
        self._work = work
        self._settled = settled

    def change(self, config: Config) -> None:
        """Applies another configuration at the next run."""
        self._config = config

    def look(self) -> None:
        """Deletes expired files. Each reason is deleted where it is written: *refused* in the spool thread, the others
        on the reactor."""
        quarantine, settled = self._spool.quarantine, self._settled()
        for reason in REASONS:
            age = storage_config.quarantine_age(self._config, reason) if settled else None
            if reason == "refused":
                self._work(partial(quarantine.expire, reason, age), partial(self._count_expired, reason))
            else:
                self._count_expired(reason, quarantine.expire(reason, age))
        age = storage_config.quarantine_age(self._config, "damaged") if settled else None
        self._work(partial(self._trim_damaged, age), self._count_trimmed)

    def _count_expired(self, reason: str, expired: int) -> None:
        if expired:
            self._ledger.drop_quarantined(None, expired, f"{reason}_expired")
            log.info("quarantine: deleted {frames} ({reason})", frames=counted(expired, "expired frame"), reason=reason)

    def _trim_damaged(self, age: float | None) -> list[tuple[Path, str, int]]:
        removed = []
        try:
            for file in self._spool.quarantine.trim_damaged(age):
                removed.append(file)  # also reports the files removed before an error
        except OSError as error:
            log.warn("quarantine: cannot remove {file}: {why}", file=error.filename, why=error.strerror)
        return removed

    def _count_trimmed(self, removed: list[tuple[Path, str, int]]) -> None:
        for path, intake, events in removed:
            log.warn("quarantine: deleted {file}, which was expired or exceeded the limit", file=path)
            if events:
                self._ledger.drop_quarantined(intake, events, "damaged_expired")
