"""Provides sinks that write events as JSON lines or only count them."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from bridge.collector.delivery import Delivery

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class JsonLines:
    """Writes each event as a line, in order of arrival, with one call of ``write`` per request.

    A line is ``{"event_id", "intake_key", "event_timestamp", "received", "event"}``; ``received`` is RFC 3339, UTC,
    milliseconds. A byte of an event that is not UTF-8 becomes the escape ``\\udc80`` to ``\\udcff`` (Python's
    surrogateescape): valid JSON, and ``json.loads(line)["event"].encode("utf-8", "surrogateescape")`` is the event's
    exact bytes again.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def accept(self, delivery: Delivery) -> None:
        """Writes the events. Raises OSError if they cannot be written."""
        received = _rfc3339(delivery.received)
        lines = [
            _line({
                "event_id": event.event_id, "intake_key": event.intake_key, "event_timestamp": event.event_timestamp,
                "received": received, "event": event.event.decode("utf-8", "surrogateescape"),
            })
            for event in delivery.events
        ]  # fmt: skip
        self._write(b"".join(lines))


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
        events = self.counts.total()
        return _line({"time": _rfc3339(now), "requests": self.requests, "events": events, "by_intake_key": self.counts})


def _line(values: dict[str, object]) -> bytes:
    # UTF-8 cannot encode a lone surrogate; Python's backslash form is the same as the JSON escape.
    return (_ENCODE(values) + "\n").encode("utf-8", "backslashreplace")


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
