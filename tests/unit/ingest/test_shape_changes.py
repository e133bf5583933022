"""Tests that a change of a source's messages is found, as after a firmware update, and ordinary traffic is none."""

import random
from collections import Counter

import pytest

from bridge.config import parse_text
from bridge.ingest import from_config, shape_changes, shape_history
from bridge.ingest.peers import EXTRA_PER_SECOND, Peers
from bridge.ingest.shape_changes import OVER, RECONFIGURED, USUAL
from tests.harness.sampled import NOON_MS, SampledSources, router
from tests.unit.ingest.test_pipeline import make_bridge  # noqa: F401

PLAIN = b"<13>Nov 23 12:00:00 fw1 app: accepted"
JSON_TEXT = b'<13>Nov 23 12:00:00 fw1 app: {"action": "accepted"}'
MODERN = b"<13>1 2026-11-23T12:00:00Z fw1 app 1 - - accepted"
FORTIGATE = (
    b'<189>date=2026-11-23 time=12:00:00 devname="fw1" devid="FG1H0E1" eventtime=1795435200000000000 tz="+0000"'
    b' logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=192.0.2.1'
)
FORTIGATE_JSON = b'<189>{"date":"2026-11-23","time":"12:00:00","devname":"fw1","type":"traffic","srcip":"192.0.2.1"}'
"As FortiOS sends with format json."

SLOW_ROUTE = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "127.0.0.1:5514"}]
intakes: {a: {intake_key: k1}, b: {intake_key: k2}}
routes:
  - {name: slow, intake: a, message: {matches: "(y+)+$"}}
  - {name: rest, intake: b}
"""


class Source:
    """A source; the time passes as it sends."""

    def __init__(self, sources, address="192.0.2.7"):
        self.sources = sources
        self.peer = sources.peer(address)

    def send(self, frame, count, *, every=1.0, read=1):
        """Sends frames, ``read`` at a time; returns the seconds until a change was confirmed, or None."""
        start, before = self.sources.now_ms, self.sources.look(self.peer)
        for _ in range(count // read):
            self.sources.pass_ms(every * read * 1000)
            self.sources.take(self.peer, [frame] * read)
            if self.sources.look(self.peer) and not before:
                return (self.sources.now_ms - start) / 1000
        return None

    def wait(self, seconds):
        for _ in range(seconds):
            self.sources.pass_ms(1000)
            if self.sources.look(self.peer):
                return True
        return False

    @property
    def change(self):
        return self.sources.changes.confirmed()[self.peer]


@pytest.fixture
def source():
    return Source(SampledSources())


@pytest.fixture
def firewall():
    return Source(SampledSources("fortinet-fortigate"))


def test_another_shape_is_found_within_a_minute(source):
    source.send(PLAIN, 200)
    assert shape_history.SHORTEST_MS / 1000 <= source.send(MODERN, 100) <= 60
    assert source.change.main_kind.layout.shape == "rfc3164"
    assert source.change.new_kind.layout.shape == "rfc5424"
    assert source.change.before == PLAIN
    assert source.change.after == MODERN


def test_another_text_is_found_in_the_same_header(source):
    source.send(PLAIN, 200)
    assert source.send(JSON_TEXT, 100) <= 60
    old, new = source.change.main_kind.layout, source.change.new_kind.layout
    assert (new.words(old), old.words(new)) == ("rfc3164, JSON", "rfc3164, text")


@pytest.mark.parametrize("every", [0.01, 1.0, 60.0])
def test_events_that_stop_matching_the_format_are_found_within_a_hundred_messages_or_a_minute(firewall, every):
    firewall.send(FORTIGATE, 6000 if every < 1 else 100, every=every)
    assert firewall.send(FORTIGATE_JSON, 100_000, every=every) <= max(60, 100 * every)
    assert firewall.change.disposition == ("all", "fortinet-fortigate")
    assert firewall.change.new >= shape_history.NEW


def test_change_is_found_if_the_source_falls_silent_after_a_burst(firewall):
    firewall.send(FORTIGATE, 300)
    assert firewall.send(FORTIGATE_JSON, 100, every=0.01, read=100) is None
    assert firewall.wait(60)


def test_another_shape_that_the_format_accepts_is_no_change(firewall):
    firewall.send(FORTIGATE, 200)
    assert firewall.send(FORTIGATE.replace(b"<189>", b"<189>Nov 23 12:00:00 fw1 "), 1000) is None


def test_source_must_be_known_first(source):
    source.send(PLAIN, shape_history.LEARNED // 2)
    assert source.send(MODERN, 1000) is None


def test_source_is_learned_within_a_few_seconds(source):
    assert source.send(PLAIN, 2 * shape_history.LEARNED, every=0.02) is None
    source.wait(2)
    assert source.send(MODERN, 100) is not None


def test_burst_of_a_rare_shape_is_no_change(source):
    source.send(PLAIN, 200)
    assert source.send(MODERN, 500, every=0.01, read=20) is None
    assert source.send(PLAIN, 600) is None


def test_burst_of_a_slow_source_is_no_change(source):
    source.send(PLAIN, 200, every=60)
    assert source.send(MODERN, 200, every=0.5) is None
    assert source.send(PLAIN, 10, every=60) is None


def test_second_shape_beside_the_usual_one_is_no_change(source):
    source.send(PLAIN, 200)
    chance = random.Random(1)
    for _ in range(3000):
        assert source.send(MODERN if chance.random() < 0.8 else PLAIN, 1) is None
    # It is known by now, so it may also come alone.
    assert source.send(MODERN, 300) is None


def test_known_kinds_that_do_not_match_are_found_after_a_day(firewall):
    other = b"<13>Nov 23 12:00:00 fw1 daemon: restarted"
    for _ in range(300):
        firewall.send(FORTIGATE, 20, every=20)
        firewall.send(other, 1)
    assert firewall.send(other, 2000, every=20) is not None
    assert firewall.change.known


def test_change_ends_when_the_old_messages_return(source):
    source.send(PLAIN, 200)
    source.send(MODERN, 100)
    source.send(PLAIN, 4)
    assert not source.sources.ended
    source.send(PLAIN, 2)
    source.sources.look(source.peer)
    assert source.sources.ended == [OVER]
    assert source.send(PLAIN, 100) is None


def test_change_that_has_ended_is_not_found_again(source):
    source.send(PLAIN, 200)
    assert source.send(MODERN, 100) is not None
    source.send(PLAIN, 100)
    assert source.send(MODERN, 300) is None


def test_source_that_sends_in_long_runs_needs_longer_ones(source):
    for _ in range(5):
        source.send(PLAIN, 40)
        source.send(JSON_TEXT, 40)
    assert source.send(MODERN, 60) is None
    source.send(PLAIN, 40)
    assert source.send(FORTIGATE, 300) is not None


def test_change_is_usual_after_a_day(source):
    source.send(PLAIN, 200)
    assert source.send(MODERN, 100) is not None
    source.send(MODERN, 24 * 60, every=60)
    assert source.sources.ended == [USUAL]
    assert source.send(MODERN, 1000) is None
    assert source.send(PLAIN, 100) is not None


def test_reload_keeps_what_is_known_and_ends_the_change_of_another_format(firewall):
    firewall.send(FORTIGATE, 200)
    peers = firewall.sources.peers
    peers.change(router("fortinet-fortigate"))
    assert firewall.send(FORTIGATE_JSON, 100) is not None
    peers.change(router("fortinet-fortigate"))
    assert firewall.sources.look(firewall.peer)
    peers.change(router("cef"))
    assert not firewall.sources.look(firewall.peer)
    assert firewall.sources.ended == [RECONFIGURED]


def test_no_message_is_kept_if_messages_may_not_be_shown(source):
    source.sources.samples.allow(False)
    source.send(PLAIN, 200)
    assert source.send(MODERN, 100) is not None
    assert source.change.before is None
    assert source.change.after is None


def test_messages_are_deleted_when_they_may_no_longer_be_shown(source):
    source.send(PLAIN, 200)
    source.send(MODERN, 100)
    source.sources.samples.allow(False)
    source.sources.look(source.peer)
    assert source.change.before is None
    assert source.change.after is None


def test_forgotten_sources_are_removed(source):
    source.send(PLAIN, 200)
    assert source.sources.changes.history(source.peer) is not None
    source.sources.peers.expire(source.sources.now_ms + 8 * 86_400_000)
    source.sources.look(source.peer)
    assert source.sources.changes.history(source.peer) is None


def test_sources_with_few_events_take_no_memory(source):
    for number in range(200):
        peer = source.sources.peer(f"10.0.0.{number}")
        for _ in range(shape_changes.LEAST_EVENTS - 1):
            source.sources.pass_ms(1000)
            source.sources.take(peer, [PLAIN])
    assert source.sources.changes.history(peer) is None


def test_number_of_learned_sources_is_bounded(source, monkeypatch):
    monkeypatch.setattr(shape_changes, "MOST_HISTORIES", 3)
    others = [Source(source.sources, f"10.0.0.{number}") for number in range(5)]
    for other in others:
        other.send(PLAIN, 10)
    assert sum(source.sources.changes.history(other.peer) is not None for other in others) == 3


def test_change_is_found_within_a_minute_among_ten_thousand_sources():
    sources = SampledSources()
    peers = [sources.peer(f"10.0.{n >> 8}.{n & 255}") for n in range(10_000)]
    # All send once a second. Only the samples of some are taken, which keeps the test short.
    changing = [Source(sources, peer.address) for peer in peers[:3]]
    learning = 12 * shape_history.LEARNED
    for _ in range(learning):
        for each in changing:
            each.send(PLAIN, 1, every=1 / 3)
    assert all(sources.changes.history(each.peer).is_learned(sources.now_ms) for each in changing)
    for _ in range(60):
        for each in changing:
            each.send(MODERN, 1, every=1 / 3)
    assert len(sources.changes.confirmed()) == len(changing)


def test_further_messages_are_bounded(source):
    spent = sum(source.sources.changes._spend(1000, NOON_MS + n) for n in range(1000))
    assert spent == EXTRA_PER_SECOND


def test_pipeline_samples_the_messages(make_bridge):  # noqa: F811
    bridge = make_bridge()
    peer = bridge.peers.get("udp", "192.0.2.7")
    for _ in range(3):
        bridge.clock.advance(1.0)
        bridge.pipeline.take(peer, [PLAIN] * 30)
    history = bridge.pipeline.shape_changes.history(peer)
    assert history.is_learned(int(bridge.wall() * 1000))
    assert [(kind.layout.shape, kind.fits) for kind in history.kinds] == [("rfc3164", None)]


def test_examined_message_is_not_counted_again_if_it_exceeds_a_match_limit():
    config, counted = parse_text(SLOW_ROUTE), Counter()
    sources = SampledSources()
    sources.peers = Peers(from_config.router(config, lambda route: counted.update([route])))
    source = Source(sources)
    for header in (b"<13>Nov 23 12:00:00 fw1 app: ", b'<13>1 2026-11-23T12:00:00Z fw1 app - - [x@1 a="b"] '):
        source.send(header + b"y" * 400 + b"!", 20)
    assert sources.changes.history(source.peer) is not None
    assert not counted, "messages are counted when they are routed"
