"""Sets of positions as ranges, as the name of a pack writes them: ``0-41_57``."""

from collections.abc import Iterable


class Ranges:
    """Positions, kept as sorted closed ranges that do not touch."""

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
        """Add the positions from ``first`` to ``last``."""
        apart = []
        for a, b in self._parts:
            if b + 1 < first or a > last + 1:
                apart.append((a, b))
            else:
                first, last = min(a, first), max(b, last)
        apart.append((first, last))
        apart.sort()
        self._parts = apart

    def covers(self, first: int, last: int) -> bool:
        """Whether all positions from ``first`` to ``last`` are in it."""
        return any(a <= first and last <= b for a, b in self._parts)

    def within(self, other: "Ranges") -> bool:
        """Whether all of its positions are in another set."""
        return all(other.covers(first, last) for first, last in self._parts)

    def touches(self, first: int, last: int) -> bool:
        """Whether any position from ``first`` to ``last`` is in it."""
        return any(a <= last and first <= b for a, b in self._parts)

    def copy(self) -> "Ranges":
        """Another set of the same positions."""
        return Ranges(self._parts)

    def hull(self) -> "Ranges":
        """One range from the first to the last position."""
        return Ranges([(self._parts[0][0], self._parts[-1][1])] if self._parts else [])

    @classmethod
    def read(cls, text: str | None) -> "Ranges":
        """From ``str``; of what only looks like it, too."""
        ranges = cls()
        for part in (text or "").split("_"):
            first, _, last = part.partition("-")
            if first:
                ranges.add(int(first), max(int(first), int(last or first)))
        return ranges
