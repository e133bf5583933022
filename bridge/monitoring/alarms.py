"""What an operator must know, said once when it begins and once when it ends: in the log, in the status, and, with
``admin.self_events``, as an event among the others.
"""

from collections.abc import Callable

from twisted.logger import Logger

log = Logger(namespace="app")


class Alarms:
    """The alarms of one bridge. ``emit`` sends a self event; it must not raise."""

    MOST = 1000
    "Kept at a time; the names of a thousand sources say no more than those of the first hundred."

    def __init__(self, emit: Callable[[str], None] | None = None) -> None:
        self.active: dict[tuple[str, str], str] = {}
        "What is so now: (kind, about) -> text."
        self._emit = emit

    def on(self, kind: str, about: str, text: str) -> None:
        """It is so. Said again only when the words change."""
        if self.active.get((kind, about)) == text or (
            (kind, about) not in self.active and len(self.active) >= self.MOST
        ):
            return
        self.active[kind, about] = text
        log.warn("{text}", text=text)
        self._say(kind, about, "on", text)

    def off(self, kind: str, about: str, text: str) -> None:
        """It is so no longer; nothing where it was not."""
        if self.active.pop((kind, about), None) is not None:
            log.info("{text}", text=text)
            self._say(kind, about, "off", text)

    def _say(self, kind: str, about: str, state: str, text: str) -> None:
        if self._emit is not None:
            self._emit(f'alarm={kind} state={state} about="{_quoted(about)}" message="{_quoted(text)}"')


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
