"""Tests that everything behind the pipeline sees redacted messages only, whatever way they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import GroupLimits
from bridge.config import parse_text
from bridge.ingest import from_config as ingest_config
from bridge.ingest.peers import Peers
from bridge.spool import BatchLimits
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.reprocess import Reprocessor, Selection
from bridge.syslog.frames import block_of
from bridge.syslog.framing import Oversize
from tests.harness.builders import build_pipeline, build_spool

CONFIG = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "127.0.0.1:5514"}, {name: https, tcp: "127.0.0.1:5515"}]
intakes: {a: {intake_key: kkkkkkkkkkkkkkkk}, raw: {intake_key: llllllllllllllll, payload: raw}}
sources: [{source: 10.0.0.9, relay: true}]
redact:
  - {pattern: [email, card_number]}
  - {name: badge, regex: 'badge=\\K\\d+', replacement: "0", source: 10.0.0.0/8}
  - {name: slow, regex: '(x+)+$', source: 10.0.0.0/8}
routes:
  - {name: raw, intake: raw, message: {contains: [to-raw]}}
  - {name: a, intake: a, message: {starts_with: [in, "{", user]}}
spool: {directory: x}
"""
HEADER = b"<13>Nov 23 12:00:00 gw app[7]: "
SECRET = b"joe@example.org"
SLOW = b"in " + b"x" * 300 + b"!"
INSIDE, OUTSIDE = "10.0.0.1", "192.0.2.1"


class Bridge:
    """A pipeline with the configuration, on a spool of its own."""

    def __init__(self, directory: Path, *, truncate: bool = False) -> None:
        self.config = parse_text(CONFIG)
        self.clock = Clock()
        self.ledger = Ledger()
        self.directory = directory
        self.spool = build_spool(directory)
        self.pipeline = build_pipeline(self.spool, self.ledger, truncate=truncate)
        self.counts = self.pipeline.read_counts
        self.peers = Peers(ingest_config.router(self.config, self.counts.note_limit))

    def take(self, *frames: bytes, peer: str = INSIDE, **options: Any) -> None:
        self.pipeline.take(self.peers.get("udp", peer), block_of(list(frames)), **options)

    def events(self, intake: str) -> list[bytes]:
        folder = self.directory / intake
        return [line for path in sorted(folder.iterdir()) for line in path.read_bytes().split(b"\n")[:-1]]

    def held(self, reason: str) -> list[QuarantineEntry]:
        folder = self.directory / ".quarantine" / reason
        lines = [line for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]
        return [entry for line in lines if (entry := QuarantineEntry.read(line)) is not None]

    def check(self, **columns: int) -> None:
        assert self.ledger.imbalance == 0
        assert {name: value for name, value in self.ledger.columns().items() if value} == columns
        assert self.counts.by_listener.total() == columns["received"]


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return Bridge(tmp_path / "spool")


def test_event_is_redacted_and_its_header_stays(bridge: Bridge) -> None:
    bridge.take(
        b'<13>1 2026-11-23T12:00:00Z joe@example.org app 7 ID [x@1 mail="joe@example.org"] in to-raw joe@example.org'
    )
    assert bridge.events("raw") == [
        b'<13>1 2026-11-23T12:00:00Z joe@example.org app 7 ID [x@1 mail="REDACTED"] in to-raw REDACTED'
    ]
    assert bridge.counts.redacted == {"email": 2}
    bridge.check(received=1, spooled=1)


def test_rules_apply_to_their_sources_only(bridge: Bridge) -> None:
    for peer in (INSIDE, OUTSIDE):
        bridge.take(HEADER + b"in badge=123 joe@example.org", peer=peer)
    assert sorted(bridge.events("a")) == [b"in badge=0 REDACTED", b"in badge=123 REDACTED"]
    assert bridge.counts.redacted == {"email": 2, "badge": 1}


def test_json_and_pairs_stay_valid(bridge: Bridge) -> None:
    bridge.take(
        HEADER + b'{"card": 4111111111111111, "mail": "joe@example.org"}', HEADER + b'user="joe@example.org" badge=7'
    )
    first, second = bridge.events("a")
    assert json.loads(first) == {"card": "REDACTED", "mail": "REDACTED"}
    assert second == b'user="REDACTED" badge=0'


def test_routes_see_the_redacted_message(bridge: Bridge) -> None:
    bridge.take(HEADER + b"to-raw@example.org")
    assert [entry.frame for entry in bridge.held("unrouted")] == [HEADER + b"REDACTED"]


def test_frame_that_cannot_be_redacted_is_held_and_not_sent(bridge: Bridge) -> None:
    bridge.take(HEADER + b"in one", HEADER + SLOW, b"", HEADER + b"in two")
    assert bridge.events("a") == [b"in one", b"in two"]
    (entry,) = bridge.held("unredacted")
    assert (entry.frame, entry.peer, entry.detail) == (
        HEADER + SLOW,
        INSIDE,
        "redact rule slow exceeded its match limit",
    )
    bridge.check(received=3, spooled=2, quarantined=1)
    assert bridge.peers.get("udp", INSIDE).events == 3
    # No rule with an expression applies to this sender.
    bridge.take(HEADER + SLOW, peer=OUTSIDE)
    bridge.check(received=4, spooled=3, quarantined=1)


def test_datagrams_of_several_peers_are_redacted_together(bridge: Bridge) -> None:
    config = CONFIG.replace("  - {name: raw, intake: raw, message: {contains: [to-raw]}}\n", "").replace(
        ', message: {starts_with: [in, "{", user]}', ""
    )
    bridge.peers = Peers(ingest_config.router(parse_text(config)))
    peers = [bridge.peers.get("udp", f"10.0.0.{n}") for n in (1, 2, 3)]
    assert all(peer.mergeable for peer in peers)
    watch = bridge.pipeline.message_samples.watch("tail", None, 0.0)
    assert watch is not None
    one, two, three = ([HEADER + b"in %d joe@example.org" % n] for n in (1, 2, 3))
    bridge.pipeline.take_many([(peers[0], one), (peers[1], [HEADER + SLOW, b" ", *two]), (peers[2], three)], block_of)
    assert bridge.events("a") == [b"in %d REDACTED" % n for n in (1, 2, 3)]
    assert [entry.peer for entry in bridge.held("unredacted")] == ["10.0.0.2"]
    bridge.check(received=4, spooled=3, quarantined=1)
    assert [peer.events for peer in peers] == [1, 2, 1]
    assert bridge.counts.redacted == {"email": 3}
    assert [sample.frame for sample in watch.waiting] == [
        HEADER + b"in 1 REDACTED",
        b" ",
        HEADER + b"in 2 REDACTED",
        HEADER + b"in 3 REDACTED",
    ]
    assert all(SECRET not in s.frame for peer in peers for s in bridge.pipeline.message_samples.of(peer))


def test_blocks_of_several_connections_are_redacted(bridge: Bridge) -> None:
    peers = [bridge.peers.get("udp", f"10.0.0.{n}") for n in (1, 2)]
    bridge.pipeline.take_blocks({peer: [b"\n" + HEADER + b"in joe@example.org"] for peer in peers})
    assert bridge.events("a") == [b"in REDACTED"] * 2


def test_relayed_frames_are_redacted(bridge: Bridge) -> None:
    bridge.take(HEADER + b"in badge=7 joe@example.org", HEADER + SLOW, peer="10.0.0.9")
    assert bridge.events("a") == [b"in badge=0 REDACTED"]
    assert [entry.peer for entry in bridge.held("unredacted")] == ["10.0.0.9"]
    bridge.check(received=2, spooled=1, quarantined=1)


def test_samples_and_tail_are_redacted(bridge: Bridge) -> None:
    samples = bridge.pipeline.message_samples
    watch = samples.watch("tail", None, 0.0)
    assert watch is not None
    bridge.take(HEADER + SLOW, HEADER + b"in joe@example.org")
    shown = [*watch.waiting, *samples.of(bridge.peers.get("udp", INSIDE))]
    assert [sample.frame for sample in shown] == [HEADER + b"in REDACTED"] * 2


def test_oversize_and_unfinished_frames_are_redacted(bridge: Bridge, tmp_path: Path) -> None:
    peer = bridge.peers.get("udp", INSIDE)
    bridge.pipeline.take_oversize(
        peer, [Oversize(HEADER + b"in joe@example.org", 400_000), Oversize(HEADER + SLOW, 400_000)]
    )
    bridge.pipeline.take_unfinished(peer, HEADER + b"in badge=7", "the connection was closed")
    assert [entry.frame for entry in bridge.held("oversize")] == [HEADER + b"in REDACTED"]
    assert [entry.frame for entry in bridge.held("damaged")] == [HEADER + b"in badge=0"]
    assert [entry.frame for entry in bridge.held("unredacted")] == [HEADER + SLOW]
    bridge.check(received=3, quarantined=3)
    other = Bridge(tmp_path / "truncating", truncate=True)
    other.pipeline.take_oversize(other.peers.get("udp", INSIDE), [Oversize(HEADER + b"in joe@example.org", 400_000)])
    assert other.events("a") == [b"in REDACTED"]


class AtOnce:
    async def pause(self) -> None: ...

    def keep(self) -> None: ...


def test_requests_are_redacted(bridge: Bridge) -> None:
    peer = bridge.peers.get("https", INSIDE)
    watch = bridge.pipeline.message_samples.watch("tail", None, 0.0)
    assert watch is not None
    rows = {
        "a": [(b'{"mail":"joe@example.org"}', 1_795_435_200_000), (SLOW, 1_795_435_201_000), (b"y", 1_795_435_202_000)],
        None: [(HEADER + b"in badge=7", None), (HEADER + SLOW, None), (b"", None)],
    }
    found: list[Any] = []
    request = bridge.pipeline.take_request(peer, lambda: [rows], AtOnce(), lambda files: None)
    ensureDeferred(request).addCallback(found.append)
    assert found[0].lost == 0
    assert sorted(bridge.events("a")) == [b"in badge=0", b"y", b'{"mail":"REDACTED"}']
    assert [(entry.frame, entry.intake) for entry in bridge.held("unredacted")] == [(SLOW, "a"), (HEADER + SLOW, None)]
    bridge.check(received=5, spooled=3, quarantined=2)
    assert bridge.counts.redacted == {"email": 1, "badge": 1}
    assert all(SECRET not in sample.frame and b"xxx" not in sample.frame for sample in watch.waiting)
    assert len(watch.waiting) == 3


@pytest.mark.parametrize("intake", [None, "a"])
def test_retry_redacts_and_gives_the_same_event(bridge: Bridge, intake: str | None) -> None:
    frame = HEADER + b"in badge=7 joe@example.org"
    bridge.take(frame)
    (event,) = bridge.events("a")
    add = bridge.spool.quarantine.add
    add(
        "unredacted",
        [QuarantineEntry(1_795_435_200_000, "udp", INSIDE, one, "limit", intake) for one in (frame, HEADER + SLOW)],
    )
    reprocessor = Reprocessor(ingest_config.router(bridge.config), GroupLimits(), BatchLimits())
    (file,) = bridge.spool.quarantine.claim("unredacted")
    result = reprocessor.retry(bridge.spool, "unredacted", file, Selection(), range(10**15, 10**15 + 100))
    assert result.moves.total() == 1 and result.stayed == 1
    (batch,) = result.batches
    sent = batch.path.read_bytes().splitlines()
    assert sent == [event] if intake is None else [HEADER + event]
    assert result.remaining is not None and SLOW in QuarantineEntry.read(result.remaining.path.read_bytes()).frame  # type: ignore[union-attr]


def test_redacting_a_redacted_frame_changes_nothing(bridge: Bridge) -> None:
    redactor = bridge.peers.get("udp", INSIDE).profile.redactor
    assert redactor is not None
    frames = block_of([HEADER + b"in badge=7 joe@example.org", HEADER + b'{"n": 4111111111111111}'])
    once = redactor.redact(frames).frames
    assert once != frames and redactor.redact(once).frames == once


def test_sender_without_rules_has_no_redactor(bridge: Bridge) -> None:
    config = parse_text(CONFIG.replace("  - {pattern: [email, card_number]}\n", ""))
    peers = Peers(ingest_config.router(config))
    assert peers.get("udp", OUTSIDE).profile.redactor is None
    assert peers.get("udp", INSIDE).profile.redactor is not None
    assert peers.get("udp", INSIDE).profile.redactor is peers.get("udp", "10.9.9.9").profile.redactor
