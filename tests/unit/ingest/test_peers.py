"""Tests ``sources:`` in the pipeline (relays, limits, message numbers), and mirroring."""

import tracemalloc
from datetime import UTC, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest

from bridge.batching import Window
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import IDLE_MS, Peers
from bridge.routing import Router
from bridge.syslog.framing import datagrams
from bridge.syslog.timestamps import TimeReader
from bridge.util.token_bucket import TokenBucket
from tests.unit.ingest.test_pipeline import NOON, Bridge, Intake, Route, Tcp, Unrouted
from tests.unit.routing.test_routing import Source

RELAY = (ip_network("192.0.2.7"),)


@pytest.fixture
def make_bridge(tmp_path):
    def make(*sources, routes=None, window=None, mirror=None):
        bridge = Bridge(
            tmp_path / "spool", routes or [Route("all", "a")], window=window or Window(None, None), mirror=mirror
        )  # fmt: skip
        bridge.peers.router = Router(
            routes=bridge.routes, intakes={"a": Intake(), "b": Intake()}, listeners={"udp": None, "tcp": None},
            unrouted=Unrouted(), timezone=UTC, sources=sources,
        )  # fmt: skip
        return bridge

    return make


def rows(bridge):
    return {
        peer.address: (peer.events, peer.intake, peer.unrouted, peer.relay_address)
        for peer in bridge.peers.all() if peer.events or peer.unrouted
    }  # fmt: skip


def test_hostname_is_the_source_behind_a_relay(make_bridge):
    new_york = ZoneInfo("America/New_York")
    bridge = make_bridge(
        Source(RELAY, relay=True, timezone=ZoneInfo("Europe/Paris")),
        Source(RELAY, hostname=("ny-*",), timezone=new_york, name="branch"),
    )
    connection = Tcp(bridge).connect()
    connection.dataReceived(
        b"<13>Nov 23 13:00:00 web-1.example app: one\n<13>Nov 23 07:00:00 ny-fw app: two\n"
        b"<13>Nov 23 13:00:00 web-1.example app: three\n<13>no header at all\n"
    )
    bridge.check(received=4, spooled=4)
    assert rows(bridge) == {
        "web-1.example": (2, "a", 0, "192.0.2.7"),
        "ny-fw": (1, "a", 0, "192.0.2.7"),
        "192.0.2.7": (1, "a", 0, None),
    }
    # Both clocks are right, each in its own zone: noon UTC.
    offsets = {peer.address: peer.clock_offset for peer in bridge.peers.all() if peer.clock}
    assert offsets == {"web-1.example": 0.0, "ny-fw": 0.0}
    (branch,) = [peer for peer in bridge.peers.all() if peer.name]
    assert (branch.address, branch.name) == ("ny-fw", "branch")
    bridge.spool.seal_all()
    (batch,) = (bridge.directory / "a").glob("*.lines")
    assert f"-{NOON * 1000}-" in batch.name
    assert sorted(bridge.events("a")) == [b"no header at all", b"one", b"three", b"two"]


def test_unrouted_hosts_and_wrong_clocks_behind_a_relay_are_counted(make_bridge):
    routes = [Route("web", "a", hostname=("web*",))]
    bridge = make_bridge(Source(RELAY, relay=True), routes=routes, window=Window(86_400_000, 86_400_000))
    connection = Tcp(bridge).connect()
    connection.dataReceived(
        b"<13>Nov 23 12:00:00 web-1 app: one\n<13>Jan  2 12:00:00 web-2 app: two\n<13>Nov 23 12:00:00 db-1 app: three\n"
    )
    bridge.check(received=3, spooled=2, quarantined=1)
    assert {peer.address: peer.unrouted for peer in bridge.peers.all() if peer.unrouted} == {"db-1": 1}
    assert {peer.address: peer.outside for peer in bridge.peers.all() if peer.outside} == {"web-2": 1}


def test_token_bucket_holds_one_second():
    bucket = TokenBucket(100)
    assert bucket.take(150, 1_000) == 100
    assert bucket.take(10, 1_000) == 0
    assert bucket.take(100, 1_500) == 50
    assert bucket.take(10, 500) == 0, "the clock was set back"
    assert bucket.take(1000, 60_000) == 100


@pytest.mark.parametrize("transport", ["datagrams", "stream"])
def test_events_above_the_limit_are_dropped_and_counted(make_bridge, transport):
    bridge = make_bridge(Source(RELAY, rate_limit=3))
    frames = [b"<13>Nov 23 12:00:00 gw app: %d" % number for number in range(5)]

    def send():
        if transport == "stream":
            connection.dataReceived(b"".join(frame + b"\n" for frame in frames) + b"\n\n")
        else:
            other = bridge.peers.get("udp", "192.0.2.8")
            both = [(bridge.peers.get("udp", "192.0.2.7"), [*frames, b" "]), (other, [b"<13>x"])]
            bridge.pipeline.take_many(both, datagrams)

    connection = Tcp(bridge).connect()
    send()
    other_count = transport == "datagrams"
    bridge.check(received=5 + other_count, spooled=3 + other_count, dropped={"source_limit": 2})
    bridge.clock.advance(1)
    send()
    bridge.check(received=2 * (5 + other_count), spooled=2 * (3 + other_count), dropped={"source_limit": 4})
    limited = {peer.address: (peer.events, peer.limited) for peer in bridge.peers.all() if peer.limited}
    assert limited == {"192.0.2.7": (10, 4)}


def test_missing_message_numbers_are_counted(make_bridge):
    bridge = make_bridge(Source(RELAY, detect_gaps=True))
    connection = Tcp(bridge).connect()
    connection.dataReceived(b"".join(b"<189>%d: Nov 23 12:00:00: %%A-1-B: c\n" % n for n in (7, 8, 11)))
    connection.dataReceived(b"<189>12: Nov 23 12:00:00: %A-1-B: c\n")
    (peer,) = bridge.peers.all()
    assert (peer.events, peer.gaps.missing) == (4, 2)


def test_frames_are_mirrored_unchanged(make_bridge):
    copied = []

    class RecordingMirror:
        def send(self, targets, frames):
            copied.extend((target, frame) for target in targets for frame in frames)

    routes = [Route("noise", None, hostname=("noise",), mirror_to=("x",)), Route("all", "a", mirror_to=("x", "y"))]
    bridge = make_bridge(routes=routes, mirror=RecordingMirror())
    connection = Tcp(bridge).connect()
    kept, dropped = b"<13>Nov 23 12:00:00 gw app: one", b"<13>Nov 23 12:00:00 noise app: two"
    connection.dataReceived(kept + b"\n" + dropped + b"\n")
    assert sorted(copied) == [("x", kept), ("x", dropped), ("y", kept)]
    bridge.check(received=2, spooled=1, filtered=1)


def test_expected_sources_are_those_with_an_address_and_alert_if_silent_for(make_bridge):
    router = make_bridge(
        Source(RELAY, alert_if_silent_for=timedelta(minutes=1), name="fw"),
        Source((ip_network("10.0.0.0/8"),), alert_if_silent_for=timedelta(minutes=2)),
    ).peers.router
    expected = router.expected_sources()
    assert {str(address): (known.name, known.alert_if_silent_for) for address, known in expected.items()} == {
        "192.0.2.7": ("fw", timedelta(minutes=1))
    }


# --- memory ---------------------------------------------------------------------------------------------------------

MEASURED = 400
MOST_BYTES_OF_A_PEER = 1300
MOST_BYTES_OF_SAMPLES = 1600
"Besides the text of the messages."


def test_memory_of_a_source_is_bounded(make_bridge):
    """The performance page and the docstring of the module state these figures."""
    bridge = make_bridge()
    peers, samples, reader = bridge.peers, MessageSamples(), TimeReader()
    frame = b"<13>Nov 23 12:00:00 gw app: x"

    def fill(network, keep):
        for number in range(MEASURED):
            peer = peers.get("udp", f"{network}.{number >> 8}.{number & 255}")
            for turn in range(MessageSamples.PER_SENDER):
                peer.note_read(1, NOON * 1000 + 1000 * turn)
                peer.sample(frame, NOON * 1000 + 1000 * turn, reader)
                if keep:
                    samples.note(peer, frame, NOON * 1000 + 1000 * turn)

    fill("10.1", keep=False)
    tracemalloc.start()
    try:
        fill("10.2", keep=False)
        peer_size = tracemalloc.get_traced_memory()[0] / MEASURED
        fill("10.2", keep=True)
        samples_size = tracemalloc.get_traced_memory()[0] / MEASURED - peer_size
    finally:
        tracemalloc.stop()
    text = MessageSamples.PER_SENDER * (len(frame) + 33)
    assert 300 < peer_size < MOST_BYTES_OF_A_PEER
    assert text < samples_size < text + MOST_BYTES_OF_SAMPLES
    assert Peers.MOST == 50_000 and MessageSamples.MOST_SENDERS == 10_000


def test_idle_sources_expire_unless_sources_names_them(make_bridge):
    bridge = make_bridge(Source((ip_network("192.0.2.7/32"),), name="core"))
    peers, reader = bridge.peers, TimeReader()
    for host in ("192.0.2.7", "192.0.2.8", "192.0.2.9"):
        peers.get("udp", host).note_read(1, NOON * 1000)
    peers.get("udp", "192.0.2.10")  # a health check: it has sent nothing
    peers.expire(NOON * 1000 + IDLE_MS - 1)
    assert [peer.address for peer in peers.all()] == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
    connected = peers.get("udp", "192.0.2.9")
    peers.get("udp", "192.0.2.8").note_read(1, NOON * 1000 + 1)
    peers.expire(NOON * 1000 + IDLE_MS)
    assert [peer.address for peer in peers.all()] == ["192.0.2.7", "192.0.2.8"]
    assert (peers.expired, peers.forgotten) == (2, 0)
    # Its connection is still open. It is known again once it sends, with its counters.
    assert connected.note_read(1, NOON * 1000 + IDLE_MS)
    connected.sample(b"<13>x", NOON * 1000 + IDLE_MS, reader)
    assert {peer.address: peer.events for peer in peers.all()} == {"192.0.2.7": 1, "192.0.2.8": 2, "192.0.2.9": 2}


def test_sources_that_sources_names_are_evicted_last(make_bridge, monkeypatch):
    monkeypatch.setattr(Peers, "MOST", 100)
    bridge = make_bridge(Source((ip_network("192.0.2.7/32"),), timezone=ZoneInfo("Europe/Paris")))
    named = bridge.peers.get("udp", "192.0.2.7")
    for number in range(1000):
        bridge.peers.get("udp", f"10.0.{number >> 8}.{number & 255}").note_read(5, NOON * 1000)
    assert len(bridge.peers.all()) <= 100 and bridge.peers.get("udp", "192.0.2.7") is named


def test_sources_do_not_expire_while_the_clock_may_be_wrong(make_bridge):
    peers = make_bridge().peers
    peers.get("udp", "198.51.100.1").note_read(1, NOON * 1000)
    peers.get("udp", "198.51.100.2")  # a health check: it has sent nothing
    ten_years_ahead = (NOON + 3650 * 86_400) * 1000
    peers.expire(ten_years_ahead, settled=False)
    assert [peer.address for peer in peers.all()] == ["198.51.100.1"]
    peers.expire(ten_years_ahead)
    assert peers.all() == []
