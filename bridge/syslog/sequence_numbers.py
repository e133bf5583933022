"""Message numbers that senders write, and the gaps in them: what was lost before it reached us.

RFC 5424 section 7.3.1 (``meta sequenceId``, 1 to 2147483647, then 1 again), and Cisco's counters in front of the time
(``logging message-counter``, ``service sequence-numbers``), behind an ``logging origin-id`` or not.
"""

import re
from collections.abc import Iterable

_META = re.compile(rb'\[meta (?:[^\]"]*"[^"]*" )*?sequenceId="0*([0-9]{1,15})"')
_COUNTER = re.compile(rb"<[0-9]{1,3}>(?:[A-Za-z][A-Za-z0-9._-]*+: )?0*([0-9]{1,15}): ")

LATE = 1000
"A number so little below the last is late or double; further below, the sender has begun anew."
FAR = 100_000
"A number so far above the last is no gap: the sender has begun anew."


def number_of(frame: bytes) -> int | None:
    """The number that a sender gave a message; None: it gave none."""
    found = _COUNTER.match(frame) or _META.search(frame)
    return int(found[1]) if found else None


class Gaps:
    """The numbers of one sender, as they come."""

    __slots__ = ("_holes", "_last", "missing", "restarts")

    def __init__(self) -> None:
        self._last: int | None = None
        self._holes: set[int] = set()
        self.missing = 0
        "Numbers that were left out, and have not come late."
        self.restarts = 0
        "Times that the sender has begun to count anew."

    def note(self, frames: Iterable[bytes]) -> None:
        """The messages of one read, in order."""
        for frame in frames:
            number = number_of(frame)
            if number is not None:
                self._note(number)

    def _note(self, number: int) -> None:
        last = self._last
        if last is None or number == last + 1:
            self._last = number
        elif last < number <= last + FAR:
            self.missing += number - last - 1
            if number - last <= LATE:
                if len(self._holes) > LATE:
                    self._holes.clear()
                self._holes.update(range(last + 1, number))
            self._last = number
        elif number in self._holes:
            self._holes.discard(number)
            self.missing -= 1
        elif number > last or number <= 1 or last - number > LATE:
            self.restarts += 1
            self._holes.clear()
            self._last = number
