"""Formats and parses the names of packs (``bridge.spool.pack``), with their ranges of positions: ``0-41_57``."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.spool.batch_names import is_valid

if TYPE_CHECKING:
    from bridge.spool.pack_blocks import BlockEntry

SUFFIX = ".pack"

_RANGES = r"[0-9]{1,9}(?:-[0-9]{1,9})?(?:_[0-9]{1,9}(?:-[0-9]{1,9})?)*"
_NAME = re.compile(
    r"([0-9]{1,19})-([0-9]{1,19})-(-?[0-9]{1,16})-(-?[0-9]{1,16})-([0-9]{1,9})-([0-9]{1,12})-([0-9]{1,15})-([0-9]{1,12})"
    rf"(?:\.s(?P<settled>{_RANGES}))?(?:\.b(?P<begun>{_RANGES}))?\.pack"
)


class Ranges:
    """An immutable set of positions, stored as sorted closed ranges that do not overlap or adjoin."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[tuple[int, int]] = ()) -> None:
        joined: list[tuple[int, int]] = []
        for first, last in sorted(parts):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(joined[-1][1], last)
            else:
                joined.append((first, last))
        self._parts = joined

    def __contains__(self, position: int) -> bool:
        return any(first <= position <= last for first, last in self._parts)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __str__(self) -> str:
        return "_".join(str(first) if first == last else f"{first}-{last}" for first, last in self._parts)

    def plus(self, parts: Iterable[tuple[int, int]]) -> "Ranges":
        """Returns a set that also contains ranges of positions, each from its first to its last, inclusive."""
        return Ranges((*self._parts, *parts))

    def covers(self, first: int, last: int) -> bool:
        """Returns True if the set contains all positions from ``first`` to ``last``."""
        return any(a <= first and last <= b for a, b in self._parts)

    def within(self, other: "Ranges") -> bool:
        """Returns True if another set contains all positions of this set."""
        return all(other.covers(first, last) for first, last in self._parts)

    def touches(self, first: int, last: int) -> bool:
        """Returns True if the set contains any position from ``first`` to ``last``."""
        return any(a <= last and first <= b for a, b in self._parts)

    def hull(self) -> "Ranges":
        """Returns a set with one range, from the first to the last position."""
        return Ranges([(self._parts[0][0], self._parts[-1][1])] if self._parts else [])

    @classmethod
    def read(cls, text: str | None) -> "Ranges":
        """Parses the notation that ``str`` writes. Accepts reversed and overlapping ranges. Raises ValueError."""
        bounds = [part.partition("-") for part in (text or "").split("_") if part]
        return cls((int(first), max(int(first), int(last or first))) for first, _, last in bounds)


NO_POSITIONS = Ranges()


@dataclass(frozen=True, slots=True)
class PackName:
    """The fields of a pack's name: its batches, and their progress."""

    first: int
    last: int
    "The lowest and the highest sequence."
    earliest: int
    latest: int
    batches: int
    "Batches that were packed."
    events: int
    size: int
    "Events that are not settled, and the bytes of their lines."
    doubtful: int = 0
    "Events that are not settled and may have been accepted."
    settled: Ranges = NO_POSITIONS
    begun: Ranges = NO_POSITIONS
    "Positions that are settled, and positions that a request has carried."

    def __str__(self) -> str:
        counts = (max(0, count) for count in (self.events, self.size, self.doubtful))
        name = "-".join(map(str, (self.first, self.last, self.earliest, self.latest, self.batches, *counts)))
        name += f".s{self.settled}" if self.settled else ""
        return name + (f".b{self.begun}" if self.begun else "") + SUFFIX

    @classmethod
    def read(cls, text: str) -> "PackName | None":
        """Parses the name of a pack. Returns None if the text is not such a name, or no pack can have it."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        first, last, earliest, latest, batches, events, size, doubtful = map(int, match.groups()[:8])
        if first > last or not batches or not events or not (is_valid(first, earliest) and is_valid(last, latest)):
            return None
        settled, begun = Ranges.read(match["settled"]), Ranges.read(match["begun"])
        return cls(first, last, earliest, latest, batches, events, size, doubtful, settled, begun)

    @classmethod
    def of(cls, entries: "Sequence[BlockEntry]") -> "PackName":
        """Returns the name of a new pack with these batches, in sequence order."""
        return cls(
            entries[0].sequence, entries[-1].sequence, min(entry.earliest for entry in entries),
            max(entry.latest for entry in entries), len(entries), sum(entry.events for entry in entries),
            sum(entry.size for entry in entries), sum(entry.events for entry in entries if entry.sending),
        )  # fmt: skip
