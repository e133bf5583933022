"""Composes test messages in the form of RFC 3164 or RFC 5424, optionally with the octet counting of RFC 6587."""

from dataclasses import dataclass
from datetime import datetime

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
NUMBER = "{n}"
"""The placeholder for the message's number, counted from 1."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Builds frames from texts; ``time`` None means the current time."""

    rfc5424: bool
    priority: int
    hostname: str
    app_name: str
    time: datetime | None
    raw: bool = False
    "True if the texts are complete frames already."
    octet_counted: bool = False

    def compose(self, text: bytes, number: int) -> bytes:
        """Returns one frame, without the line end that terminates it in a stream."""
        text = text.replace(NUMBER.encode(), b"%d" % number)
        frame = text if self.raw else self._header() + text
        return b"%d %b" % (len(frame), frame) if self.octet_counted else frame

    def _header(self) -> bytes:
        # Real senders write their local time. RFC 3164 timestamps show it without its zone.
        time = self.time or datetime.now().astimezone()
        if self.rfc5424:
            aware = time if time.tzinfo is not None else time.astimezone()
            stamp = aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return f"<{self.priority}>1 {stamp} {self.hostname} {self.app_name} - - - ".encode()
        stamp = f"{_MONTHS[time.month - 1]} {time.day:2} {time:%H:%M:%S}"
        return f"<{self.priority}>{stamp} {self.hostname} {self.app_name}: ".encode()
