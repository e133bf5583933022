"""Reads the stream connections that are ready, within a budget of time and bytes per reactor turn.

All other sockets of the turn are read before them: datagrams would be lost in the kernel, while the sender of a stream
waits. As the turns are short, timers, deliveries and the datagrams that arrive meanwhile are never far away.

Usually all ready connections are read in each turn. If that takes more than the budget, addresses take turns: the
connection to be read next is one of the address that has used the least time so far. So an address with many
connections, or with data that takes long to parse, gets no more than any other address that sends.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heapreplace
from typing import Protocol

from bridge.host.interfaces import Reactor
from bridge.listen.periodic_reads import PeriodicReads
from bridge.listen.unfinished_frames import UnfinishedFrames

MAX_TIME = 0.02
"Seconds of a turn after which no further connection is read."
MAX_BYTES = 8 << 20
"Bytes of a turn after which no further connection is read."
HALF_LIFE = 0.25
"""Seconds after which what an address has used counts half. Otherwise one that sent much before a flood would wait
until each address of the flood has used as much."""
NEGLIGIBLE = 1e-5
"Seconds below which what an address has used is forgotten."
MAX_UNSENT = 64 << 10
"Bytes that a connection may have unsent. It is not read while it has more."
MAX_ALL_UNSENT = 16 << 20
"Unsent bytes of all connections above which a connection is not read while it has any."


LIMIT_DOUBLES_AFTER = 10.0
"Seconds after which reads of an address whose data was very expensive may be twice as long."
MAX_LIMITED = 10_000
"Addresses with limited reads that are remembered, at most."


class StreamReader(Protocol):
    """Declares what the turns need of a connection."""

    source: str
    "The address that its reads count for."
    turn: int
    "The number of the turn in which it was last read."

    def read(self, turn: int) -> int:
        """Reads once, in the turn with this number. Returns the number of bytes."""

    def note_cost(self, size: int, seconds: float) -> bool:
        """Adapts the size of the next read to the cost of the latest one. Returns True if there may be more data."""


class UnsentTotal:
    """Counts the bytes that wait until clients read them, over all connections."""

    def __init__(self) -> None:
        self.size = 0

    def change(self, difference: int) -> None:
        """Adds a difference."""
        self.size += difference

    @property
    def exceeded(self) -> bool:
        """Returns True if all connections together have more than they may have."""
        return self.size > MAX_ALL_UNSENT

    def stops(self, own: int) -> bool:
        """Returns True if a connection with ``own`` unsent bytes must not be read until it has none."""
        return own > MAX_UNSENT or (own > 0 and self.exceeded)


class StreamTurns:
    """Reads the ready connections of all listeners.

    ``after_turn`` schedules one call of a function for the end of the turn. Without it, each connection is read at
    once. ``clock`` returns monotonic seconds, ``cpu_time`` those that the thread has worked: reads cost no more on a
    busy machine or with a slow disk.
    """

    def __init__(
        self, clock: Callable[[], float] = lambda: 0.0,
        after_turn: Callable[[Callable[[], None]], None] | None = None,
        cpu_time: Callable[[], float] | None = None, reactor: Reactor | None = None,
    ) -> None:  # fmt: skip
        self.unsent = UnsentTotal()
        self.periodic = None if reactor is None else PeriodicReads(reactor)
        "Reads connections that bring little at a time; None: each is read at once."
        self.unfinished = UnfinishedFrames()
        self._clock = clock
        self._cpu_time = cpu_time or clock
        self._after_turn = after_turn
        self._ready: list[StreamReader] = []
        self._turn = 0
        self._behind = False
        "True if the budget was used up before all ready connections were read."
        self._forgotten = clock()
        "Time of the latest turn that read fairly."
        self._new: dict[str, None] = {}
        "Addresses of which nothing was read yet, in the order in which they came."
        self._used: dict[str, float] = {}
        "Seconds that addresses have used lately, while the turns were behind."
        self._limits: dict[str, tuple[int, float]] = {}
        "Bytes of the longest read of an address, and since when."

    @classmethod
    def for_reactor(cls, reactor: Reactor) -> "StreamTurns":
        """Creates the turns of a reactor. They need its ``after_turn`` (``bridge.host.reactor``)."""
        after_turn = getattr(reactor, "after_turn", None)
        return cls(reactor.seconds, after_turn, time.thread_time, None if after_turn is None else reactor)

    def read_at_once(self, wanted: bool) -> None:
        """Reads all connections as soon as they have data, or those with little data periodically again."""
        if self.periodic is not None:
            self.periodic.read_at_once(wanted)

    def limit_reads(self, source: str, size: int) -> None:
        """Limits the reads of an address to ``size`` bytes for a while, on all of its connections."""
        self._limits.pop(source, None)
        self._limits[source] = size, self._clock()
        if len(self._limits) > MAX_LIMITED:
            del self._limits[next(iter(self._limits))]

    def read_size(self, source: str, wanted: int) -> int:
        """Returns how many of ``wanted`` bytes may be read from an address at once."""
        if (limit := self._limits.get(source)) is None:
            return wanted
        size, since = limit
        doubled = int((self._clock() - since) / LIMIT_DOUBLES_AFTER)
        return min(wanted, size << min(doubled, 10))

    def ready(self, reader: StreamReader) -> None:
        """Reads a connection that has data, in this turn or a later one. The reactor calls again in each turn."""
        if self._after_turn is None:
            reader.read(0)
            return
        if not self._ready:
            self._after_turn(self._read)
        self._ready.append(reader)

    def _read(self) -> None:
        ready, self._ready = self._ready, []
        self._turn += 1
        if self._behind:
            self._behind = self._read_fairly(ready)
        else:
            self._behind = self._read_in_order(ready)
        if not self._behind:
            self._used, self._new = {}, {}
            if self.periodic is not None:
                self.periodic.all_read()

    def _read_in_order(self, ready: list[StreamReader]) -> bool:
        """Reads the connections in any order. Returns True if the budget was used up before the last one."""
        now = self._clock()
        ends, left = now + MAX_TIME, MAX_BYTES
        for reader in ready:
            if now >= ends or left <= 0:
                return True
            left -= self._read_one(reader)[0]
            now = self._clock()
        return False

    def _read_fairly(self, ready: Iterable[StreamReader]) -> bool:
        """Reads the address that has used the least time first, and of each address the connection that has waited
        longest. New addresses get up to half of the time. Returns True if the budget was used up before the last one.
        """
        waiting: dict[str, deque[StreamReader]] = {}
        for reader in sorted(ready, key=lambda reader: reader.turn):
            waiting.setdefault(reader.source, deque()).append(reader)
        new = self._new_addresses(waiting)
        known = waiting.keys() - new
        # An address that was silent has saved nothing, but it is the next one.
        now = self._clock()
        used = self._forget_gradually(now)
        shares = [(used.get(source, 0.0), source in used, source) for source in known]
        heapify(shares)
        ends, left = now + MAX_TIME, MAX_BYTES
        balance = 0.0  # seconds that new addresses have used more than the others
        while (shares or new) and now < ends and left > 0:
            is_new = bool(new) and (not shares or balance <= 0)
            source, began = new.popleft() if is_new else shares[0][2], now
            reader = waiting[source].popleft()
            size, has_more = self._read_one(reader)
            now = self._clock()
            left -= size
            balance += now - began if is_new else began - now
            used[source] = used.get(source, 0.0) + now - began
            if is_new:
                continue
            queue = waiting[source]
            if has_more:
                queue.append(reader)
            if queue:
                heapreplace(shares, (used[source], True, source))
            else:
                heappop(shares)
        self._new, self._used = dict.fromkeys(new), used
        return bool(shares or new)

    def _forget_gradually(self, now: float) -> dict[str, float]:
        """Returns the seconds that addresses have used, those of long ago in part."""
        kept = 0.5 ** ((now - self._forgotten) / HALF_LIFE)
        self._forgotten = now
        return {source: seconds * kept for source, seconds in self._used.items() if seconds * kept > NEGLIGIBLE}

    def _new_addresses(self, waiting: dict[str, deque[StreamReader]]) -> deque[str]:
        """Returns the addresses of which nothing was read yet, those that have waited longest first."""
        new = {source: None for source, queue in waiting.items() if not queue[-1].turn and source not in self._used}
        return deque({source: None for source in self._new if source in new} | new)

    def _read_one(self, reader: StreamReader) -> tuple[int, bool]:
        """Reads a connection once. Returns the number of bytes, and True if there may be more."""
        began = self._cpu_time()
        size = reader.read(self._turn)
        return size, reader.note_cost(size, self._cpu_time() - began)
