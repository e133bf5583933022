"""Reads the sequence numbers that senders write, and counts the gaps: messages lost before they reached the gateway.

Supported are RFC 5424 section 7.3.1 (``meta sequenceId``, 1 to 2147483647, then 1 again) and Cisco's counters before
the time (``logging message-counter``, ``service sequence-numbers``), with or without a ``logging origin-id`` before
them.
"""

import re
from collections.abc import Iterable

_META = re.compile(rb'\[meta (?:[^\]"]*"[^"]*" )*?sequenceId="0*([0-9]{1,15})"')
_COUNTER = re.compile(rb"<[0-9]{1,3}>(?:[A-Za-z][A-Za-z0-9._-]*+: )?0*([0-9]{1,15}): ")

MAX_LATE = 1000
"A number at most this much below the last one is late or a duplicate. A lower one means that the sender restarted."
MAX_GAP = 100_000
"A number at most this much above the last one is a gap. A higher one means that the sender restarted."


def number_of(frame: bytes) -> int | None:
    """Returns the sequence number of a message, or None if it has none."""
    found = _COUNTER.match(frame) or _META.search(frame)
    return int(found[1]) if found else None


class Gaps:
    """Counts the gaps and restarts in the sequence numbers of one sender."""

    __slots__ = ("_last", "_missing_numbers", "missing", "restarts")

    def __init__(self) -> None:
        self._last: int | None = None
        self._missing_numbers: set[int] = set()
        self.missing = 0
        "Count of numbers that were skipped and have not arrived late."
        self.restarts = 0
        "Number of times the sender restarted its count."

    def note(self, frames: Iterable[bytes]) -> None:
        """Counts the messages of one read, in order."""
        for frame in frames:
            number = number_of(frame)
            if number is not None:
                self._note(number)

    def _note(self, number: int) -> None:
        last = self._last
        if last is None or number == last + 1:
            self._last = number
        elif last < number <= last + MAX_GAP:
            self.missing += number - last - 1
            if number - last <= MAX_LATE:
                if len(self._missing_numbers) > MAX_LATE:
                    self._missing_numbers.clear()
                self._missing_numbers.update(range(last + 1, number))
            self._last = number
        elif number in self._missing_numbers:
            self._missing_numbers.discard(number)
            self.missing -= 1
        elif number > last or number <= 1 or last - number > MAX_LATE:
            self.restarts += 1
            self._missing_numbers.clear()
            self._last = number
