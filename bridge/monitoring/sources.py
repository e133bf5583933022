"""The senders, as the status shows them: sorted, searched, a page at a time, so that ten thousand stay usable."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bridge.ingest.clock_skew import Diagnosis
from bridge.ingest.peers import Peer, Peers
from bridge.syslog.timestamps import rfc3339

MOST = 10_000
"Rows in one answer."
SILENT_MS = 3_600_000
"A sender of whom nothing else is expected is shown as silent when it has said nothing for so long."

SURVEY_MS = 3000
"Milliseconds for which figures over all senders stand: tens of thousands are not counted with each question."
MOST_SICK = 100

JSON = dict[str, object]

SORTS: dict[str, Callable[[Peer, int], Any]] = {
    "events": lambda peer, now: -peer.events,
    "rate": lambda peer, now: -peer.rate_at(now),
    "last_seen": lambda peer, now: -peer.last_seen_ms,
    "silence": lambda peer, now: peer.last_seen_ms,
    "address": lambda peer, now: (len(peer.address), peer.address, peer.listener),
    "clock": lambda peer, now: -abs(peer.clock_offset or 0.0),
    "intake": lambda peer, now: (peer.intake or "", -peer.events),
    "listener": lambda peer, now: (peer.listener, -peer.events),
}
"By what rows can be ordered, at a time in milliseconds; ties by who came first."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: ``only`` is unrouted, clock, silent or empty, ``find`` a part of address, name, listener, route,
    intake or shape, in small letters."""

    offset: int = 0
    limit: int = MOST
    sort: str = "events"
    only: str = ""
    find: str = ""


@dataclass(frozen=True, slots=True)
class _Survey:
    """All senders, as they were at a time in milliseconds."""

    at: int
    counts: JSON
    sick: list[Peer]


class SourceList:
    """The senders of one bridge. ``wall`` is in seconds since the epoch."""

    def __init__(self, peers: Peers, wall: Callable[[], float]) -> None:
        self._peers = peers
        self._wall = wall
        self._surveyed: _Survey | None = None

    def page(self, wanted: Wanted) -> JSON:
        """``sources``, and how many there are: ``total``, and ``matching`` what was asked for."""
        now = self._now()
        peers = self._peers.all()
        found = peers
        if wanted.only:
            found = [peer for peer in found if self._is(wanted.only, peer, now)]
        if wanted.find:
            found = [peer for peer in found if wanted.find in _searched(peer)]
        return {
            "total": len(peers),
            "matching": len(found),
            "offset": wanted.offset,
            "sources": [self.row(peer, now) for peer in self._sorted(found, wanted, now)],
        }

    def busiest(self) -> list[Peer]:
        """``MOST`` of them."""
        return self._sorted(self._peers.all(), Wanted(), self._now())

    @staticmethod
    def _sorted(found: list[Peer], wanted: Wanted, now: int) -> list[Peer]:
        by = SORTS[wanted.sort]
        upto = wanted.offset + min(wanted.limit, MOST)
        return heapq.nsmallest(upto, found, key=lambda peer: by(peer, now))[wanted.offset :]

    def row(self, peer: Peer, now_ms: int | None = None) -> JSON:
        """One sender."""
        now = self._now() if now_ms is None else now_ms
        clock = diagnosis(peer)
        return {
            "address": peer.address,
            "listener": peer.listener,
            "client": peer.client,
            "behind": peer.behind,
            "name": peer.name,
            "route": peer.route,
            "intake": peer.intake,
            "events": peer.events,
            "events_per_second": round(peer.rate_at(now), 2),
            "last_seen": rfc3339(peer.last_seen_ms) if peer.last_seen_ms else None,
            "silent_seconds": max(0, (now - peer.last_seen_ms) // 1000) if peer.last_seen_ms else None,
            "shape": peer.shape or None,
            "clock_offset_seconds": peer.clock_offset,
            "clock": clock.words if clock else None,
            "clock_kind": clock.kind if clock else None,
            "clock_remedy": clock.remedy if clock else None,
            "times_not_believed": peer.outside,
            "unrouted": peer.unrouted,
            "limited": peer.limited,
            "sequence_missing": peer.gaps.missing if peer.gaps else None,
            "expect_seconds": peer.expect.total_seconds() if peer.decided and peer.expect else None,
        }

    def find(self, address: str, listener: str | None = None) -> list[Peer]:
        """An address at every listener, or at one; the busiest first."""
        found = [p for p in self._peers.all() if p.address == address and listener in (None, p.listener)]
        return sorted(found, key=lambda peer: -peer.events)

    def others(self, address: str) -> JSON:
        """Who else sends: ``only``, where it is one address; ``near``, those of the same network."""
        addresses = {peer.address for peer in self._peers.all()}
        prefix = address[: address.rfind(":" if ":" in address else ".") + 1]
        return {
            "addresses": len(addresses),
            "only": next(iter(addresses)) if len(addresses) == 1 else None,
            "near": sorted(other for other in addresses if prefix and other.startswith(prefix) and other != address)[
                :5
            ],
        }

    def unrouted(self, limit: int) -> list[Peer]:
        """Senders of frames that no route matched, the busiest first."""
        return heapq.nlargest(limit, (p for p in self._peers.all() if p.unrouted), key=lambda p: p.unrouted)

    def sick_clocks(self) -> list[tuple[Peer, Diagnosis]]:
        """Senders whose clock somebody should mend, ``MOST_SICK`` of them at most."""
        return [(peer, peer.clock.diagnosis()) for peer in self._survey().sick if peer.clock is not None]

    def counts(self) -> JSON:
        """How many there are, and how many of a kind; looked at anew after ``SURVEY_MS``."""
        return self._survey().counts

    def _survey(self) -> "_Survey":
        now = self._now()
        if self._surveyed is None or not 0 <= now - self._surveyed.at < SURVEY_MS:
            self._surveyed = self._made_survey(now)
        return self._surveyed

    def _made_survey(self, now: int) -> "_Survey":
        peers = self._peers.all()
        sick = [peer for peer in peers if peer.clock is not None and peer.clock.sick]
        return _Survey(
            now,
            {
                "total": len(peers),
                "sending": sum(now - peer.last_seen_ms < 60_000 for peer in peers),
                "unrouted": sum(peer.unrouted > 0 for peer in peers),
                "clock": len(sick),
                "silent": sum(self._is("silent", peer, now) for peer in peers),
                "forgotten": self._peers.forgotten,
            },
            sick[:MOST_SICK],
        )

    def _now(self) -> int:
        return int(self._wall() * 1000)

    @staticmethod
    def _is(kind: str, peer: Peer, now: int) -> bool:
        if kind == "unrouted":
            return peer.unrouted > 0
        if kind == "silent":
            expected = SILENT_MS if peer.expect is None else peer.expect.total_seconds() * 1000
            return now - peer.last_seen_ms >= expected
        return kind == "clock" and peer.clock is not None and peer.clock.sick


def diagnosis(peer: Peer) -> Diagnosis | None:
    """What ails its clock; None: no message had a time."""
    return None if peer.clock is None else peer.clock.diagnosis()


def _searched(peer: Peer) -> str:
    parts: Iterable[str | None] = (
        peer.address,
        peer.behind,
        peer.name,
        peer.listener,
        peer.route,
        peer.intake,
        peer.shape,
    )
    return "\n".join(part for part in parts if part).lower()
