"""Test messages, as a device would write them: RFC 3164 or RFC 5424, and the octet count of RFC 6587."""

from dataclasses import dataclass
from datetime import datetime

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
NUMBER = "{n}"
"""Stands for the message's number, counted from 1."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes frames of texts. ``time``: None is the time of composing."""

    rfc5424: bool
    priority: int
    hostname: str
    app_name: str
    time: datetime | None
    raw: bool = False
    "Texts are whole frames already."
    octet_counted: bool = False

    def compose(self, text: bytes, number: int) -> bytes:
        """One frame, without the line end that ends it in a stream."""
        text = text.replace(NUMBER.encode(), b"%d" % number)
        frame = text if self.raw else self._header() + text
        return b"%d %b" % (len(frame), frame) if self.octet_counted else frame

    def _header(self) -> bytes:
        # Real senders write their own clock: local time, which RFC 3164 shows without its zone.
        time = self.time or datetime.now().astimezone()
        if self.rfc5424:
            aware = time if time.tzinfo is not None else time.astimezone()
            stamp = aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return f"<{self.priority}>1 {stamp} {self.hostname} {self.app_name} - - - ".encode()
        stamp = f"{_MONTHS[time.month - 1]} {time.day:2} {time:%H:%M:%S}"
        return f"<{self.priority}>{stamp} {self.hostname} {self.app_name}: ".encode()
