"""One line an event of the bridge's life, on stderr. Never a key, never a message body.

Twisted's own chatter is left out below warnings. A line that comes again and again is written ``Throttle.BURST`` times
in ten seconds; then how often it was left out.

=========  ==================================================================================
text       ``2026-11-23T07:24:00Z warn deliver: ...``
journal    ``<4>deliver: ...``: the level as journald reads it (sd-daemon(3)); the time is its own
json       ``{"time": ..., "level": "warn", "logger": "deliver", "message": ...}``
auto       journal where stderr is journald's, else text
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

OURS = ("app", "listen", "deliver", "fleet", "spool", "admin", "collector")

# Of syslog(3), which journald reads.
_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}


class LogLine(NamedTuple):
    """An event of the log, ready to be written."""

    time: float
    "Seconds since the epoch."
    level: str
    logger: str
    text: str
    "One line, without control characters."


class Recent:
    """The last lines of the log, for the status page."""

    MOST = 200
    LONGEST = 1000

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=self.MOST)

    def __call__(self, line: LogLine) -> None:
        """Keep one."""
        self._lines.append(line)

    def lines(self) -> list[dict[str, str]]:
        """The latest first."""
        return [
            {"time": stamp(one.time), "level": one.level, "logger": one.logger, "text": one.text[: self.LONGEST]}
            for one in reversed(tuple(self._lines))
        ]


class Written:
    """Writes lines in a style."""

    def __init__(self, to: TextIO, style: str = "text") -> None:
        self._to = to
        self._shown: Callable[[LogLine], str] = {"text": as_text, "journal": as_journal, "json": as_json}[style]

    def __call__(self, line: LogLine) -> None:
        """Write one."""
        try:
            self._to.write(self._shown(line) + "\n")
            self._to.flush()
        except (OSError, ValueError):
            # stderr is gone; the bridge must go on.
            pass


def as_text(line: LogLine) -> str:
    """For people."""
    return f"{stamp(line.time)} {line.level} {line.logger}: {line.text}"


def as_journal(line: LogLine) -> str:
    """For journald."""
    return f"<{_PRIORITIES.get(line.level, 6)}>{line.logger}: {line.text}"


def as_json(line: LogLine) -> str:
    """For what collects logs."""
    return json.dumps({"time": stamp(line.time), "level": line.level, "logger": line.logger, "message": line.text})


def stamp(seconds: float) -> str:
    """``2026-11-23T07:24:00Z``"""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Throttle:
    """Passes a kind of line at most ``BURST`` times in ``PERIOD``, then tells how many it left out."""

    BURST = 30
    PERIOD = 10.0
    MOST_KINDS = 1000

    def __init__(self, to: Callable[[LogLine], None]) -> None:
        self._to = to
        self._kinds: dict[str, tuple[float, int]] = {}
        "Since when, and how many."

    def __call__(self, kind: str, line: LogLine) -> None:
        """One line. Lines of one kind differ in their figures and names only."""
        for other, (since, count) in list(self._kinds.items()):
            if not 0 <= line.time - since < self.PERIOD:
                del self._kinds[other]
                if count > self.BURST:
                    text = f"{count - self.BURST} lines like this were left out: {other[:200]}"
                    self._to(line._replace(text=text))
        since, count = self._kinds.get(kind, (line.time, 0))
        if len(self._kinds) < self.MOST_KINDS or count:
            self._kinds[kind] = (since, count + 1)
        if count < self.BURST:
            self._to(line)


@implementer(ILogObserver)
class LogObserver:
    """Twisted's events as lines, for one outlet. ``level``: the least of ours that it gets."""

    def __init__(self, outlet: Callable[[LogLine], None], *, level: str = "info") -> None:
        self._level = LogLevel.lookupByName(level)
        self._throttle = Throttle(outlet)

    def __call__(self, event: LogEvent) -> None:
        """One event."""
        level = event.get("log_level") or LogLevel.info
        namespace = str(event.get("log_namespace", ""))
        ours = namespace in OURS
        if level < (self._level if ours else max(self._level, LogLevel.warn)):
            return
        text = _on_one_line(eventAsText(event, includeTimestamp=False, includeSystem=False))
        line = LogLine(event.get("log_time", 0.0), level.name, namespace if ours else "twisted", text)
        said = str(event.get("log_format") or "")
        self._throttle(f"{line.logger}: {text if said in ('', '{text}') else said}", line)


def _on_one_line(text: str) -> str:
    """A traceback keeps its line ends as \\n; names and words from far away can do nothing to a terminal."""
    text = text.replace("\n", "\\n")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def chosen(style: str, stream: TextIO) -> str:
    """``auto`` becomes journal where systemd says that the stream is its own (systemd.exec(5), JOURNAL_STREAM)."""
    if style != "auto":
        return style
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "text"
    return "journal" if os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}" else "text"


def begin(style: str = "auto", level: str = "info", *, kept: str | None = None) -> Recent:
    """Log to stderr from here on; the last lines are kept, too, from the level ``kept``, or the same."""
    recent = Recent()
    observers = [
        LogObserver(Written(sys.stderr, chosen(style, sys.stderr)), level=level),
        LogObserver(recent, level=kept or level)
    ]  # fmt: skip
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)
    return recent
