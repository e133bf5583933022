"""Tests that the pipeline counts intake keys in messages for each sender, and where it keeps them."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from bridge.syslog.frames import Frames, block_of
from bridge.syslog.framing import Oversize, datagrams
from bridge.syslog.reader import Reader
from tests.unit.ingest.test_peers import RELAY, Source
from tests.unit.ingest.test_peers import make_bridge as make_bridge_with_sources
from tests.unit.ingest.test_pipeline import Route, make_bridge

__all__ = ["make_bridge", "make_bridge_with_sources"]

KEY = b"ABCDefgh01234567"
ELEMENT = b'[SEKOIA@53288 intake_key="%b"]' % KEY


def frame(text: bytes, host: bytes = b"gw") -> bytes:
    return b"<13>1 2026-11-23T12:00:00Z %b app 7 LOG %b %b" % (host, ELEMENT, text)


PLAIN = b"<13>Nov 23 12:00:00 gw app: plain"


def test_merged_read_counts_keys_for_each_sender(make_bridge: Any) -> None:
    bridge = make_bridge(Route("all", "a"))
    peers = {last: bridge.peers.get("udp", f"192.0.2.{last}") for last in range(1, 4)}
    members = [(peers[1], [frame(b"one"), PLAIN]), (peers[2], [PLAIN]), (peers[3], [frame(b"two"), frame(b"three")])]
    assert all(peer.mergeable for peer, _ in members)
    bridge.pipeline.take_many(members, datagrams)
    assert bridge.events("a") == [b"one", b"plain", b"plain", b"two", b"three"]
    assert [(peer.keyed, peer.events) for peer in peers.values()] == [(1, 2), (0, 1), (2, 2)]
    bridge.check(received=5, spooled=5)


@pytest.mark.parametrize("frames", [block_of([frame(b"a"), PLAIN]), [frame(b"a"), b"<13>two\nlines " + ELEMENT]])
def test_copies_of_a_route_are_sent_as_received(make_bridge: Any, frames: Frames) -> None:
    """A copy goes to another forwarder, which may need the key, and is never written."""
    copied: list[bytes] = []
    mirror = SimpleNamespace(send=lambda targets, each: copied.extend(each))
    bridge = make_bridge(Route("all", "a", mirror_to=("udp://192.0.2.9:514",)), mirror=mirror)
    peer = bridge.peers.get("tcp", "192.0.2.1")
    bridge.pipeline.take(peer, frames, Reader())
    assert copied == (frames if isinstance(frames, list) else frames[1:].split(b"\n"))
    assert len(bridge.events("a")) == 2
    assert not any(KEY in event for event in bridge.events("a"))


def test_only_the_form_raw_has_the_key(make_bridge: Any) -> None:
    routes = [Route("raw", "raw", hostname=("raw",)), Route("line", "b", hostname=("line",))]
    bridge = make_bridge(*routes)
    peer = bridge.peers.get("tcp", "192.0.2.1")
    sent = {name: frame(b"text", name) for name in (b"raw", b"line", b"nobody")}
    bridge.pipeline.take(peer, block_of(list(sent.values())), Reader())
    assert bridge.events("raw") == [sent[b"raw"]]
    assert bridge.events("b") == [b"2026-11-23T12:00:00.000Z line app[7]: text"]
    (held,) = (bridge.directory / ".quarantine" / "unrouted").iterdir()
    assert b"nobody" not in held.read_bytes()  # it is in base64
    assert peer.keyed == 3
    bridge.check(received=3, spooled=2, quarantined=1)


def test_frame_that_is_only_a_key_is_an_event_without_it(make_bridge: Any) -> None:
    bridge = make_bridge(Route("all", "a"))
    peer = bridge.peers.get("tcp", "192.0.2.1")
    bridge.pipeline.take(peer, block_of([ELEMENT, b"<13>" + ELEMENT, frame(b"")]), Reader())
    events = bridge.events("a")
    assert len(events) == 3 and not any(KEY in event for event in events)
    bridge.check(received=3, spooled=3)


def test_too_long_frame_is_cut_within_the_key(make_bridge: Any) -> None:
    bridge = make_bridge(Route("all", "a"), truncate=True)
    peer = bridge.peers.get("tcp", "192.0.2.1")
    whole = frame(b"text")
    kept = whole[: whole.index(KEY) + 9]
    bridge.pipeline.take_oversize(peer, [Oversize(kept, len(whole))])
    assert not any(KEY[:4] in event for event in bridge.events("a"))
    bridge.check(received=1, spooled=1)


def test_relay_is_the_sender_of_the_keys_of_its_hosts(make_bridge_with_sources: Any) -> None:
    bridge = make_bridge_with_sources(Source(RELAY, relay=True))
    relay = bridge.peers.get("tcp", str(RELAY[0].network_address))
    bridge.pipeline.take(relay, block_of([frame(b"one", b"h1"), frame(b"two", b"h2"), PLAIN]))
    assert relay.keyed == 2
    assert not any(KEY in event for event in bridge.events("a"))
    assert ip_network(relay.address) == RELAY[0]


class AtOnce:
    """Processes a request in one turn."""

    async def pause(self) -> None:
        pass

    def keep(self) -> None:
        pass


def test_request_with_a_key_in_its_events(make_bridge: Any) -> None:
    bridge = make_bridge(Route("all", "a"))
    peer = bridge.peers.get("tcp", "192.0.2.1")
    events = {"a": [(b"keyed " + ELEMENT, None), (b"plain", None)], None: [(frame(b"x"), 5)]}
    request = bridge.pipeline.take_request(peer, lambda: [events], AtOnce(), lambda files: None)
    Deferred.fromCoroutine(request)
    assert sorted(bridge.events("a")) == [b"keyed ", b"plain", b"x"]
    assert peer.keyed == 2


def test_message_samples_are_masked(make_bridge: Any) -> None:
    bridge = make_bridge(Route("all", "a"))
    peer = bridge.peers.get("tcp", "192.0.2.1")
    samples = bridge.pipeline.message_samples
    watch = samples.watch("test", None, 0.0)
    bridge.pipeline.take(peer, block_of([frame(b"a"), frame(b"b" * 9000)]), Reader())
    shown = [*samples.of(peer), *watch.waiting]
    assert len(shown) == 3
    assert all(b'intake_key="***"' in sample.frame and KEY not in sample.frame for sample in shown)
