"""Writes the process log to stderr, one line per log event. The log never contains an intake key or a message body.

Twisted's own log events below level ``warn`` are dropped. At most ``Throttle.BURST`` lines of one kind are written in
ten seconds; then one line gives the number of suppressed lines.

=========  ==================================================================================
text       ``2026-11-23T07:24:00Z warn deliver: ...``
journal    ``<4>deliver: ...``: the prefix is the level for journald (sd-daemon(3)); journald adds the time
json       ``{"time": ..., "level": "warn", "logger": "deliver", "message": ...}``
auto       journal if stderr is connected to journald, else text
=========  ==================================================================================
"""

import json
import os
import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from zope.interface import implementer

NAMESPACES = frozenset({"admin", "app", "deliver", "fleet", "ledger", "listen", "reactor", "spool"})
"Namespaces of this program's loggers. Events of all others are Twisted's."

# Severities of syslog(3) by level. journald reads them from the prefix of a line.
_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}


class LogLine(NamedTuple):
    """Log event as one line, before it is formatted in a style."""

    time: float
    "Seconds since the epoch."
    level: str
    logger: str
    text: str
    "Text of one line, without control characters."


class Recent:
    """Keeps the last lines of the log for the status page."""

    MAX_LINES = 200
    MAX_LENGTH = 1000

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=self.MAX_LINES)

    def __call__(self, line: LogLine) -> None:
        """Stores a line."""
        self._lines.append(line)

    def lines(self) -> list[dict[str, str]]:
        """Returns the lines, the latest first."""
        return [
            {"time": stamp(line.time), "level": line.level, "logger": line.logger, "text": line.text[: self.MAX_LENGTH]}
            for line in reversed(tuple(self._lines))
        ]


class Written:
    """Writes log lines to a stream in one of the styles text, journal and json."""

    def __init__(self, stream: TextIO, style: str = "text") -> None:
        self._stream = stream
        self._format = _STYLES[style]

    def __call__(self, line: LogLine) -> None:
        """Writes a line. Ignores errors of the stream."""
        try:
            self._stream.write(self._format(line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # stderr is closed; the gateway must continue.
            pass


_STYLES: dict[str, Callable[[LogLine], str]] = {
    "text": lambda line: f"{stamp(line.time)} {line.level} {line.logger}: {line.text}",
    "journal": lambda line: f"<{_PRIORITIES.get(line.level, 6)}>{line.logger}: {line.text}",
    "json": lambda line: json.dumps(
        {"time": stamp(line.time), "level": line.level, "logger": line.logger, "message": line.text}
    ),
}


def stamp(seconds: float) -> str:
    """Returns seconds since the epoch in the form ``2026-11-23T07:24:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Throttle:
    """Passes at most ``BURST`` lines of one kind in ``PERIOD`` seconds, then writes how many lines it suppressed."""

    BURST = 30
    PERIOD = 10.0
    MAX_KINDS = 1000

    def __init__(self, outlet: Callable[[LogLine], None]) -> None:
        self._outlet = outlet
        self._kinds: dict[str, tuple[float, int]] = {}
        "Time of the first line in the period and number of lines in it, by kind."

    def __call__(self, kind: str, line: LogLine) -> None:
        """Passes or suppresses a line. Lines of one kind differ only in their numbers and names."""
        for other, (since, count) in list(self._kinds.items()):
            if not 0 <= line.time - since < self.PERIOD:
                del self._kinds[other]
                if count > self.BURST:
                    text = f"suppressed {count - self.BURST} similar lines: {other[:200]}"
                    self._outlet(line._replace(text=text))
        since, count = self._kinds.get(kind, (line.time, 0))
        if len(self._kinds) < self.MAX_KINDS or count:
            self._kinds[kind] = (since, count + 1)
        if count < self.BURST:
            self._outlet(line)


@implementer(ILogObserver)
class LogObserver:
    """Turns Twisted log events into lines for one outlet. ``level`` is the lowest level of this program's events."""

    def __init__(self, outlet: Callable[[LogLine], None], *, level: str = "info") -> None:
        self._level = LogLevel.lookupByName(level)
        self._throttle = Throttle(outlet)

    def __call__(self, event: LogEvent) -> None:
        """Handles one Twisted log event."""
        level = event.get("log_level") or LogLevel.info
        namespace = str(event.get("log_namespace", ""))
        own = namespace in NAMESPACES
        if level < (self._level if own else max(self._level, LogLevel.warn)):
            return
        text = _on_one_line(eventAsText(event, includeTimestamp=False, includeSystem=False))
        line = LogLine(event.get("log_time", 0.0), level.name, namespace if own else "twisted", text)
        template = str(event.get("log_format") or "")
        self._throttle(f"{line.logger}: {text if template in ('', '{text}') else template}", line)


def _on_one_line(text: str) -> str:
    """Returns the text as one line of printable characters.

    Replaces each line end, for example of a traceback, by ``\\n``. Escapes control characters, so that text from the
    network cannot control a terminal.
    """
    text = text.replace("\n", "\\n")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def choose_style(style: str, stream: TextIO) -> str:
    """Resolves the style ``auto``: journal if the stream is connected to journald, else text.

    Compares the stream with JOURNAL_STREAM (systemd.exec(5)).
    """
    if style != "auto":
        return style
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "text"
    return "journal" if os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}" else "text"


def begin(style: str = "auto", level: str = "info", *, kept: str | None = None) -> Recent:
    """Starts logging to stderr from ``level`` on. Returns the store of the last lines.

    ``kept`` is the lowest level of the stored lines; the default is ``level``.
    """
    recent = Recent()
    observers = [
        LogObserver(Written(sys.stderr, choose_style(style, sys.stderr)), level=level),
        LogObserver(recent, level=kept or level)
    ]  # fmt: skip
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)
    return recent
