"""Sinks: events as JSON lines, in memory, or only counted."""

import json
from collections import Counter
from datetime import datetime
from typing import Protocol

from bridge.collector.delivery import Delivery, Event

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Writable(Protocol):
    """What `JsonLines` needs of a binary file."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> None: ...


class JsonLines:
    """Writes each event as a line, in order of arrival, one write and flush a request.

    A line is ``{"event_id", "intake_key", "event_timestamp", "received", "event"}``; ``received`` is RFC 3339, UTC,
    milliseconds. A byte of an event that is not UTF-8 becomes the escape ``\\udc80`` to ``\\udcff`` (Python's
    surrogateescape): valid JSON, and ``json.loads(line)["event"].encode("utf-8", "surrogateescape")`` is the event's
    exact bytes again.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file

    def accept(self, delivery: Delivery) -> None:
        """Raises OSError when the file cannot take it."""
        self._file.write(as_json_lines(delivery))
        self._file.flush()


def as_json_lines(delivery: Delivery) -> bytes:
    """The delivery's events as `JsonLines` writes them."""
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
    # A lone surrogate cannot be UTF-8; its backslash form happens to be JSON's own escape.
    return text.encode("utf-8", "backslashreplace")


class Memory:
    """Keeps all deliveries, for tests."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def accept(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    @property
    def events(self) -> list[Event]:
        """All events in order of arrival."""
        return [event for delivery in self.deliveries for event in delivery.events]


class Counting:
    """Counts events and requests without cutting a batch, for benchmarks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.requests = 0

    def accept(self, delivery: Delivery) -> None:
        self.requests += 1
        self.counts.update(delivery.counts)

    def as_json(self, now: datetime) -> bytes:
        """The totals so far as a line ``{"time", "requests", "events", "by_intake_key"}``."""
        totals = {
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requests": self.requests,
            "events": self.counts.total(),
            "by_intake_key": self.counts,
        }
        return (_ENCODE(totals) + "\n").encode("utf-8", "backslashreplace")
