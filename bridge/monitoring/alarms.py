"""Keeps the active alarms and reports each once when it starts and once when it ends.

Alarms are written to the log, shown in the status and, with ``admin.self_events``, delivered as events.
"""

from collections.abc import Callable

from twisted.logger import Logger

log = Logger(namespace="app")


class Alarms:
    """Holds the alarms of one bridge. ``emit`` sends a self event; it must not raise."""

    MOST = 1000
    "Maximum number of active alarms. Further ones are ignored: a longer list of sources would not help the operator."

    def __init__(self, emit: Callable[[str], None] | None = None) -> None:
        self.active: dict[tuple[str, str], str] = {}
        "The active alarms: (kind, about) -> text."
        self._emit = emit

    def on(self, kind: str, about: str, text: str) -> None:
        """Raises an alarm. An active alarm is reported again only if its text has changed."""
        if self.active.get((kind, about)) == text or (
            (kind, about) not in self.active and len(self.active) >= self.MOST
        ):
            return
        self.active[kind, about] = text
        log.warn("{text}", text=text)
        self._emit_event(kind, about, "on", text)

    def off(self, kind: str, about: str, text: str) -> None:
        """Ends an alarm and reports ``text``. Does nothing if the alarm is not active."""
        if self.active.pop((kind, about), None) is not None:
            log.info("{text}", text=text)
            self._emit_event(kind, about, "off", text)

    def _emit_event(self, kind: str, about: str, state: str, text: str) -> None:
        if self._emit is not None:
            self._emit(f'alarm={kind} state={state} about="{_quoted(about)}" message="{_quoted(text)}"')


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
