"""Tests ``alert_if_silent_for``: which sources have been silent for too long, including those that never sent."""

from datetime import UTC, timedelta
from ipaddress import ip_network

from bridge.ingest.peers import Peers
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.silent_sources import SilentSources
from bridge.routing import Router
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted
from tests.unit.routing.test_routing import Source


def router(*sources):
    return Router(
        routes=[Route("all", "a")], intakes={"a": Intake()}, listeners={"udp": None}, unrouted=Unrouted(),
        timezone=UTC, sources=sources,
    )  # fmt: skip


def test_expected_sources_raise_an_alarm_while_they_are_silent():
    sources = [
        Source((ip_network("192.0.2.7"),), name="fw-lyon", alert_if_silent_for=timedelta(minutes=10)),
        Source((ip_network("10.0.0.0/8"),), alert_if_silent_for=timedelta(minutes=1)),
    ]
    now = 1_000_000.0
    peers, alarms, silent_lists = Peers(router(*sources)), Alarms(None), []
    silent_sources = SilentSources(alarms, peers, lambda: now)

    def look():
        silent_sources.look()
        silent_lists.append(sorted(silent_sources.silent_now().items()))
        assert {about for _, about in alarms.active} == set(silent_sources.silent_now())

    active_peer = peers.get("udp", "10.1.1.1")
    active_peer.last_seen_ms = int(now * 1000)
    peers.get("udp", "198.51.100.1")  # not an expected source
    look()
    now += 61
    look()
    now += 540
    look()
    active_peer.last_seen_ms = int(now * 1000)
    look()
    assert silent_lists == [[], [("10.1.1.1", 61)], [("10.1.1.1", 601), ("192.0.2.7", 601)], [("192.0.2.7", 601)]]
    assert alarms.active["silence", "192.0.2.7"] == (
        "source fw-lyon (192.0.2.7) has been silent for longer than 10m (alert_if_silent_for)"
    )
    assert silent_sources.names == {"192.0.2.7": "fw-lyon"}
    peers.change(router())
    look()
    assert (silent_lists[-1], silent_sources.names) == ([], {})


def test_silence_is_noticed_after_the_clock_was_ahead():
    ahead, now = 10 * 365 * 86_400, 1_000_000.0 + 10 * 365 * 86_400
    never_sent = Source((ip_network("192.0.2.7"),), alert_if_silent_for=timedelta(minutes=10))
    has_sent = Source((ip_network("192.0.2.8"),), alert_if_silent_for=timedelta(minutes=10))
    peers = Peers(router(never_sent, has_sent))
    silent_sources = SilentSources(Alarms(), peers, lambda: now)
    peer = peers.get("udp", "192.0.2.8")
    other = peers.get("udp", "198.51.100.1")
    for each in (peer, other):
        each.note_read(1, int(now * 1000))
    now -= ahead
    silent_sources.look()
    assert silent_sources.silent == {}
    assert peer.last_seen_ms == other.last_seen_ms == int(now * 1000)
    now += 599
    peer.note_read(1, int(now * 1000))
    now += 2
    silent_sources.look()
    assert silent_sources.silent_now() == {"192.0.2.7": 601}
    now += 600
    silent_sources.look()
    assert silent_sources.silent_now() == {"192.0.2.7": 1201, "192.0.2.8": 602}


def test_end_of_silence_names_the_source_and_its_cause():
    source = Source((ip_network("192.0.2.7"),), name="fw-lyon", alert_if_silent_for=timedelta(minutes=10))
    now, events = 1_000_000.0, []
    peers = Peers(router(source))
    silent_sources = SilentSources(Alarms(events.append), peers, lambda: now)
    now += 601
    silent_sources.look()
    peers.get("udp", "192.0.2.7").last_seen_ms = int(now * 1000)
    silent_sources.look()
    assert 'message="source fw-lyon (192.0.2.7) sends again"' in events[-1]
    now += 601
    silent_sources.look()
    peers.change(router())
    silent_sources.look()
    assert 'message="source 192.0.2.7 is no longer expected to send"' in events[-1]
