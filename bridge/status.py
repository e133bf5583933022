"""What the bridge says of itself: ``/api/status``, and what is wrong in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.alarms import Alarms
from bridge.deliver.courier import Courier
from bridge.ledger import Ledger
from bridge.listen.doors import Doors
from bridge.listen.peers import Peers
from bridge.listen.road import Road
from bridge.measures import Measures
from bridge.spool import Spool
from bridge.syslog.timestamps import rfc3339

STATES = ("idle", "delivering", "backing-off", "parked", "full")
"What an intake may be."

MOST_SOURCES = 10_000
"Sources in one answer."

JSON = dict[str, object]


class Keeping(Protocol):
    """What the status shows of the budget."""

    full: set[str]

    def report(self) -> JSON:
        """The figures."""

    def unready(self) -> list[str]:
        """Why the spool has no room."""


@dataclass(slots=True)
class Status:
    """The figures of a running bridge's parts, read when they are asked for."""

    ledger: Ledger
    couriers: Mapping[str, Courier]
    spool: Spool
    road: Road
    peers: Peers
    doors: Doors
    alarms: Alarms
    measures: Measures
    config_sha256: str
    wall: Callable[[], float]
    keeper: Keeping
    quota: Callable[[str], JSON]
    certificates: Callable[[], dict[str, float]]
    "TLS listener -> seconds until its certificate expires."
    reloaded: bool = True
    "Whether the last reload was applied; true where there was none."

    def report(self) -> JSON:
        """The contract's ``/api/status``."""
        return {
            "ledger": self.ledger.columns(),
            "intakes": self.intakes(),
            "sources": self.sources(),
            "unrouted": self.unrouted(),
            "kernel_drops": self.doors.kernel_drops(),
            "listeners": self.doors.ports(),
            "routes": dict(self.road.tallies.by_route),
            "filtered": dict(self.road.tallies.filtered_by_route),
            "quarantine": dict(self.spool.quarantine.counts),
            "spool": self.keeper.report(),
            "held_connections": len(self.road.holding),
            "possible_duplicates": {
                name: account.possible_duplicates
                for name, account in self.ledger.accounts.items()
                if account.possible_duplicates
            },
            "refused_connections": self.doors.refused(),
            "refusals": self.doors.refusals(),
            "certificates": {name: round(left) for name, left in self.certificates().items()},
            "times_not_believed": self.road.tallies.outside,
            "converted_to_utf8": self.road.tallies.converted,
            "alarms": [
                {"kind": kind, "about": about, "text": text} for (kind, about), text in self.alarms.active.items()
            ],
            "config_sha256": self.config_sha256,
        }

    def intakes(self) -> list[JSON]:
        """One entry an intake: its state, and what waits for it."""
        now = self.wall()
        found: list[JSON] = []
        for name, courier in self.couriers.items():
            oldest = self.spool.oldest_open(name)
            if (sealed := courier.oldest_sequence) is not None and (oldest is None or sealed < oldest):
                oldest = sealed
            events, size = self.spool.open_amount(name)
            found.append(
                {
                    "name": name,
                    "state": "full" if name in self.keeper.full else courier.state,
                    "backlog_events": courier.waiting_events + events,
                    "backlog_bytes": courier.waiting_bytes + size,
                    "oldest_seconds": None if oldest is None else max(0.0, round(now - oldest / 1_000_000, 3)),
                    "last_error": courier.last_error,
                    "delivered": courier.delivered,
                    "unconfirmed": courier.unconfirmed,
                    "requests": dict(courier.requests),
                    "next_attempt_seconds": courier.next_attempt_in,
                    **self.quota(name),
                    "format_sampled": self.road.tallies.format_sampled[name],
                    "format_mismatches": self.road.tallies.format_mismatches[name],
                }
            )
        return found

    def sources(self) -> list[JSON]:
        """One entry a sender, the busiest first."""
        peers = sorted(self.peers.all(), key=lambda peer: -peer.events)
        return [
            {
                "address": peer.address,
                "listener": peer.listener,
                "client": peer.client,
                "name": peer.name,
                "route": peer.route,
                "intake": peer.intake,
                "events": peer.events,
                "last_seen": rfc3339(peer.last_seen_ms) if peer.last_seen_ms else None,
                "clock_offset_seconds": peer.clock_offset,
                "times_not_believed": peer.outside,
            }
            for peer in peers[:MOST_SOURCES]
        ]

    def unrouted(self) -> list[JSON]:
        """The senders of frames that no route matched."""
        return [
            {
                "address": peer.address,
                "listener": peer.listener,
                "events": peer.unrouted,
                "last_seen": rfc3339(peer.last_seen_ms),
            }
            for peer in self.peers.all()
            if peer.unrouted
        ][:MOST_SOURCES]

    def unready(self) -> list[str]:
        """What keeps us from taking messages."""
        return ([] if self.doors.open_ else ["the listeners are not open"]) + self.keeper.unready()

    def trouble(self) -> list[str]:
        """What is wrong, while messages can still be taken."""
        return [
            f"intake {courier.name} is {courier.state}: {courier.last_error}"
            for courier in self.couriers.values()
            if courier.last_error
        ] + [text for (kind, _), text in self.alarms.active.items() if kind != "parked"]
