"""Declares what a package needs to raise and clear alarms; ``bridge.monitoring.alarms`` implements it."""

from collections.abc import Mapping
from typing import Protocol


class AlarmSink(Protocol):
    """Receives conditions that an operator must know about."""

    @property
    def active(self) -> Mapping[tuple[str, str], str]:
        """Returns the active alarms: (kind, about) mapped to text."""

    def on(self, kind: str, about: str, text: str) -> None:
        """Raises an alarm, or updates its text."""

    def off(self, kind: str, about: str, text: str) -> None:
        """Clears an alarm; does nothing if it is not raised."""
