"""Records rates and backlog of each intake for its plots: for an hour and for a day.

The steps are longer than those of the gateway's own history, and values are stored in single precision. So one intake
needs less than 8 KiB, and ``MAX_INTAKES`` bounds the memory of all.
"""

from array import array
from collections.abc import Collection, Mapping
from math import isnan, nan

FIGURES = ("received", "delivered", "waiting")
"Events per second received and delivered, and waiting events."
HOUR = (20.0, 180)
"Seconds between two readings, and the number of readings."
DAY = (300.0, 288)
MAX_INTAKES = 1000
"Intakes with a history, at most; a further intake has none until another one is removed."

Counts = tuple[int, int]
"Events received and delivered since start."


class IntakeRing:
    """Holds the last readings of every intake, ``step`` seconds apart."""

    def __init__(self, step: float, max_readings: int) -> None:
        self.step = step
        self._max_readings = max_readings
        self._times = array("d")
        self._columns: dict[str, tuple[array[float], ...]] = {}
        self._counts: dict[str, Counts] = {}
        "Counters of each intake at the last reading."
        self._read_at: float | None = None

    def begin(self, now: float, counts: Mapping[str, Counts]) -> None:
        """Starts the first interval. ``now`` is in monotonic seconds."""
        self._read_at, self._counts = now, dict(counts)

    def add(self, now: float, when: float, counts: Mapping[str, Counts], waiting: Mapping[str, int]) -> None:
        """Adds a reading if the last one is a step old. ``when`` is in seconds since the epoch; ``waiting`` has all
        intakes, and those that it does not have any more are removed."""
        if self._read_at is None or (passed := now - self._read_at) < self.step:
            return
        if len(self._times) >= self._max_readings:
            # A tenth at a time: removing the front of an array moves all the rest.
            spare = self._max_readings // 10
            del self._times[:spare]
            for columns in self._columns.values():
                for column in columns:
                    del column[:spare]
        self._columns = {name: columns for name, columns in self._columns.items() if name in waiting}
        for name, events in waiting.items():
            if name not in self._columns and len(self._columns) >= MAX_INTAKES:
                continue
            received, delivered = counts.get(name, (0, 0))
            received_before, delivered_before = self._counts.get(name, (0, 0))
            reading = ((received - received_before) / passed, (delivered - delivered_before) / passed, events)
            columns = self._columns.get(name) or self._new_columns()
            self._columns[name] = columns
            for column, value in zip(columns, reading, strict=True):
                column.append(value)
        self._times.append(when)
        self._read_at, self._counts = now, dict(counts)

    def _new_columns(self) -> tuple["array[float]", ...]:
        return tuple(array("f", [nan]) * len(self._times) for _ in FIGURES)

    def report(self, names: Collection[str]) -> dict[str, object]:
        """Returns times in seconds since the epoch and, for each of the intakes, one column per figure; None where
        there is no value. An intake without a history is missing."""
        return {
            "step": self.step,
            "time": [round(when, 1) for when in self._times],
            "intakes": {
                name: {figure: _values(column) for figure, column in zip(FIGURES, self._columns[name], strict=True)}
                for name in names if name in self._columns
            },
        }  # fmt: skip


def _values(column: "array[float]") -> list[float | None]:
    return [None if isnan(value) else round(value, 2) for value in column]
