"""Adds up events and bytes per day, by intake and by source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

MOST_SOURCES = 1000
"""Sources of one day that are kept, the busiest; the others are added up. A flood from forged addresses must not fill
the memory."""


@dataclass(slots=True)
class IntakeVolume:
    """The events of one intake and day. ``size``: bytes of the delivered events, without those of the protocol."""

    received: int = 0
    delivered: int = 0
    dropped: int = 0
    size: int = 0


@dataclass(slots=True)
class SourceVolume:
    """The events that one source has sent on one day. ``size``: their bytes, estimated from samples."""

    events: int = 0
    size: int = 0

    def add(self, events: int, size: int) -> None:
        """Adds events and their bytes."""
        self.events += events
        self.size += size


Source = tuple[str, str, str]
"Listener, address, and name or an empty text."
OTHERS: Source = ("", "", "")
"Stands for all sources that the journal does not list, and for events without a source."


class Volumes:
    """The volumes of a report's period, by UTC day."""

    def __init__(self) -> None:
        self.intakes: dict[tuple[date, str], IntakeVolume] = {}
        self.sources: dict[date, dict[Source, SourceVolume]] = {}

    def add_intake(
        self, day: date, intake: str, *, received: int, delivered: int, dropped: int, size: int
    ) -> None:  # fmt: skip
        """Adds the changes of an interval."""
        if received or delivered or dropped or size:
            volume = self.intakes.setdefault((day, intake), IntakeVolume())
            volume.received += received
            volume.delivered += delivered
            volume.dropped += dropped
            volume.size += size

    def add_sources(self, day: date, listed: Sequence[Sequence[Any]], others: Sequence[int]) -> None:
        """Adds the sources of a journal line: [listener, address, name or null, events, bytes] of each. Raises
        ValueError or TypeError if the format is invalid."""
        sources = self.sources.setdefault(day, {OTHERS: SourceVolume()})
        for listener, address, name, events, size in listed:
            sources.setdefault((listener, address, name or ""), SourceVolume()).add(events, size)
        sources[OTHERS].add(*others)
        if len(sources) > 2 * MOST_SOURCES:
            order = sorted(sources, key=lambda source: (source == OTHERS, sources[source].events))
            for source in order[: len(sources) - MOST_SOURCES]:
                volume = sources.pop(source)
                sources[OTHERS].add(volume.events, volume.size)

    def source_rows(self, day: date) -> list[tuple[Source, SourceVolume]]:
        """Returns the sources of a day, the busiest first and ``OTHERS`` last, at most ``MOST_SOURCES`` and that."""
        found = {source: SourceVolume(each.events, each.size) for source, each in self.sources[day].items()}
        others = found.pop(OTHERS)
        rows = sorted(found.items(), key=lambda row: (-row[1].events, row[0]))
        for _, volume in rows[MOST_SOURCES:]:
            others.add(volume.events, volume.size)
        return rows[:MOST_SOURCES] + ([(OTHERS, others)] if others.events or others.size else [])
