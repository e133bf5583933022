"""One line an event of the bridge's life, on stderr. Never a key, never a message body.

Twisted's own chatter is left out below warnings.
"""

import sys
from datetime import UTC, datetime
from typing import TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from zope.interface import implementer

OURS = ("app", "listen", "deliver", "spool", "admin", "collector")


@implementer(ILogObserver)
class Lines:
    """``2026-11-23T07:24:00Z warn deliver: ...``"""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        level = event.get("log_level") or LogLevel.info
        namespace = str(event.get("log_namespace", ""))
        ours = namespace in OURS
        if level < (LogLevel.info if ours else LogLevel.warn):
            return
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        when = datetime.fromtimestamp(event.get("log_time", 0.0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            self._to.write(f"{when} {level.name} {namespace if ours else 'twisted'}: {text}\n")
            self._to.flush()
        except (OSError, ValueError):
            # stderr is gone; the bridge must go on.
            pass


def begin() -> None:
    """Log to stderr from here on."""
    globalLogBeginner.beginLoggingTo([Lines(sys.stderr)], redirectStandardIO=False, discardBuffer=True)
