"""Tests that requests are processed one at a time, in slices, with clients taking turns."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import SLICE_SECONDS, AbandonedError, RequestQueue


class Requests:
    """Runs requests that take some slices each, and records the slices."""

    def __init__(self, after_turn=None):
        self.clock = Clock()
        self.queue = RequestQueue(self.clock, after_turn)
        self.done = []
        self.ended = []
        self.failed = []

    def start(self, name, client, slices=3, *, used=1.1, before_last=lambda turn: None):
        async def run():
            turn = await self.queue.turn(client)
            try:
                for number in range(slices):
                    if number == slices - 1:
                        before_last(turn)
                    await turn.pause()
                    self.done.append((name, number))
                    # By default, the slice uses up the time of this reactor turn.
                    self.clock.rightNow += used * SLICE_SECONDS
            finally:
                turn.end()
            self.ended.append(name)

        Deferred.fromCoroutine(run()).addErrback(lambda failure: self.failed.append((name, failure.value)))

    def turn_reactor(self, times=1):
        """Runs what is due. As in the real reactor, what that schedules runs in the next turn."""
        for _ in range(times):
            due, self.clock.calls = self.clock.calls, []
            for call in due:
                call.called = 1
                call.func(*call.args, **call.kw)


@pytest.fixture
def requests():
    return Requests()


def test_one_slice_is_processed_per_reactor_turn(requests):
    requests.start("one", "a", slices=4)
    for slices in range(1, 5):
        assert len(requests.done) == slices
        requests.turn_reactor()
    assert requests.ended == ["one"]


def test_requests_that_arrive_in_one_turn_share_its_time(requests):
    for name in "abc":
        requests.start(name, name, slices=1)
    assert [name for name, _ in requests.done] == ["a"], "the first has used up the time"
    requests.turn_reactor(4)
    assert requests.ended == ["a", "b", "c"]


def test_small_requests_are_processed_in_one_turn_until_its_time_is_used_up():
    ends = []
    requests = Requests(ends.append)
    requests.start("first", "first", slices=2)
    for number in range(8):
        requests.start(number, number, slices=1, used=0.3)
    requests.turn_reactor()
    assert (requests.ended, ends) == (["first"], []), "it has used up the time of its turn"
    for expected in ([0, 1, 2, 3], list(range(8))):
        requests.turn_reactor()
        while ends:
            ends.pop()()
        assert requests.ended == ["first", *expected]


def test_clients_take_turns_however_many_requests_one_sends(requests):
    for number in range(5):
        requests.start(f"many {number}", "many")
    requests.start("few", "few")
    requests.turn_reactor(100)
    assert requests.ended == ["many 0", "many 1", "few", "many 2", "many 3", "many 4"]
    assert [name for name, number in requests.done if number == 0] == requests.ended, "one at a time"


def test_request_without_client_is_given_up_only_before_it_is_stored(requests):
    turns = []
    requests.start("gone", "a", before_last=lambda turn: turn.abandon())
    requests.start("kept", "a", before_last=lambda turn: (turn.keep(), turn.abandon(), turns.append(turn)))
    requests.turn_reactor(20)
    assert requests.ended == ["kept"]
    assert [(name, type(error)) for name, error in requests.failed] == [("gone", AbandonedError)]


def test_request_whose_client_goes_while_it_waits_is_given_up(requests):
    requests.start("gone", "a", before_last=lambda turn: requests.clock.callLater(0, turn.abandon))
    requests.turn_reactor(20)
    assert requests.done == [("gone", 0), ("gone", 1)]
    assert [(name, type(error)) for name, error in requests.failed] == [("gone", AbandonedError)]


def test_close_finishes_the_current_request_at_once_and_refuses_the_others(requests):
    requests.start("current", "a", slices=50)
    requests.start("waiting", "b")
    requests.turn_reactor(3)
    requests.queue.close()
    assert requests.ended == ["current"]
    requests.start("late", "c")
    assert [(name, error.status) for name, error in requests.failed] == [("waiting", 503), ("late", 503)]
    assert all(isinstance(error, Refusal) for _, error in requests.failed)
    requests.turn_reactor(5)
    assert not requests.clock.getDelayedCalls()
