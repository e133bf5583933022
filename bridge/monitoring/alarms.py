"""Keeps the active alarms and reports each once when it starts and once when it ends.

Alarms are written to the log, shown in the status and, with ``admin.self_events``, delivered as events.
"""

import time
from collections.abc import Callable

from twisted.logger import Logger

EVERY = 5.0
"Seconds between two checks for alarms that end."

log = Logger(namespace="app")


class Alarms:
    """Holds the alarms of one bridge. ``emit`` sends a self event; it must not raise. ``clock`` is monotonic."""

    MOST = 1000
    "Maximum number of active alarms. Further ones are ignored: a longer list of sources would not help the operator."

    def __init__(
        self, emit: Callable[[str], None] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.active: dict[tuple[str, str], str] = {}
        "The active alarms: (kind, about) -> text."
        self._emit = emit
        self._clock = clock
        self._ends: dict[tuple[str, str], tuple[float, float]] = {}
        "Alarms that end by themselves: (kind, about) -> the time of their end, and the seconds for which they last."

    def on(self, kind: str, about: str, text: str, *, lasts: float | None = None) -> None:
        """Raises an alarm. An active alarm is reported again only if its text has changed. With ``lasts``, the alarm
        ends this many seconds after the last call."""
        key = (kind, about)
        if key not in self.active and len(self.active) >= self.MOST:
            return
        if lasts is None:
            self._ends.pop(key, None)
        else:
            self._ends[key] = (self._clock() + lasts, lasts)
        if self.active.get(key) == text:
            return
        self.active[key] = text
        log.warn("{text}", text=text)
        self._emit_event(kind, about, "on", text)

    def off(self, kind: str, about: str, text: str) -> None:
        """Ends an alarm and reports ``text``. Does nothing if the alarm is not active."""
        self._ends.pop((kind, about), None)
        if self.active.pop((kind, about), None) is not None:
            log.info("{text}", text=text)
            self._emit_event(kind, about, "off", text)

    def look(self) -> None:
        """Ends the alarms that have lasted long enough. Called every few seconds."""
        now = self._clock()
        for (kind, about), (end, lasts) in list(self._ends.items()):
            if now >= end:
                again = f"{lasts / 3600:.0f} hours" if lasts >= 3600 else f"{lasts:.0f} seconds"
                self.off(kind, about, f"not happened again for {again}: {self.active[kind, about]}")

    def _emit_event(self, kind: str, about: str, state: str, text: str) -> None:
        if self._emit is not None:
            self._emit(f'alarm={kind} state={state} about="{_quoted(about)}" message="{_quoted(text)}"')


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
