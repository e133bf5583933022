"""Holds events that wait for room in the spool, and pauses the connections that sent them.

With ``when_full: pause``, a stream that carries events for a full intake is no longer read, so TCP flow control makes
its sender wait. The events that had been read are held here: at most one read per connection. What a closed connection
has left in the kernel is read too, up to ``MAX_HELD`` bytes in total, so that it does not take up a slot of its
listener. Held events are appended first when there is room again, which keeps their order. Events of the same read for
other intakes are appended at once. Datagrams are never held: their sender does not wait, and the socket is shared by
all senders.
"""

from collections import deque
from typing import Protocol

from bridge.batching import Group
from bridge.spool.batch import OpenBatch

MAX_HELD = 64 << 20
"Bytes of held events above which closed connections wait, too."


class PausableSender(Protocol):
    """Declares what backpressure needs of a connection."""

    acknowledges: bool
    "True if the sender gets acknowledgements: its events are then held, never dropped, when there is no room."

    def pause(self) -> None:
        """Stops reading the connection."""

    def appended(self, batch: OpenBatch | None) -> None:
        """Called when events of this sender that were held have been appended to a file; None: they are lost."""

    def resume(self) -> None:
        """Reads the connection again. Called once, however often ``pause`` was called."""


class Backpressure:
    """Holds events by intake, with the senders that wait for them."""

    def __init__(self) -> None:
        self._parts: dict[str, deque[tuple[Group, PausableSender]]] = {}
        self._senders: dict[PausableSender, set[str]] = {}
        self.size = 0
        "Bytes of all held events."

    def __len__(self) -> int:
        return len(self._senders)

    def hold(self, part: Group, sender: PausableSender) -> None:
        """Holds a group of events and pauses its sender."""
        self._parts.setdefault(part.intake, deque()).append((part, sender))
        self.size += len(part.data)
        if sender not in self._senders:
            self._senders[sender] = set()
            sender.pause()
        self._senders[sender].add(part.intake)

    def intakes(self) -> list[str]:
        """Returns the names of the intakes that have held events."""
        return list(self._parts)

    def first(self, intake: str) -> Group | None:
        """Returns the group that has been held longest for an intake, or None."""
        parts = self._parts.get(intake)
        return parts[0][0] if parts else None

    def pop(self, intake: str, batch: OpenBatch | None) -> None:
        """Removes the first group of an intake, which was appended to ``batch``, or is lost (None).

        After the last one, resumes senders that wait for no other intake.
        """
        parts = self._parts[intake]
        part, appended_for = parts.popleft()
        self.size -= len(part.data)
        if appended_for in self._senders:
            appended_for.appended(batch)
        if parts:
            return
        del self._parts[intake]
        for sender, intakes in list(self._senders.items()):
            intakes.discard(intake)
            if not intakes:
                del self._senders[sender]
                sender.resume()

    def forget(self, sender: PausableSender) -> None:
        """Forgets a connection that has ended. The events that it sent stay held."""
        self._senders.pop(sender, None)
