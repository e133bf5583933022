"""Tests a courier with two URLs: where requests go, and that nothing waits while one URL answers."""

import pytest
from twisted.internet.error import ConnectionRefusedError

from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.client import Response
from bridge.deliver.context import DeliveryPath
from bridge.deliver.failover import BaseUrls
from bridge.deliver.request import RequestTarget
from tests.unit.deliver.test_courier import World

FIRST, SECOND = "http://first.test/plain/batch", "http://second.test/plain/batch"


class Two(World):
    def __init__(self, directory, **options):
        super().__init__(directory, **options)
        self.urls = []
        self.breakers = [CircuitBreaker(self.clock, wake=self.dispatcher.wake) for _ in range(2)]
        for breaker in self.breakers:
            breaker.opens_after = 1
        target = RequestTarget(FIRST, dict, False, fallback_urls=(SECOND,))
        self.courier.change(DeliveryPath(target, self, BaseUrls(*self.breakers)), self.courier._limits)

    def post(self, url, body, headers):
        self.urls.append(url)
        return super().post(url, body, headers)


@pytest.fixture
def two(tmp_path):
    return Two(tmp_path / "spool")


def test_the_second_carries_on_at_once_and_the_first_is_back_after_a_probe(two):
    two.seal(b"one")
    two.fail()
    assert two.urls == [FIRST, SECOND]
    two.accept()
    assert (two.courier.state, two.courier.last_error) == ("idle", None)
    two.seal(b"two", ms=1000)
    assert two.urls == [FIRST, SECOND, SECOND]
    two.accept()
    two.clock.advance(1.5)
    two.seal(b"probe", ms=2000)
    two.seal(b"beside", ms=5000)
    assert two.urls[3:] == [FIRST, SECOND]
    two.accept(1)
    two.accept()
    two.seal(b"three", ms=9000)
    assert two.urls[5:] == [FIRST]
    two.accept()
    assert two.ledger.of("a").delivered == 5
    assert two.alarms["failover"] >= 1


def test_a_probe_that_hangs_holds_nothing_up(two):
    two.seal(b"one")
    two.fail()
    two.accept()
    two.clock.advance(1.5)
    two.seal(b"hangs", ms=1000)
    for i in range(3):
        two.seal(b"fine %d" % i, ms=5000 * (i + 1))
        two.accept(1)
    assert [len(two.posted), two.bodies[0]] == [1, b"hangs"]
    two.posted.pop(0)[2].errback(ConnectionRefusedError("refused"))
    assert two.bodies == [b"hangs"] and two.urls[-1] == SECOND
    two.accept()
    assert two.files == []


def test_where_neither_answers_it_waits_and_loses_nothing(two):
    two.seal(b"one")
    two.fail()
    two.fail()
    assert (two.posted, two.courier.state) == ([], "backing-off")
    two.next_request()
    two.posted.pop(0)[2].callback(Response(200, b'{"event_ids":["1"]}'))
    two.check()
    assert (two.courier.state, two.files) == ("idle", [])


def test_what_the_collector_itself_refuses_does_not_go_elsewhere(two):
    two.seal(b"one")
    two.fail(status=401)
    two.clock.advance(10)
    assert two.urls == [FIRST]
    assert two.courier.state == "parked"
