"""Tests a courier with two URLs: which URL gets a request, and that nothing waits while one URL responds."""

import pytest
from twisted.internet.error import ConnectionRefusedError

from bridge.deliver.circuit_breaker import BaseUrls, CircuitBreaker
from bridge.deliver.context import DeliveryPath
from bridge.deliver.exchange import Response
from bridge.deliver.request import RequestTarget
from tests.unit.deliver.test_courier import CourierFixture

FIRST, SECOND = "http://first.test/plain/batch", "http://second.test/plain/batch"


class TwoUrlFixture(CourierFixture):
    def __init__(self, directory, **options):
        super().__init__(directory, **options)
        self.urls = []
        self.breakers = [CircuitBreaker(self.clock, wake=self.dispatcher.wake) for _ in range(2)]
        for breaker in self.breakers:
            breaker.has_alternative()
        target = RequestTarget(FIRST, dict, False, fallback_urls=(SECOND,))
        self.courier.change(DeliveryPath(target, self.post, BaseUrls(self.breakers)), self.courier._limits)

    def off(self, kind, about, text):
        self.alarms[kind] = 0

    def post(self, url, body, headers):
        self.urls.append(url)
        return super().post(url, body, headers)

    def fail_over(self):
        """Delivers an event to the second URL. The next request probes the first one."""
        self.seal(b"one")
        self.fail()
        self.accept()
        self.clock.advance(1.5)


@pytest.fixture
def fixture(tmp_path):
    return TwoUrlFixture(tmp_path / "spool")


def test_second_url_takes_over_at_once_and_a_probe_restores_the_first(fixture):
    fixture.seal(b"one")
    fixture.fail()
    assert fixture.urls == [FIRST, SECOND]
    fixture.accept()
    assert (fixture.courier.state, fixture.courier.last_error) == ("idle", None)
    assert fixture.alarms["failover"] >= 1
    fixture.seal(b"two", ms=1000)
    assert fixture.urls == [FIRST, SECOND, SECOND]
    fixture.accept()
    fixture.clock.advance(1.5)
    fixture.seal(b"probe", ms=2000)
    fixture.seal(b"beside", ms=5000)
    assert fixture.urls[3:] == [FIRST, SECOND]
    fixture.accept(1)
    fixture.accept()
    fixture.seal(b"three", ms=9000)
    assert fixture.urls[5:] == [FIRST]
    fixture.accept()
    assert fixture.ledger.of("a").delivered == 5
    assert fixture.alarms["failover"] == 0


def test_alarm_lasts_while_the_first_url_does_not_answer(fixture):
    fixture.fail_over()
    assert fixture.alarms["failover"] == 1
    fixture.seal(b"probe", ms=1000)
    fixture.seal(b"beside", ms=5000)
    fixture.accept(1)
    assert fixture.alarms["failover"] == 2, "the probe of the first URL is not answered yet"
    fixture.accept()
    assert fixture.alarms["failover"] == 0


def test_late_response_of_the_second_url_does_not_raise_the_alarm_again(fixture):
    fixture.fail_over()
    fixture.seal(b"probe", ms=1000)
    fixture.seal(b"beside", ms=5000)
    fixture.accept()
    fixture.accept()
    assert fixture.alarms["failover"] == 0
    assert fixture.urls == [FIRST, SECOND, FIRST, SECOND] and fixture.files == []


def test_hanging_probe_delays_no_other_request(fixture):
    fixture.fail_over()
    fixture.seal(b"hangs", ms=1000)
    for i in range(3):
        fixture.seal(b"fine %d" % i, ms=5000 * (i + 1))
        fixture.accept(1)
    assert [len(fixture.posted), fixture.bodies[0]] == [1, b"hangs"]
    fixture.posted.pop(0)[2].errback(ConnectionRefusedError("refused"))
    assert fixture.bodies == [b"hangs"] and fixture.urls[-1] == SECOND
    fixture.accept()
    assert fixture.files == []


def test_failure_of_both_urls_backs_off_and_loses_nothing(fixture):
    fixture.seal(b"one")
    fixture.fail()
    fixture.fail()
    assert (fixture.posted, fixture.courier.state) == ([], "backing-off")
    fixture.next_request()
    fixture.posted.pop(0)[2].callback(Response(200, b'{"event_ids":["1"]}'))
    fixture.check()
    assert (fixture.courier.state, fixture.files) == ("idle", [])


def test_401_from_the_collector_does_not_fail_over(fixture):
    fixture.seal(b"one")
    fixture.fail(status=401)
    fixture.clock.advance(10)
    assert fixture.urls == [FIRST]
    assert fixture.courier.state == "parked"
