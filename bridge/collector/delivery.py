"""What one request brought, on its way to the sink.

The unit is the request, never the event: a sink that only counts pays nothing for the events it does not look at, so
the events of a line batch are cut, and ids are written out, only when somebody asks.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred


class Event(NamedTuple):
    """One accepted event."""

    event_id: str
    intake_key: str
    event_timestamp: str | None
    """As the sender gave it (RFC 3339), None: none given, the reception's time stands."""
    event: bytes


class EventRow(NamedTuple):
    """One event before it has an id."""

    intake_key: str
    event_timestamp: str | None
    event: bytes


@dataclass(frozen=True, slots=True)
class EventLines:
    """A batch as LF-separated text: no empty line, no LF at either end."""

    intake_key: str
    event_timestamp: str | None
    text: bytes
    count: int

    @property
    def counts(self) -> Mapping[str, int]:
        return {self.intake_key: self.count}

    def rows(self) -> list[EventRow]:
        return [EventRow(self.intake_key, self.event_timestamp, line) for line in self.text.split(b"\n")]


@dataclass(frozen=True, slots=True)
class EventRows:
    """A batch whose events had to be cut to be read at all (JSON), or a single event."""

    items: list[EventRow]

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(row.intake_key for row in self.items)

    def rows(self) -> list[EventRow]:
        return self.items


_SUFFIXES = tuple(f"{number:03x}" for number in range(4096))


class EventIds:
    """``count`` unique ids in UUID form (version 8, RFC 9562 section 5.8: random, but for the last three digits).

    Ids are made 4,096 at a time from one random head, for a benchmark's batch of 20,000 events must not cost 20,000
    calls: `as_json` is one join a head.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._heads = [_random_head() for _ in range(0, count, len(_SUFFIXES))]

    def as_list(self) -> list[str]:
        """The ids in the order of the events."""
        ids = [head + suffix for head in self._heads for suffix in _SUFFIXES]
        del ids[self.count :]
        return ids

    def as_json(self) -> str:
        """The ids as a JSON array of strings."""
        left, blocks = self.count, []
        for head in self._heads:
            blocks.append('"' + head + f'","{head}'.join(_SUFFIXES[:left]) + '"')
            left -= len(_SUFFIXES)
        return "[" + ",".join(blocks) + "]"


def _random_head() -> str:
    digits = os.urandom(16).hex()
    # The 13th digit is the version, the 17th the variant (binary 10xx).
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:29]}"


@dataclass(frozen=True)
class Delivery:
    """All accepted events of one request, in the request's order."""

    received: datetime
    """Wall time of the reception, aware, UTC."""
    content: EventLines | EventRows
    ids: EventIds = field(repr=False)
    client: str = ""
    """The address of who sent it."""

    @property
    def count(self) -> int:
        """How many events; costs nothing."""
        return self.content.count

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events for each intake key (``/array`` may mix keys); does not cut a line batch."""
        return self.content.counts

    @cached_property
    def events(self) -> list[Event]:
        """The events, cut and with their ids when first asked for."""
        return [Event(event_id, *row) for event_id, row in zip(self.ids.as_list(), self.content.rows(), strict=True)]


class Sink(Protocol):
    """Where accepted events go: one call a request."""

    def accept(self, delivery: Delivery) -> Deferred[None] | None:
        """Take the whole delivery or none of it.

        The client is answered when this returns, or when the Deferred it returns fires. What it raises is logged and
        answered with 503: the sender keeps the events and sends them again.
        """
