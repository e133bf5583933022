"""Holds the accepted events of one request for the sink.

The unit is the request, never the event. The events of a line batch are split and the ids are formatted only on
demand, so a sink that only counts does not pay for them.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from bridge.collector.request_queue import UNPACED, Pace


class Event(NamedTuple):
    """Holds an accepted event."""

    event_id: str
    intake_key: str
    event_timestamp: str | None
    """The timestamp as sent (RFC 3339). None if none was sent; then the time of reception applies."""
    event: bytes


class EventRow(NamedTuple):
    """Holds an event that has no id yet."""

    intake_key: str
    event_timestamp: str | None
    event: bytes


@dataclass(frozen=True, slots=True)
class EventLines:
    """A batch as text separated by LF: no empty line, no LF at either end."""

    intake_key: str
    event_timestamp: str | None
    text: bytes
    count: int

    @property
    def counts(self) -> Mapping[str, int]:
        return {self.intake_key: self.count}

    def rows(self) -> list[EventRow]:
        return [row for part in self.slices(self.count) for row in part]

    def slices(self, size: int) -> Iterator[list[EventRow]]:
        """Yields the events in parts of at most ``size``."""
        lines = self.text.split(b"\n")
        for start in range(0, len(lines), size):
            yield [EventRow(self.intake_key, self.event_timestamp, line) for line in lines[start : start + size]]


@dataclass(frozen=True, slots=True)
class EventRows:
    """A batch whose events were split by parsing (JSON), or a single event."""

    items: list[EventRow]

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(row.intake_key for row in self.items)

    def rows(self) -> list[EventRow]:
        return self.items

    def slices(self, size: int) -> Iterator[list[EventRow]]:
        """Yields the events in parts of at most ``size``."""
        for start in range(0, len(self.items), size):
            yield self.items[start : start + size]


_ID_LENGTH = 36
_IDS_PER_PIECE = 256
_SUFFIXES = tuple(f"{number:03x}" for number in range(4096))


class EventIds:
    """Generates ``count`` unique ids in UUID form (version 8, RFC 9562 section 5.8; all digits but the last three are
    random).

    4,096 ids share one random head and `as_json` needs one join per head, so a benchmark's batch of 20,000 events does
    not cost 20,000 calls.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._heads = [_random_head() for _ in range(0, count, len(_SUFFIXES))]

    def as_list(self) -> list[str]:
        """Returns the ids in the order of the events."""
        ids = [head + suffix for head in self._heads for suffix in _SUFFIXES]
        del ids[self.count :]
        return ids

    def as_json(self) -> str:
        """Returns the ids as a JSON array of strings."""
        left, blocks = self.count, []
        for head in self._heads:
            blocks.append('"' + head + f'","{head}'.join(_SUFFIXES[:left]) + '"')
            left -= len(_SUFFIXES)
        return "[" + ",".join(blocks) + "]"

    def json_pieces(self) -> Iterator[bytes]:
        """Yields the same array in pieces of some KiB, with the length that ``json_length`` returns."""
        for start in range(0, self.count, _IDS_PER_PIECE):
            head, first = self._heads[start // len(_SUFFIXES)], start % len(_SUFFIXES)
            suffixes = _SUFFIXES[first : first + min(_IDS_PER_PIECE, self.count - start)]
            before = "," if start else "["
            ids = f'","{head}'.join(suffixes)
            yield f'{before}"{head}{ids}"'.encode()
        yield b"]"

    def json_length(self) -> int:
        """Returns the bytes of the array."""
        return self.count * (_ID_LENGTH + len('"",')) + 1


def _random_head() -> str:
    digits = os.urandom(16).hex()
    # The 13th digit is the version, the 17th the variant (binary 10xx).
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:29]}"


@dataclass(frozen=True)
class Delivery:
    """All accepted events of one request, in the order of the request."""

    received: datetime
    """Wall time of the reception, aware, UTC."""
    content: EventLines | EventRows
    ids: EventIds = field(repr=False)
    client: str = ""
    """Address of the client."""
    pace: Pace = UNPACED
    """How the sink divides its work among reactor turns."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of events per intake key (``/array`` may mix keys), without splitting a line batch."""
        return self.content.counts

    @cached_property
    def events(self) -> list[Event]:
        """The events with their ids; split on first access."""
        return [Event(event_id, *row) for event_id, row in zip(self.ids.as_list(), self.content.rows(), strict=True)]


class Sink(Protocol):
    """Declares what the API needs of the receiver of accepted events; called once per request."""

    def accept(self, delivery: Delivery) -> Deferred[None] | None:
        """Accepts the whole delivery or nothing of it.

        The client is answered when this returns or when the returned Deferred fires. An exception is logged and
        answered with 503, so the sender keeps the events and sends them again.
        """
