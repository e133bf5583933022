"""Tests the effect of each outcome on the events of the request and on the intake."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import defer

from bridge.deliver import body_limit, response_handler
from bridge.deliver.exchange import Response
from bridge.deliver.outcome import Outcome, Verdict, read
from bridge.deliver.request import Request
from bridge.deliver.response_handler import MAX_FOREIGN_RESPONSES, POSTPONED, DeliveryCounters, ResponseHandler
from bridge.deliver.retry_state import RetryState
from bridge.spool import Piece
from bridge.util.alarms import A_DAY
from tests.harness.builders import build_base_urls
from tests.unit.deliver.intake import IntakeFixture


class HandlerFixture:
    """Provides a response handler with the parts of a courier that it uses."""

    def __init__(self, directory: Path) -> None:
        self.intake = intake = IntakeFixture(directory)
        self.nothing_left = False
        base_urls = build_base_urls(intake.clock, intake.context.dispatcher)
        self.retry_state = RetryState("fw", max_in_flight=4, context=intake.context, base_urls=base_urls)
        self.counters = DeliveryCounters()
        self.handler = ResponseHandler(
            "fw", context=intake.context, pending=intake.pending, retry_state=self.retry_state,
            counters=self.counters, max_bytes=10_000, is_last=lambda: self.nothing_left,
        )  # fmt: skip

    def halved(self) -> list[int]:
        """Returns the events of each request in the split queue."""
        return [sum(piece.count for piece in unit) for unit in self.intake.pending.split_queue.clear()]

    def request(self, *events: bytes) -> list[Piece]:
        """Takes a batch of these events for a request."""
        self.intake.add(*events)
        return self.intake.take()

    def settle(self, pieces: list[Piece], outcome: Outcome) -> None:
        size = sum(piece.size for piece in pieces)
        request = Request(b"", size, size, "ab" * 32, {}, exact=False, evidence=lambda: b"the body")
        done = defer.ensureDeferred(self.handler.settle(pieces, False, outcome, request))
        results: list[object] = []
        done.addBoth(results.append)
        assert results == [None]
        self.intake.check()


@pytest.fixture
def courier(tmp_path: Path) -> HandlerFixture:
    return HandlerFixture(tmp_path / "spool")


def accepted(count: int) -> Outcome:
    return Outcome(Verdict.ACCEPTED, status=200, accepted=count, first_id="a", last_id="b")


def test_accepted_events_are_delivered_with_a_receipt(courier: HandlerFixture) -> None:
    pieces = courier.request(b"one", b"two")
    courier.settle(pieces, accepted(2))
    assert courier.intake.ledger.total().delivered == 2
    assert courier.intake.acknowledged == [pieces[0].batch]
    (receipt,) = courier.intake.receipts
    assert (receipt.count, receipt.status, receipt.first_id, receipt.last_id) == (2, 200, "a", "b")
    assert courier.counters.requests["accepted"] == 1
    assert courier.counters.last_acceptance is courier.counters.last_answer


def test_retry_puts_the_events_back_and_waits(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one"), Outcome(Verdict.RETRY, "HTTP 503", 503))
    assert courier.retry_state.waiting
    assert courier.retry_state.last_error == "HTTP 503"
    assert sum(piece.count for piece in courier.intake.take()) == 1


def test_retry_after_sets_the_wait(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one"), Outcome(Verdict.RETRY, "HTTP 429", 429, retry_after=120.0))
    assert courier.retry_state.next_in == 120.0


def test_responses_that_are_not_the_collectors_park_the_intake(courier: HandlerFixture) -> None:
    pieces = courier.request(b"one")
    for _ in range(MAX_FOREIGN_RESPONSES):
        assert courier.retry_state.parked is None
        courier.settle(pieces, Outcome(Verdict.RETRY, "HTTP 200 with a page", 200, foreign=True))
        pieces = courier.intake.take()
    assert "not from the collector" in str(courier.retry_state.parked)
    assert courier.intake.ledger.total().delivered == 0


def test_413_halves_the_request_and_lowers_the_body_limit(
    courier: HandlerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "SMALLEST_BODY", 10)
    pieces = courier.request(b"x" * 100, b"y" * 100)
    courier.settle(pieces, Outcome(Verdict.SPLIT, "HTTP 413", 413))
    assert courier.halved() == [1, 1]
    assert courier.handler.body_limit.limit < sum(piece.size for piece in pieces)


def test_413_to_a_body_that_every_collector_takes_waits_and_splits_nothing(courier: HandlerFixture) -> None:
    pieces = courier.request(b"x" * 100, b"y" * 100)
    outcome = read(Response(413, b"too large"), 2, now=0.0, size=202)
    assert (outcome.verdict, outcome.status) == (Verdict.RETRY, 413)
    courier.settle(pieces, outcome)
    assert courier.halved() == []
    assert courier.retry_state.waiting and courier.retry_state.failures == 1
    assert courier.handler.body_limit.learned is None
    assert sum(piece.count for piece in courier.intake.take()) == 2


def test_413_to_less_than_one_event_lowers_the_body_limit_too(
    courier: HandlerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "SMALLEST_BODY", 10)
    courier.settle(courier.request(b"x" * 100, b"y" * 100), Outcome(Verdict.RETRY, "HTTP 413", 413))
    assert courier.halved() == []
    assert courier.handler.body_limit.learned == 202 * 5 // 8


def test_401_parks_the_intake_and_keeps_its_events(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one"), Outcome(Verdict.PARKED, "HTTP 401; check the intake key", 401))
    assert courier.retry_state.parked == "HTTP 401; check the intake key"
    assert ("parked", "fw") in courier.intake.alarms
    assert courier.intake.pending.events == 1


def test_refused_request_of_several_events_is_halved(courier: HandlerFixture) -> None:
    pieces = courier.request(b"one", b"two")
    courier.settle(pieces, Outcome(Verdict.REFUSED, "HTTP 400", 400))
    assert courier.halved() == [1, 1]
    assert courier.handler.bisection.consecutive_refusals == 1


def test_refused_single_event_waits_for_an_acceptance(courier: HandlerFixture) -> None:
    (bad,) = courier.request(b"bad")
    courier.settle([bad], Outcome(Verdict.REFUSED, "HTTP 400", 400))
    assert list(courier.handler.bisection.refused_pieces()) == [bad]
    courier.settle(courier.request(b"good"), accepted(1))
    assert courier.intake.ledger.total().quarantined == 1
    assert list(courier.handler.bisection.refused_pieces()) == []


def test_events_that_the_collector_names_as_refused_are_quarantined_alone(courier: HandlerFixture) -> None:
    pieces = courier.request(b"one", b"two", b"three")
    outcome = Outcome(Verdict.ACCEPTED, status=200, accepted=2, rejected={1: "too old"})
    courier.settle(pieces, outcome)
    total = courier.intake.ledger.total()
    assert (total.delivered, total.quarantined) == (2, 1)
    assert courier.intake.refused == [b"two\n"]


def test_unnamed_shortfall_is_a_counted_loss_with_evidence_and_alarm(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one", b"two"), accepted(1))
    total = courier.intake.ledger.total()
    assert (total.delivered, total.dropped) == (1, {"collector_shortfall": 1})
    assert courier.intake.evidence == [b"the body"]
    intake = courier.intake
    assert "confirmed 1 of 2 events" in intake.alarms["loss", "fw"]
    intake.clock.advance(A_DAY - 1)
    intake.alarm_sink.look()
    assert ("loss", "fw") in intake.alarms
    intake.clock.advance(1)
    intake.alarm_sink.look()
    assert intake.alarms == {}


def test_acceptance_without_ids_is_counted_as_unconfirmed(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one", b"two"), Outcome(Verdict.ACCEPTED, status=200, accepted=2, confirmed=False))
    assert courier.counters.unconfirmed == 2


def test_acceptance_ends_the_wait_after_failures(courier: HandlerFixture) -> None:
    courier.settle(courier.request(b"one"), Outcome(Verdict.RETRY, "HTTP 503", 503))
    courier.settle(courier.intake.take(), accepted(1))
    assert courier.retry_state.failures == 0
    assert courier.retry_state.last_error is None


def test_single_event_that_is_called_too_large_lets_others_pass(courier: HandlerFixture) -> None:
    """A proxy may take less than the collector. The event is neither split nor quarantined."""
    large = courier.request(b"x" * 200)
    courier.settle(large, Outcome(Verdict.RETRY, "HTTP 413", 413))
    assert courier.retry_state.waiting
    courier.intake.add(b"small", second=5)
    assert [piece.count for piece in courier.intake.take()] == [1]
    split_queue, now = courier.intake.pending.split_queue, courier.intake.clock.seconds()
    assert split_queue.take(now) == []
    assert split_queue.ready_in(now) == POSTPONED
    assert split_queue.take(now + POSTPONED) == large
    assert courier.intake.refused == []


def test_partly_accepted_request_whose_file_cannot_be_read_is_counted_once(
    courier: HandlerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pieces: list[Piece], positions: set[int]) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(response_handler, "single_out", fail)
    partly = Outcome(Verdict.ACCEPTED, status=200, accepted=2, rejected={1: "no"})
    courier.settle(courier.request(b"one", b"two", b"three"), partly)
    total = courier.intake.ledger.total()
    assert (total.delivered, total.spooled, total.possible_duplicates) == (0, 3, 2)
