"""Tests that the bytes of a sender are estimated from samples: a sample stands for the frames since the one before."""

from bridge.ingest.sent_volume import SentVolume


def test_each_sample_stands_for_the_events_since_the_one_before():
    volume = SentVolume()
    volume.sample(100, 10)
    volume.sample(300, 15)
    assert volume.take(15) == (15, 10 * 100 + 5 * 300)


def test_events_after_the_last_sample_have_its_size_and_count_once():
    volume = SentVolume()
    volume.sample(100, 1)
    assert volume.take(4) == (4, 400)
    assert volume.take(4) == (0, 0)
    assert volume.take(6) == (2, 200)


def test_events_that_are_taken_back_make_nothing_negative():
    volume = SentVolume()
    volume.sample(100, 3)
    volume.take(3)
    assert volume.take(2) == (0, 0)
