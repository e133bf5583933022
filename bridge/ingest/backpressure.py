"""Holds events that wait for room in the spool, and pauses the connections that sent them.

With ``when_full: pause``, a stream that carries events for a full intake is no longer read, so TCP flow control makes
its sender wait. The events that had been read are held here: at most one read per connection. What a closed connection
has left in the kernel is read too, up to ``MAX_HELD`` bytes in total, so that it does not take up a slot of its
listener. Held events are appended first when there is room again, which keeps their order. Events of the same read for
other intakes are appended at once. Datagrams are never held: their sender does not wait, and the socket is shared by
all senders.

Events of senders that get acknowledgements wait in a queue of their own. While files cannot be synced, they wait
although there is room, and the events of other senders must not wait behind them.
"""

from collections import deque
from typing import NamedTuple, Protocol

from bridge.batching import Group
from bridge.spool.batch import OpenBatch

MAX_HELD = 64 << 20
"Bytes of held events, and of what closed connections may still bring, above which other closed connections wait."


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


class HeldQueue(NamedTuple):
    """Names a queue of held events."""

    intake: str
    acknowledged: bool
    "True if the senders of its events get acknowledgements."


class Backpressure:
    """Holds events by queue, with the senders that wait for them."""

    def __init__(self) -> None:
        self._parts: dict[HeldQueue, deque[tuple[Group, PausableSender]]] = {}
        self._senders: dict[PausableSender, set[HeldQueue]] = {}
        self._granted: dict[PausableSender, int] = {}
        "Bytes that each closed connection may still bring."
        self._granted_size = 0
        self.size = 0
        "Bytes of all held events."

    def __len__(self) -> int:
        return len(self._senders)

    def hold(self, part: Group, sender: PausableSender) -> None:
        """Holds a group of events and pauses its sender."""
        queue = HeldQueue(part.intake, sender.acknowledges)
        self._parts.setdefault(queue, deque()).append((part, sender))
        self.size += len(part.data)
        if sender not in self._senders:
            self._senders[sender] = set()
            sender.pause()
        self._senders[sender].add(queue)

    def queues(self) -> list[HeldQueue]:
        """Returns the queues that have held events."""
        return list(self._parts)

    def first(self, queue: HeldQueue) -> Group | None:
        """Returns the group that has been held longest in a queue, or None."""
        parts = self._parts.get(queue)
        return parts[0][0] if parts else None

    def pop(self, queue: HeldQueue, batch: OpenBatch | None) -> None:
        """Removes the first group of a queue, which was appended to ``batch``, or is lost (None).

        After the last one, resumes senders that wait for no other queue.
        """
        parts = self._parts[queue]
        part, appended_for = parts.popleft()
        self.size -= len(part.data)
        if appended_for in self._senders:
            appended_for.appended(batch)
        if parts:
            return
        del self._parts[queue]
        for sender, queues in list(self._senders.items()):
            queues.discard(queue)
            if not queues:
                del self._senders[sender]
                sender.resume()

    def grant(self, sender: PausableSender, size: int) -> bool:
        """Returns True if a closed connection may be read to its end, which brings ``size`` bytes.

        The bytes count until ``forget``, in addition to what is held.
        """
        if sender not in self._granted:
            if self.size + self._granted_size + size > MAX_HELD:
                return False
            self._granted[sender] = size
            self._granted_size += size
        return True

    def forget(self, sender: PausableSender) -> None:
        """Forgets a connection that has ended. The events that it sent stay held."""
        self._senders.pop(sender, None)
        self._granted_size -= self._granted.pop(sender, 0)
