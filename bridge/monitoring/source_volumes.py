"""Measures how many events and bytes each source sends, for the journal."""

from collections.abc import Callable
from heapq import nlargest

from bridge.accounting import Ledger
from bridge.ingest.peers import Peers

EVERY = 3600.0
"Seconds between two measurements. Each begins at a full hour, so none belongs to two days."
MOST_SOURCES = 500
"Sources of one measurement, the busiest; the others are added up, so that the journal stays small."

JSON = dict[str, object]


class SourceVolumes:
    """Measures the volumes of one bridge. ``wall`` returns seconds since the epoch."""

    def __init__(self, peers: Peers, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._peers = peers
        self._ledger = ledger
        self._wall = wall
        self._received = 0
        self._since = wall()

    def take(self, last: bool) -> JSON | None:
        """Returns the volumes since the last measurement as fields of a journal line, or None if it is not due.

        ``last``: it is due in any case. The bytes are those of frames, estimated from one sample per second. Events
        whose source was forgotten, and those without one, count as others.
        """
        now = self._wall()
        if not last and now // EVERY == self._since // EVERY:
            return None
        measured = [(*peer.volume.take(peer.events), peer) for peer in self._peers.all()]
        listed = nlargest(MOST_SOURCES, (each for each in measured if each[0]), key=lambda each: each[0])
        received = self._ledger.total().received
        events = max(0, received - self._received - sum(count for count, _, _ in listed))
        size = sum(size for _, size, _ in measured) - sum(size for _, size, _ in listed)
        seconds = max(0, round(now - self._since))
        self._received, self._since = received, now
        return {
            "sources": [[peer.listener, peer.address, peer.name, count, size] for count, size, peer in listed],
            "sources_other": [events, size],
            "sources_seconds": seconds,
        }
