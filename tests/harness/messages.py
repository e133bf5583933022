"""Builds messages whose text contains a number, their time and a unique payload."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

NUMBER = r"\bnumber (\d+) "  # finds message numbers in any text


class SentMessage(NamedTuple):
    """One message: the frame as sent, and the expected event text in the payload form `message`."""

    frame: bytes
    text: str


def rfc3164(number: int, time: datetime, *, host: str = "gw") -> SentMessage:
    """Builds `<30>Nov 23 07:24:00 gw unbound[7640]: TEXT`; its time has whole seconds."""
    time = time.astimezone(UTC).replace(microsecond=0)
    text = _text(number, time)
    stamp = f"{time:%b} {time.day:2} {time:%H:%M:%S}"
    return SentMessage(f"<30>{stamp} {host} unbound[7640]: {text}".encode(), text)


def rfc5424(number: int, time: datetime, *, host: str = "gw") -> SentMessage:
    """Builds `<30>1 2026-11-23T07:24:00.250Z gw app 77 ID7 [origin software="app"] TEXT`."""
    text = _text(number, time)
    return SentMessage(f'<30>1 {_iso(time)} {host} app 77 ID7 [origin software="app"] {text}'.encode(), text)


def number_of(text: str) -> int:
    """Returns the number in an event's text."""
    return int(text.split(" ", 2)[1])


def time_of(text: str) -> datetime:
    """Returns the time in an event's text."""
    return datetime.fromisoformat(text.split(" ", 3)[2])


def _text(number: int, time: datetime) -> str:
    # The digest makes each text unique and of varying length, so that truncated, mixed or swapped texts are detected.
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return f"number {number} {_iso(time)} {digest[: 8 + number % 57]}"


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
