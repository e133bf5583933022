"""Declares what a package needs to raise and clear alarms; ``bridge.monitoring.alarms`` implements it."""

from collections.abc import Mapping
from typing import Protocol

A_DAY = 86_400.0
"""Seconds for which an alarm lasts that reports a finished loss or damage. Nothing can end such an alarm earlier, and
an operator who looks once a day must see it."""
ENDS_IN_A_DAY = "This alarm ends after 24 hours without another"
"The last sentence of such an alarm."


class AlarmSink(Protocol):
    """Receives conditions that an operator must know about."""

    @property
    def active(self) -> Mapping[tuple[str, str], str]:
        """Returns the active alarms: (kind, about) mapped to text."""

    def on(self, kind: str, about: str, text: str, *, lasts: float | None = None, remedy: str = "") -> None:
        """Raises an alarm, or updates its text. With ``lasts``, the alarm ends this many seconds after the last call,
        for something that has happened and does not persist. ``remedy`` says what to do. ``kind`` is one of
        ``monitoring.alarm_kinds.KINDS``."""

    def off(self, kind: str, about: str, text: str) -> None:
        """Clears an alarm; does nothing if it is not raised."""
