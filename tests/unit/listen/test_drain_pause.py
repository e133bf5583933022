"""Tests the pause between two drains: long where the rate is high and the buffer large, else as short as ever."""

import socket

import pytest

from bridge.listen.datagram_reader import MOST_BYTES, MOST_DATAGRAMS
from bridge.listen.drain_pause import FEW, LARGE_BUFFER, LONGEST, SHORTEST, DrainPause
from bridge.listen.sockets import grow_receive_buffer, kernel_drops, receive_buffer_used

MIB = 1024 * 1024


def steady(pause, *, rate, length=300, per_datagram=0.0, truesize=768, buffer=16 * MIB, turns=50):
    """Drains a steady stream; returns the largest drain and the last interval. The kernel grants twice the buffer."""
    now, interval, largest = 100.0, SHORTEST, 0
    for turn in range(turns):
        now += interval
        count = max(1, round(rate * interval))
        done = now + count * per_datagram
        wait = pause.after(
            count, count * length, used=min(1.0, count * truesize / (2 * buffer)), began=now, now=done
        )  # fmt: skip
        interval = done + wait - now
        largest = max(largest, count) if turn > 2 else 0
    return largest, interval


def test_few_datagrams_wait_no_longer_than_the_shortest_pause():
    pause = DrainPause(64 * MIB)
    assert pause.after(1, 100, used=0.0, began=5.0, now=5.0) == SHORTEST, "the first drain"
    assert pause.after(1, 100, used=0.0, began=905.0, now=905.001) == SHORTEST, "after silence"
    for rate in (1, 100, FEW // 2):
        assert steady(pause, rate=rate)[1] == pytest.approx(SHORTEST)


def test_many_datagrams_fill_a_drain():
    for rate in (100_000, 150_000):
        largest, _ = steady(DrainPause(16 * MIB), rate=rate)
        assert MOST_DATAGRAMS * 0.7 < largest < MOST_DATAGRAMS
    _, interval = steady(DrainPause(16 * MIB), rate=20_000)
    assert interval == pytest.approx(LONGEST)


def test_long_datagrams_fill_a_drain_by_their_size():
    largest, _ = steady(DrainPause(64 * MIB), rate=90_000, length=2000, truesize=2816, buffer=64 * MIB)
    assert MOST_BYTES * 0.7 < largest * 2000 < MOST_BYTES


def test_time_of_the_drain_itself_counts():
    _, interval = steady(DrainPause(16 * MIB), rate=40_000, per_datagram=10e-6)
    assert interval == pytest.approx(LONGEST)
    pause = DrainPause(16 * MIB)
    pause.after(500, 150_000, used=0.01, began=1.0, now=1.005)
    assert pause.after(500, 150_000, used=0.01, began=1.011, now=1.051) == 0.0, "the drain took longer than a pause"


@pytest.mark.parametrize("buffer", [LARGE_BUFFER, 2 * LARGE_BUFFER, 16 * LARGE_BUFFER])
def test_pause_is_no_longer_than_the_buffer_holds_a_burst(buffer):
    """As much buffer per second of pause as the shortest pause requires."""
    _, interval = steady(DrainPause(buffer), rate=20_000, buffer=buffer)
    assert interval <= SHORTEST * buffer / LARGE_BUFFER + 1e-9
    assert interval <= LONGEST + 1e-9


@pytest.mark.parametrize("truesize", [768, 4352, 65_536])
def test_pause_fills_a_quarter_of_the_buffer_at_most(truesize):
    """The kernel may count 64 KiB for a small datagram: a page of the network card's driver."""
    buffer = 16 * MIB
    largest, _ = steady(DrainPause(buffer), rate=80_000, truesize=truesize, buffer=buffer)
    assert largest * truesize <= 2 * buffer * 0.26


def test_unknown_use_of_the_buffer_keeps_the_shortest_pause():
    pause = DrainPause(16 * MIB)
    pause.after(500, 150_000, used=None, began=1.0, now=1.0)
    assert pause.after(500, 150_000, used=None, began=1.01, now=1.01) == SHORTEST


def test_small_buffer_allows_no_pause():
    pause = DrainPause(LARGE_BUFFER - 1)
    for turn in range(5):
        assert pause.after(100, 30_000, used=0.1, began=turn * 0.01, now=turn * 0.01) == 0.0


@pytest.mark.parametrize("granted", [MIB, 4 * MIB, 16 * MIB])
def test_buffer_holds_a_burst_that_begins_with_the_longest_pause(granted):
    """500,000 datagrams of 300 bytes per second: more than one sender makes."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        if (granted := grow_receive_buffer(bound, granted)) < LARGE_BUFFER:
            pytest.skip("net.core.rmem_max is too small, and this user may not pass it")
        bound.bind(("127.0.0.1", 0))
        _, longest = steady(DrainPause(granted), rate=20_000, buffer=granted)
        assert longest > SHORTEST * 0.99
        for _ in range(round(500_000 * longest)):
            sender.sendto(b"x" * 300, bound.getsockname())
        used = receive_buffer_used(bound)
        assert kernel_drops(bound) == 0
        assert used is not None and 0.05 < used < 0.9
