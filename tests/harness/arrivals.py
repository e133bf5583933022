"""Counts numbered events in the output of `syslog-bridge collector`, without keeping them: a long run has millions."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.messages import number_of, rfc5424, time_of
from tests.harness.numbered_senders import NUMBERS


class Arrivals:
    """Reads the output as it grows."""

    def __init__(self, output: Path) -> None:
        self.altered: list[str] = []
        "Texts that nobody sent, at most ten."
        self._output = output
        self._read_up_to = 0
        self._counts: dict[int, bytearray] = {}
        "How often each number arrived, by the number that its sender began with."

    def refresh(self) -> None:
        """Reads what is new."""
        if not self._output.exists():
            return
        with self._output.open("rb") as file:
            file.seek(self._read_up_to)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read_up_to += len(line)
                self._count(json.loads(line)["event"])

    def missing(self, first: int, count: int) -> list[int]:
        """Returns the numbers of `first` and the following that have not arrived."""
        arrived = self._counts.get(first, bytearray())
        return [first + place for place in range(count) if place >= len(arrived) or not arrived[place]]

    def doubled(self, first: int) -> list[int]:
        """Returns the numbers that arrived more than once."""
        return [first + place for place, times in enumerate(self._counts.get(first, bytearray())) if times > 1]

    def _count(self, text: str) -> None:
        try:
            number, time = number_of(text), time_of(text)
        except (ValueError, IndexError):
            self._note_altered(text)
            return
        if rfc5424(number, time).text != text:
            self._note_altered(text)
            return
        first = number // NUMBERS * NUMBERS
        counts = self._counts.setdefault(first, bytearray())
        place = number - first
        if place >= len(counts):
            counts.extend(bytes(place + 100_000 - len(counts)))
        counts[place] = min(255, counts[place] + 1)

    def _note_altered(self, text: str) -> None:
        if len(self.altered) < 10:
            self.altered.append(text[:200])
