"""Reads that wait for room, and the connections that wait with them.

With ``when_full: pause`` a stream that carries events for a full intake is not read on: its sender waits, as TCP makes
it. What had been read is held here, at most one read a connection, and appended first when there is room again, so
that its order is kept. Events of the same read for other intakes go their way at once. Datagrams are never held:
whoever sends them does not wait, and the socket is everybody's.
"""

from collections import deque
from typing import Protocol

from bridge.batching import Group


class PausableSender(Protocol):
    """A connection that can be made to wait."""

    acknowledges: bool
    "Whether it tells its sender what is kept: then nothing of it is dropped for want of room, it waits."

    def hold(self) -> None:
        """Do not read on."""

    def go_on(self) -> None:
        """Read on; called once for any number of calls of ``hold``."""


class Backpressure:
    """What waits, by intake."""

    def __init__(self) -> None:
        self._parts: dict[str, deque[Group]] = {}
        self._senders: dict[PausableSender, set[str]] = {}

    def __len__(self) -> int:
        return len(self._senders)

    def hold(self, part: Group, sender: PausableSender) -> None:
        """Keep events, and their sender waiting."""
        self._parts.setdefault(part.intake, deque()).append(part)
        if sender not in self._senders:
            self._senders[sender] = set()
            sender.hold()
        self._senders[sender].add(part.intake)

    def intakes(self) -> list[str]:
        """For which something waits."""
        return list(self._parts)

    def first(self, intake: str) -> Group | None:
        """What has waited longest for an intake."""
        parts = self._parts.get(intake)
        return parts[0] if parts else None

    def pop(self, intake: str) -> None:
        """The first has gone; the senders that waited for nothing else go on with the last."""
        parts = self._parts[intake]
        parts.popleft()
        if parts:
            return
        del self._parts[intake]
        for sender, intakes in list(self._senders.items()):
            intakes.discard(intake)
            if not intakes:
                del self._senders[sender]
                sender.go_on()

    def forget(self, sender: PausableSender) -> None:
        """A connection has ended; what it brought still waits."""
        self._senders.pop(sender, None)
