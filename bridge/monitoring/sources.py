"""Lists the sources for the status: sorted, filtered and in pages, so that ten thousand sources stay usable."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bridge.ingest.addresses import address_of
from bridge.ingest.clock_skew import Diagnosis
from bridge.ingest.peers import Peer, Peers
from bridge.ingest.unsent_data import UnsentData
from bridge.syslog.timestamps import rfc3339

MAX_ROWS = 10_000
"Maximum number of rows in one response."
SILENT_MS = 3_600_000
"A source without ``alert_if_silent_for`` is shown as silent if it has sent nothing for this time, in milliseconds."
CLOCK_MS = 86_400_000
"Milliseconds after its latest message in which the wrong clock of a source is a problem. Later, nobody knows it."

SURVEY_MS = 3000
"Milliseconds for which the totals of all sources are reused: counting tens of thousands for each request is too slow."
MAX_DECISIONS = 1000
"Peers of one request whose route is looked up because they have not sent since a reload."
MAX_WRONG_CLOCKS = 100
"Maximum number of sources in the list of wrong clocks."

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
"Sort orders: name -> sort key of a peer at a time in milliseconds. Equal keys stay in order of arrival."


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that a request asks for.

    ``only`` is unrouted, clock, silent or empty (all). ``find`` is a lower-case part of address, name, listener, route,
    intake or shape. ``intake`` is the name of one intake or empty (all).
    """

    offset: int = 0
    limit: int = MAX_ROWS
    sort: str = "events"
    only: str = ""
    find: str = ""
    intake: str = ""


@dataclass(frozen=True, slots=True)
class _Survey:
    """Totals of all sources at one time, in milliseconds since the epoch."""

    at: int
    counts: JSON
    wrong_clocks: list[Peer]


class SourceList:
    """Lists the sources of one bridge. ``wall`` returns seconds since the epoch."""

    def __init__(self, peers: Peers, wall: Callable[[], float]) -> None:
        self._peers = peers
        self._wall = wall
        self._surveyed: _Survey | None = None

    def page(self, wanted: Wanted) -> JSON:
        """Returns one page of rows in ``sources``, the number of all sources in ``total`` and of those that match the
        request in ``matching``."""
        now, peers = self._now(), self._heard()
        found = [
            peer for peer in peers
            if (not wanted.only or self._is(wanted.only, peer, now))
            and (not wanted.intake or wanted.intake == peer.intake)
            and (not wanted.find or wanted.find in _searchable_text(peer))
        ]  # fmt: skip
        return {
            "total": len(peers),
            "matching": len(found),
            "offset": wanted.offset,
            "sources": [self.row(peer, now) for peer in self._sorted(found, wanted, now)],
        }

    def busiest(self) -> list[Peer]:
        """Returns up to ``MAX_ROWS`` sources, those with the most events first."""
        return self._sorted(self._heard(), Wanted(), self._now())

    def _heard(self) -> list[Peer]:
        """Returns the peers that have sent a message. A health check only opens a connection and is no source."""
        return [peer for peer in self._peers.all() if peer.last_seen_ms]

    @staticmethod
    def _sorted(found: list[Peer], wanted: Wanted, now: int) -> list[Peer]:
        sort_key = SORTS[wanted.sort]
        end = wanted.offset + min(wanted.limit, MAX_ROWS)
        return heapq.nsmallest(end, found, key=lambda peer: sort_key(peer, now))[wanted.offset :]

    def row(self, peer: Peer, now_ms: int | None = None) -> JSON:
        """Returns the row of one source."""
        now = self._now() if now_ms is None else now_ms
        clock, history = diagnosis(peer), peer.unrouted_history
        longest = peer.alert_if_silent_for if peer.decided else None
        return {
            "address": peer.address,
            "listener": peer.listener,
            "client": peer.client,
            "behind": peer.relay_address,
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
            "unrouted_now": peer.is_unrouted,
            "unrouted_last": rfc3339(history.last_ms) if history else None,
            "rerouted_since": rfc3339(history.rerouted_ms) if history and not peer.is_unrouted else None,
            "limited": peer.limited,
            "intake_keys_in_text": peer.keyed,
            "unsent_structured_data": None
            if peer.unsent_data is None
            else self.unsent_data_row(peer, peer.unsent_data),
            "sequence_missing": peer.gaps.missing if peer.gaps else None,
            "expect_seconds": longest.total_seconds() if longest else None,
        }

    def find(self, address: str, listener: str | None = None) -> list[Peer]:
        """Returns the peers with an address, at one listener or at all (None), the busiest first.

        A zone (``fe80::1%eth0``) is not part of the address.
        """
        wanted = str(address_of(address) or address)
        found = [peer for peer in self._heard() if peer.address == wanted and listener in (None, peer.listener)]
        return sorted(found, key=lambda peer: -peer.events)

    def other_sources(self, address: str) -> JSON:
        """Returns facts about the other sources: the number of ``addresses``; ``only``, the address if there is just
        one; ``near``, up to five addresses of the same network."""
        addresses = {peer.address for peer in self._heard()}
        prefix = address[: address.rfind(":" if ":" in address else ".") + 1]
        near = sorted(other for other in addresses if prefix and other.startswith(prefix) and other != address)
        only = next(iter(addresses)) if len(addresses) == 1 else None
        return {"addresses": len(addresses), "only": only, "near": near[:5]}

    def unrouted(self, limit: int) -> list[Peer]:
        """Returns up to ``limit`` sources of frames that matched no route, the busiest first."""
        unrouted = self._still_unrouted(self._peers.all())
        return heapq.nlargest(limit, unrouted, key=lambda peer: peer.unrouted)

    @staticmethod
    def _still_unrouted(peers: Iterable[Peer]) -> list[Peer]:
        """Returns the peers with frames that match no route under the configuration in use."""
        left, found = MAX_DECISIONS, []
        for peer in peers:
            if not peer.unrouted:
                continue
            if not peer.decided and left:
                left -= 1
                peer.decide()
            if peer.is_unrouted:
                found.append(peer)
        return found

    def keyed(self, limit: int) -> list[Peer]:
        """Returns up to ``limit`` sources that send an intake key in the text of their messages, the busiest first."""
        return heapq.nlargest(
            limit, (peer for peer in self._peers.all() if peer.keyed), key=lambda peer: peer.keyed
        )  # fmt: skip

    def unsent_data(self, limit: int) -> list[JSON]:
        """Returns rows of up to ``limit`` sources whose structured data is not sent, the busiest first."""
        found = ((peer, peer.unsent_data) for peer in self._peers.all() if peer.unsent_data is not None)
        busiest = heapq.nlargest(limit, found, key=lambda pair: pair[0].events)
        return [self.unsent_data_row(peer, unsent) for peer, unsent in busiest]

    @staticmethod
    def unsent_data_row(peer: Peer, unsent: UnsentData) -> JSON:
        """Returns what is known of structured data that the events of a source do not have."""
        return {
            "address": peer.address,
            "listener": peer.listener,
            "name": peer.name,
            "route": peer.route,
            "intake": peer.intake,
            "events": peer.events,
            "payload": unsent.payload,
            "payload_chosen": unsent.chosen,
            "ids": list(unsent.ids),
            "format": unsent.format,
            "same_text": unsent.same_text,
        }

    def wrong_clocks(self) -> list[tuple[Peer, Diagnosis]]:
        """Returns up to ``MAX_WRONG_CLOCKS`` sources whose clock must be corrected, with the diagnosis."""
        # A clock may have become right since the survey.
        found = [(peer, peer.clock.diagnosis()) for peer in self._survey().wrong_clocks if peer.clock is not None]
        return [(peer, diagnosis) for peer, diagnosis in found if diagnosis.needs_action]

    def forget_clock_offsets(self) -> None:
        """Forgets the clock offsets of all sources, because the clock of the gateway was set."""
        for peer in self._peers.all():
            if peer.clock is not None:
                peer.clock.forget()

    def counts(self) -> JSON:
        """Returns the number of sources in total and of each kind; counted again after ``SURVEY_MS``."""
        return self._survey().counts

    def _survey(self) -> _Survey:
        now = self._now()
        if self._surveyed is not None and 0 <= now - self._surveyed.at < SURVEY_MS:
            return self._surveyed
        peers = self._heard()
        wrong_clocks = [peer for peer in peers if self._is("clock", peer, now)]
        counts: JSON = {
            "total": len(peers),
            "sending": sum(now - peer.last_seen_ms < 60_000 for peer in peers),
            "unrouted": len(self._still_unrouted(peers)),
            "clock": len(wrong_clocks),
            "unsent_data": sum(peer.unsent_data is not None for peer in peers),
            "silent": sum(self._is("silent", peer, now) for peer in peers),
            "forgotten": self._peers.forgotten,
            "expired": self._peers.expired,
        }
        self._surveyed = _Survey(now, counts, wrong_clocks[:MAX_WRONG_CLOCKS])
        return self._surveyed

    def _now(self) -> int:
        return int(self._wall() * 1000)

    @staticmethod
    def _is(kind: str, peer: Peer, now: int) -> bool:
        if kind == "unrouted":
            return peer.is_unrouted
        if kind == "silent":
            longest = peer.alert_if_silent_for
            return now - peer.last_seen_ms >= (SILENT_MS if longest is None else longest.total_seconds() * 1000)
        if kind != "clock" or now - peer.last_seen_ms >= CLOCK_MS:
            return False
        return peer.clock is not None and peer.clock.needs_action


def diagnosis(peer: Peer) -> Diagnosis | None:
    """Returns the diagnosis of a source's clock; None if no message had a timestamp."""
    return None if peer.clock is None else peer.clock.diagnosis()


def _searchable_text(peer: Peer) -> str:
    parts = (peer.address, peer.relay_address, peer.name, peer.listener, peer.route, peer.intake, peer.shape)
    return "\n".join(part for part in parts if part).lower()
