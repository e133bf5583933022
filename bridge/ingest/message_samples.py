"""Keeps the latest messages of each sender for the operator, in bounded memory.

Intake keys in the text are masked. At most one message per second and sender is kept, at the moment when its clock is
sampled anyway. A watch gets all messages of a read, up to ``SampleWatch.MOST_A_READ``. A watch that is not polled for
``SampleWatch.ENDS_AFTER`` seconds ends. Without a watch, nothing is added to the hot path.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from bridge.ingest.peers import Peer
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.intake_key import masked


class MessageSample(NamedTuple):
    """Holds a message as received, cut if it is long."""

    number: int
    "Increases with every message that was kept."
    peer: Peer
    received_ms: int
    frame: bytes
    length: int
    "Length of the whole message in bytes."


class SampleWatch:
    """Collects the messages that one watching client has not fetched yet."""

    MOST = 2000
    MOST_A_READ = 200
    ENDS_AFTER = 15.0
    "Seconds without a poll after which the watch ends."

    def __init__(self, source: str | None, now: float) -> None:
        self.source = source
        self.last_polled = now
        self.missed = 0
        "Messages that were not kept because there were too many."
        self.waiting: deque[MessageSample] = deque()


class MessageSamples:
    """Keeps the message samples of one bridge. ``on`` is False if messages may not be shown at all."""

    PER_SENDER = 10
    "Messages kept per sender."
    LONGEST = 8192
    "Bytes kept of a message."
    MOST_BYTES = 16 * 1024 * 1024
    "Bytes kept for all senders. The senders that have been silent longest are removed first."
    MOST_SENDERS = 10_000
    "Senders whose messages are kept: each takes about 1 KB besides its text, and source addresses can be forged."
    MOST_WATCHES = 8

    def __init__(self, *, on: bool = True) -> None:
        self.on = on
        self.watches: dict[str, SampleWatch] = {}
        "Watches by the name that the client has chosen."
        self._number = 0
        self._kept: dict[Peer, list[MessageSample]] = {}
        self._bytes = 0

    def allow(self, on: bool) -> None:
        """Allows or forbids showing messages from now on. Forbidding deletes all samples and watches."""
        self.on = on
        if not on:
            self._kept.clear()
            self.watches.clear()
            self._bytes = 0

    def note(self, peer: Peer, frame: bytes, now_ms: int) -> None:
        """Keeps one message of a sender."""
        if not self.on:
            return
        ring = self._kept.pop(peer, None)
        if ring is None:
            # At most ten: an empty deque takes 600 bytes more than a list.
            ring = []
        # The dictionary stays in order of the last message of each peer.
        self._kept[peer] = ring
        self._number += 1
        sample = MessageSample(self._number, peer, now_ms, masked(frame)[: self.LONGEST], len(frame))
        ring.append(sample)
        self._bytes += len(sample.frame)
        if len(ring) > self.PER_SENDER:
            self._bytes -= len(ring.pop(0).frame)
        while (self._bytes > self.MOST_BYTES or len(self._kept) > self.MOST_SENDERS) and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._bytes -= sum(len(one.frame) for one in self._kept.pop(oldest))

    def of(self, peer: Peer) -> Sequence[MessageSample]:
        """Returns the kept messages of a sender, the latest last."""
        return tuple(self._kept.get(peer, ()))

    # --- watches -----------------------------------------------------------------------------------------------------

    def watch(self, name: str, source: str | None, now: float) -> SampleWatch | None:
        """Returns the watch of a client, started if necessary, or None if there are too many watches.

        ``source`` is the address to watch; None watches all senders.
        """
        self.forget_watches(now)
        found = self.watches.get(name)
        if found is None or found.source != source:
            if not self.on or len(self.watches) >= self.MOST_WATCHES:
                return None
            found = self.watches[name] = SampleWatch(source, now)
        found.last_polled = now
        return found

    def forget_watches(self, now: float) -> None:
        """Ends the watches that were not polled for a while. Called every few seconds."""
        for name in [key for key, one in self.watches.items() if now - one.last_polled > SampleWatch.ENDS_AFTER]:
            del self.watches[name]

    def add_read(self, peer: Peer, frames: Frames, now_ms: int) -> None:
        """Adds the frames of one read to the watches of its sender."""
        watches = [one for one in self.watches.values() if one.source in (None, peer.address)]
        if not watches:
            return
        rows = [row for row in list_of(frames) if row]
        for watch in watches:
            for frame in islice(rows, SampleWatch.MOST_A_READ):
                self._number += 1
                shown = masked(frame)[: self.LONGEST]
                watch.waiting.append(MessageSample(self._number, peer, now_ms, shown, len(frame)))
            watch.missed += max(0, len(rows) - SampleWatch.MOST_A_READ)
            while len(watch.waiting) > SampleWatch.MOST:
                watch.waiting.popleft()
                watch.missed += 1
