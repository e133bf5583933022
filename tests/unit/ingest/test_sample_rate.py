"""Tests how often senders are sampled: once a second, and less often if there are thousands."""

from bridge.ingest.peers import IDLE_MS, SAMPLE_MS, SAMPLES_PER_SECOND, Peers
from tests.unit.ingest.test_pipeline import NOON, make_bridge  # noqa: F401


def send(peers, senders, now_ms, reader=None):
    """Each sender sends one event; returns the number of samples."""
    samples = 0
    for number in range(senders):
        peer = peers.get("udp", f"10.0.{number >> 8}.{number & 255}")
        if peer.note_read(1, now_ms):
            peer.sample(b"", now_ms, reader)
            samples += 1
    return samples


def test_few_senders_are_sampled_once_a_second(make_bridge):  # noqa: F811
    peers, now = make_bridge().peers, NOON * 1000
    assert send(peers, 3, now) == 3
    assert send(peers, 3, now + SAMPLE_MS - 1) == 0
    assert send(peers, 3, now + SAMPLE_MS) == 3


def test_thousands_of_senders_share_the_samples_of_a_second(make_bridge):  # noqa: F811
    peers, now = make_bridge().peers, NOON * 1000
    many = 3 * SAMPLES_PER_SECOND
    send(peers, many, now)
    for tenth in range(1, 100):
        send(peers, many, now + 100 * tenth)
    found = sum(send(peers, many, now + 10_000 + 100 * tenth) for tenth in range(60))
    assert many <= found <= 6 * SAMPLES_PER_SECOND
    first = peers.get("udp", "10.0.0.0")
    assert first.rate_at(now + 16_000) == 10.0


def test_each_sender_is_sampled_often_again_after_the_others_expire(make_bridge):  # noqa: F811
    peers, now = make_bridge().peers, NOON * 1000
    send(peers, 3 * SAMPLES_PER_SECOND, now)
    assert peers.sample_ms == 3 * SAMPLE_MS
    send(peers, 2, now + IDLE_MS)
    peers.expire(now + IDLE_MS)
    assert len(peers.all()) == 2
    assert peers.sample_ms == SAMPLE_MS


def test_evicted_senders_do_not_count(make_bridge, monkeypatch):  # noqa: F811
    monkeypatch.setattr(Peers, "MOST", 2 * SAMPLES_PER_SECOND)
    peers = make_bridge().peers
    send(peers, 5 * SAMPLES_PER_SECOND, NOON * 1000)
    assert peers.sample_ms <= 2 * SAMPLE_MS
