"""Represents sets of positions as ranges, in the notation of pack names: ``0-41_57``."""

from collections.abc import Iterable


class Ranges:
    """A set of positions, stored as sorted closed ranges that do not overlap or adjoin."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[tuple[int, int]] = ()) -> None:
        self._parts: list[tuple[int, int]] = []
        for first, last in parts:
            self.add(first, last)

    def __contains__(self, position: int) -> bool:
        return any(first <= position <= last for first, last in self._parts)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __str__(self) -> str:
        return "_".join(str(first) if first == last else f"{first}-{last}" for first, last in self._parts)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._parts)

    def add(self, first: int, last: int) -> None:
        """Adds the positions from ``first`` to ``last``, inclusive."""
        separate = []
        for a, b in self._parts:
            if b + 1 < first or a > last + 1:
                separate.append((a, b))
            else:
                first, last = min(a, first), max(b, last)
        separate.append((first, last))
        separate.sort()
        self._parts = separate

    def covers(self, first: int, last: int) -> bool:
        """Returns True if the set contains all positions from ``first`` to ``last``."""
        return any(a <= first and last <= b for a, b in self._parts)

    def within(self, other: "Ranges") -> bool:
        """Returns True if another set contains all positions of this set."""
        return all(other.covers(first, last) for first, last in self._parts)

    def touches(self, first: int, last: int) -> bool:
        """Returns True if the set contains any position from ``first`` to ``last``."""
        return any(a <= last and first <= b for a, b in self._parts)

    def copy(self) -> "Ranges":
        """Returns a copy of the set."""
        return Ranges(self._parts)

    def hull(self) -> "Ranges":
        """Returns a set with one range, from the first to the last position."""
        return Ranges([(self._parts[0][0], self._parts[-1][1])] if self._parts else [])

    @classmethod
    def read(cls, text: str | None) -> "Ranges":
        """Parses the notation that ``str`` writes. Accepts reversed and overlapping ranges. Raises ValueError."""
        ranges = cls()
        for part in (text or "").split("_"):
            first, _, last = part.partition("-")
            if first:
                ranges.add(int(first), max(int(first), int(last or first)))
        return ranges
