"""Tests message samples: they are bounded, and none are kept if messages may not be shown."""

from datetime import UTC

from bridge.ingest.message_samples import MessageSamples, SampleWatch
from bridge.ingest.peers import Peer, Peers
from bridge.routing import Router


class Unrouted:
    kind, intake = "hold", None


PEERS = Peers(Router(routes=(), intakes={}, listeners={"udp": None}, unrouted=Unrouted(), timezone=UTC))


def peer(address="192.0.2.1"):
    return Peer("udp", address, PEERS)


def test_latest_messages_are_kept():
    message_samples, sender = MessageSamples(), peer()
    for n in range(100):
        message_samples.note(sender, b"%d" % n, n)
    kept = message_samples.of(sender)
    assert [g.frame for g in kept] == [b"%d" % n for n in range(90, 100)]
    assert message_samples.of(peer()) == ()


def test_long_messages_are_cut_and_keep_their_length():
    message_samples, sender = MessageSamples(), peer()
    message_samples.note(sender, b"x" * 100_000, 0)
    (kept,) = message_samples.of(sender)
    assert (len(kept.frame), kept.length) == (MessageSamples.LONGEST, 100_000)


def test_memory_is_bounded_and_silent_senders_are_removed_first(monkeypatch):
    monkeypatch.setattr(MessageSamples, "MOST_BYTES", 100_000)
    message_samples = MessageSamples()
    peers = [peer(f"10.0.{n // 250}.{n % 250}") for n in range(1000)]
    for sender in peers:
        message_samples.note(sender, b"x" * 1000, 0)
        message_samples.note(peers[0], b"y" * 1000, 0)
    assert message_samples.of(peers[0])
    assert message_samples.of(peers[-1])
    assert not message_samples.of(peers[1])
    assert sum(len(g.frame) for p in peers for g in message_samples.of(p)) <= 100_000
    assert sum(bool(message_samples.of(p)) for p in peers) <= 100


def test_no_message_is_kept_if_messages_may_not_be_shown():
    message_samples, sender = MessageSamples(), peer()
    message_samples.note(sender, b"before", 0)
    message_samples.watch("a", None, 0.0)
    message_samples.allow(False)
    assert not message_samples.watches
    message_samples.note(sender, b"secret", 0)
    assert message_samples.of(sender) == ()
    assert message_samples.watch("a", None, 0.0) is None


def test_watch_gets_all_messages_of_its_address():
    message_samples, mine, other = MessageSamples(), peer(), peer("192.0.2.2")
    watch = message_samples.watch("a", "192.0.2.1", 0.0)
    assert message_samples.watches
    message_samples.add_read(mine, b"\none\ntwo", 5)
    message_samples.add_read(other, [b"three"], 5)
    message_samples.add_read(mine, [b"fo\nur"], 6)
    assert [g.frame for g in watch.waiting] == [b"one", b"two", b"fo\nur"]
    assert message_samples.watch("a", "192.0.2.1", 1.0) is watch


def test_unfetched_messages_are_bounded_and_counted():
    message_samples, mine = MessageSamples(), peer()
    watch = message_samples.watch("a", None, 0.0)
    for _ in range(100):
        message_samples.add_read(mine, [b"x"] * 1000, 5)
    assert len(watch.waiting) == SampleWatch.MOST
    assert watch.missed + len(watch.waiting) == 100_000


def test_watch_ends_without_polls():
    message_samples = MessageSamples()
    message_samples.watch("a", None, 0.0)
    message_samples.forget_watches(SampleWatch.ENDS_AFTER + 1)
    assert not message_samples.watches
    for n in range(MessageSamples.MOST_WATCHES):
        assert message_samples.watch(str(n), None, 100.0)
    assert message_samples.watch("one more", None, 100.0) is None
    assert message_samples.watch("later", None, 200.0)
