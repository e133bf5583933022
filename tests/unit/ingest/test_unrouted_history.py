"""Tests that a sender whose frames matched no route is no longer listed once a reload has fixed that."""

from datetime import UTC
from ipaddress import ip_network

from bridge.ingest.peers import Peer, Peers
from bridge.monitoring.sources import SourceList
from bridge.routing import Router
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted

NOW = 1_800_000_000_000


def router(*routes: Route) -> Router:
    return Router(
        routes=routes, intakes={"a": Intake()}, listeners={"udp": None}, unrouted=Unrouted(), timezone=UTC
    )  # fmt: skip


class Unroutable:
    def __init__(self) -> None:
        self.peers = Peers(router())
        self.sources = SourceList(self.peers, lambda: NOW / 1000)

    def send(self, unrouted: int = 0, routed: int = 0, now: int = NOW) -> Peer:
        peer = self.peers.get("udp", "192.0.2.7")
        peer.note_read(unrouted + routed, now)
        if unrouted:
            peer.note_unrouted(unrouted)
        return peer

    @property
    def listed(self) -> bool:
        return bool(self.sources.unrouted(10))


def test_reload_with_a_route_for_all_frames_fixes_it_at_once() -> None:
    fixture = Unroutable()
    peer = fixture.send(unrouted=3)
    assert fixture.listed
    fixture.peers.change(router(Route("r", "a", source=(ip_network("192.0.2.0/24"),))), NOW + 5)
    assert not fixture.listed
    row = fixture.sources.row(peer)
    assert (row["unrouted"], row["unrouted_now"]) == (3, False)
    assert (row["unrouted_last"], row["rerouted_since"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:00.005Z")


def test_reload_without_a_route_fixes_nothing() -> None:
    fixture = Unroutable()
    peer = fixture.send(unrouted=3)
    fixture.peers.change(router(Route("other", "a", source=(ip_network("198.51.100.0/24"),))), NOW + 5)
    assert fixture.listed
    fixture.send(unrouted=1, now=NOW + 10)
    assert fixture.listed
    assert fixture.sources.row(peer)["rerouted_since"] is None


def test_route_that_depends_on_the_message_fixes_it_with_the_next_messages() -> None:
    fixture = Unroutable()
    fixture.send(unrouted=3)
    fixture.peers.change(router(Route("some", "a", app_name=("sshd",))), NOW + 5)
    assert fixture.listed, "no message has shown yet whether the route takes it"
    fixture.send(routed=2)
    assert not fixture.listed
    fixture.send(unrouted=1)
    assert fixture.listed


def test_later_reloads_keep_the_time_of_the_fix() -> None:
    fixture = Unroutable()
    peer = fixture.send(unrouted=3)
    route = Route("r", "a", source=(ip_network("192.0.2.0/24"),))
    for moment in (5, 1000):
        fixture.peers.change(router(route), NOW + moment)
        fixture.send(routed=1)
    assert fixture.sources.row(peer)["rerouted_since"] == "2027-01-15T08:00:00.005Z"
    fixture.peers.change(router(), NOW + 2000)
    fixture.send(unrouted=1)
    assert fixture.listed, "a reload took the route away"
