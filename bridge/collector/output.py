"""Provides sinks that write events as JSON lines or only count them."""

import json
from collections import Counter
from datetime import datetime
from typing import Protocol

from bridge.collector.delivery import Delivery

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Writable(Protocol):
    """Declares what `JsonLines` needs of a binary file."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> None: ...


class JsonLines:
    """Writes each event as a line, in order of arrival, with one write and flush per request.

    A line is ``{"event_id", "intake_key", "event_timestamp", "received", "event"}``; ``received`` is RFC 3339, UTC,
    milliseconds. A byte of an event that is not UTF-8 becomes the escape ``\\udc80`` to ``\\udcff`` (Python's
    surrogateescape): valid JSON, and ``json.loads(line)["event"].encode("utf-8", "surrogateescape")`` is the event's
    exact bytes again.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file

    def accept(self, delivery: Delivery) -> None:
        """Writes the events. Raises OSError if they cannot be written."""
        self._file.write(as_json_lines(delivery))
        self._file.flush()


def as_json_lines(delivery: Delivery) -> bytes:
    """Returns the delivery's events in the form that `JsonLines` writes."""
    received = delivery.received.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = "".join(
        _ENCODE(
            {
                "event_id": event.event_id,
                "intake_key": event.intake_key,
                "event_timestamp": event.event_timestamp,
                "received": received,
                "event": event.event.decode("utf-8", "surrogateescape"),
            }
        )
        + "\n"
        for event in delivery.events
    )
    # UTF-8 cannot encode a lone surrogate; Python's backslash form is the same as the JSON escape.
    return text.encode("utf-8", "backslashreplace")


class Counting:
    """Counts events and requests without splitting a batch, for benchmarks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.requests = 0

    def accept(self, delivery: Delivery) -> None:
        self.requests += 1
        self.counts.update(delivery.counts)

    def as_json(self, now: datetime) -> bytes:
        """Returns the totals so far as a line ``{"time", "requests", "events", "by_intake_key"}``."""
        totals = {
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requests": self.requests,
            "events": self.counts.total(),
            "by_intake_key": self.counts,
        }
        return (_ENCODE(totals) + "\n").encode("utf-8", "backslashreplace")
