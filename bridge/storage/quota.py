"""Counts the text of each intake that was delivered on the current UTC day, and raises an alarm above ``quota``.

No event is dropped. ``SPOOL/.quota.json`` holds the counts of the day, so that a restart continues with them. A killed
process loses at most the counts since the last call of ``look``.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from twisted.logger import Logger

from bridge.util.alarms import AlarmSink
from bridge.util.files import write_replacing
from bridge.util.jobs import Work
from bridge.util.os_errors import described

_MOST_DAYS = 3
"Other days whose counts are remembered."

log = Logger(namespace="app")


class DeliveredBytes(Protocol):
    """Declares what the quotas need of a courier."""

    @property
    def delivered_bytes(self) -> int:
        """Bytes of text that were delivered since start."""


class Quotas:
    """Daily quotas of all intakes. ``limits`` are bytes a day, ``wall`` is in seconds since the epoch, ``work`` runs a
    job in the spool thread."""

    def __init__(
        self, file: Path, limits: Mapping[str, int | None], *, deliverers: Mapping[str, DeliveredBytes],
        alarms: AlarmSink, wall: Callable[[], float], work: Work,
    ) -> None:  # fmt: skip
        self.today: dict[str, int] = {}
        "Bytes delivered on the current day by intake."
        self._file = file
        self._limits = limits
        self._deliverers = deliverers
        self._alarms = alarms
        self._wall = wall
        self._work = work
        self._day = self._date()
        self._earlier: dict[str, dict[str, int]] = {}
        "Bytes delivered on other days, in the order in which the clock left them."
        self._counted: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        self._failed = False

    def recover(self) -> None:
        """Loads the counts of the current day."""
        try:
            found = json.loads(self._file.read_bytes())
            if found["day"] == self._day:
                self.today = {str(name): int(size) for name, size in found["bytes"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warn(
                "quota: cannot read {file}, counting today from zero: {why}",
                file=self._file,
                why=described(error),
            )
        self._saved = dict(self.today)

    def change(self, limits: Mapping[str, int | None]) -> None:
        """Applies the quotas of another configuration."""
        self._limits = limits

    def look(self) -> None:
        """Adds the bytes delivered since the last call, and updates the alarms. Called every few seconds."""
        if (day := self._date()) != self._day:
            for name in self.today:
                self._alarms.off("quota", name, f"intake {name}: the quota starts again with the new day (UTC)")
            # The clock may be set to another day for a moment, and back.
            self._earlier[self._day] = self.today
            self.today = self._earlier.pop(day, {})
            while len(self._earlier) > _MOST_DAYS:
                del self._earlier[next(iter(self._earlier))]
            self._day = day
        for name, deliverer in self._deliverers.items():
            size = deliverer.delivered_bytes - self._counted.get(name, 0)
            if size < 0:
                # The intake was removed from the configuration and added again.
                size = deliverer.delivered_bytes
            self._counted[name] = deliverer.delivered_bytes
            if size:
                self.today[name] = self.today.get(name, 0) + size
            limit = self._limits.get(name)
            if limit is not None and self.today.get(name, 0) > limit:
                text = f"intake {name}: delivered more than its quota of {limit} bytes today (UTC); nothing is dropped"
                self._alarms.on("quota", name, text, remedy='find the busiest source in "syslog-bridge status"')
        if self.today != self._saved:
            today = dict(self.today)
            text = json.dumps({"day": self._day, "bytes": today})
            self._work(lambda: self._save(text), partial(self._after_save, today))

    def report(self, intake: str) -> dict[str, object]:
        """Returns the quota fields of an intake for ``/api/status``."""
        return {"delivered_bytes_today": self.today.get(intake, 0), "quota_bytes": self._limits.get(intake)}

    def _date(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).date().isoformat()

    def _after_save(self, today: dict[str, int], error: OSError | None) -> None:
        if error is None:
            self._saved = today
        elif not self._failed:
            log.warn("quota: cannot write {file}: {why}; it is tried again", file=self._file, why=error.strerror)
        self._failed = error is not None

    def _save(self, text: str) -> OSError | None:
        try:
            write_replacing(self._file, f"{text}\n".encode())
        except OSError as error:
            return error
        return None
