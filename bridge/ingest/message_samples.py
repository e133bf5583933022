"""The last messages of senders, for people who look: bounded, and nothing on the hot path while nobody does.

Of each sender a message a second is kept at most, as its clock is looked at then anyway. Somebody who looks on
(``watch``) gets all messages of a read, up to ``SampleWatch.MOST_A_READ``, until it has
not asked for ``SampleWatch.ENDS_AFTER``.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from bridge.ingest.peers import Peer
from bridge.syslog.frames import Frames, list_of


class MessageSample(NamedTuple):
    """One message as it came, perhaps cut."""

    number: int
    "Rises with every message that was kept."
    peer: Peer
    received_ms: int
    frame: bytes
    length: int
    "Bytes that it had."


class SampleWatch:
    """What one looker-on has not fetched yet."""

    MOST = 2000
    MOST_A_READ = 200
    ENDS_AFTER = 15.0
    "Seconds without being asked."

    def __init__(self, source: str | None, now: float) -> None:
        self.source = source
        self.asked = now
        self.missed = 0
        "Messages that passed and were not kept."
        self.waiting: deque[MessageSample] = deque()


class MessageSamples:
    """The samples of one bridge. ``on``: whether messages may be shown at all."""

    EACH = 10
    "Messages kept of a sender."
    LONGEST = 8192
    "Bytes of a message."
    MOST_BYTES = 16 * 1024 * 1024
    "Of all senders; those that have sent nothing for longest go first."
    MOST_SENDERS = 10_000
    "Whose messages are kept: what is kept of one takes a kilobyte beside its text, and addresses can be forged."
    MOST_WATCHES = 8

    def __init__(self, *, on: bool = True) -> None:
        self.on = on
        self.watches: dict[str, SampleWatch] = {}
        "By a name that the looker-on has chosen."
        self._number = 0
        self._kept: dict[Peer, deque[MessageSample]] = {}
        self._bytes = 0

    def allow(self, on: bool) -> None:
        """Whether messages may be shown from now on; if not, what is kept goes."""
        self.on = on
        if not on:
            self._kept.clear()
            self.watches.clear()
            self._bytes = 0

    def note(self, peer: Peer, frame: bytes, now_ms: int) -> None:
        """One message of a sender."""
        if not self.on:
            return
        ring = self._kept.pop(peer, None)
        if ring is None:
            ring = deque()
        # The peers stand in the order in which they were last heard.
        self._kept[peer] = ring
        self._number += 1
        sample = MessageSample(self._number, peer, now_ms, frame[: self.LONGEST], len(frame))
        ring.append(sample)
        self._bytes += len(sample.frame)
        if len(ring) > self.EACH:
            self._bytes -= len(ring.popleft().frame)
        while (self._bytes > self.MOST_BYTES or len(self._kept) > self.MOST_SENDERS) and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._bytes -= sum(len(one.frame) for one in self._kept.pop(oldest))

    def of(self, peer: Peer) -> Sequence[MessageSample]:
        """The last messages of a sender, the latest last."""
        return tuple(self._kept.get(peer, ()))

    # --- somebody looks on -------------------------------------------------------------------------------------------

    def watch(self, name: str, source: str | None, now: float) -> SampleWatch | None:
        """A looker-on's watch, of one address or (None) all; begun where there is none. None: too many look on."""
        for old in [key for key, one in self.watches.items() if now - one.asked > SampleWatch.ENDS_AFTER]:
            del self.watches[old]
        found = self.watches.get(name)
        if found is None or found.source != source:
            if not self.on or len(self.watches) >= self.MOST_WATCHES:
                return None
            found = self.watches[name] = SampleWatch(source, now)
        found.asked = now
        return found

    def forget_watches(self, now: float) -> None:
        """Those of whom nobody has heard for long. Called every few seconds."""
        if self.watches:
            for name in [key for key, one in self.watches.items() if now - one.asked > SampleWatch.ENDS_AFTER]:
                del self.watches[name]

    def pass_by(self, peer: Peer, frames: Frames, now_ms: int) -> None:
        """A read's frames, while somebody looks on."""
        watches = [one for one in self.watches.values() if one.source in (None, peer.address)]
        if not watches:
            return
        rows = [row for row in list_of(frames) if row]
        for watch in watches:
            for frame in islice(rows, SampleWatch.MOST_A_READ):
                self._number += 1
                watch.waiting.append(MessageSample(self._number, peer, now_ms, frame[: self.LONGEST], len(frame)))
            watch.missed += max(0, len(rows) - SampleWatch.MOST_A_READ)
            while len(watch.waiting) > SampleWatch.MOST:
                watch.waiting.popleft()
                watch.missed += 1
