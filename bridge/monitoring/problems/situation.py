"""Reads the parts of a status that problems are computed from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.monitoring.problems.problem import read_moment

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts of one status. Keys that are missing are empty."""

    status: JSON

    @property
    def taken(self) -> datetime:
        """Returns the time of the status."""
        return read_moment(self.status.get("taken")) or datetime.fromtimestamp(0, UTC)

    @property
    def spool(self) -> JSON:
        """Returns the state of the disk budget."""
        return dict(self.status.get("spool") or {})

    @property
    def losses(self) -> list[JSON]:
        """Returns the losses that go on, or ended within a day."""
        return list(self.status.get("losses") or [])

    @property
    def intakes(self) -> list[JSON]:
        """Returns the rows of the intakes."""
        return list(self.status.get("intakes") or [])

    @property
    def alarms(self) -> list[JSON]:
        """Returns the active alarms."""
        return list(self.status.get("alarms") or [])

    def rows(self, key: str) -> list[JSON]:
        """Returns a list of the status."""
        return list(self.status.get(key) or [])

    def count(self, kind: str, default: int) -> int:
        """Returns the number of sources of a kind, of which the status lists only some."""
        # The sources are counted less often than they are listed.
        return max(default, int(self.status.get("sources_count", {}).get(kind, default)))

    def before(self, seconds: float) -> datetime:
        """Returns the time so many seconds before the status."""
        return self.taken - timedelta(seconds=seconds)
