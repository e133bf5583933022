"""Tests small batches of several intakes in one request: each intake settles its own part, whatever the response."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.web.client import ResponseNeverReceived

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.batching.endpoints import ENDPOINTS
from bridge.deliver.circuit_breaker import BaseUrls, CircuitBreaker
from bridge.deliver.context import DeliveryPath
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.exchange import Response
from bridge.deliver.joining_courier import JoiningCourier, JoinPause
from bridge.deliver.request import RequestTarget, authentication
from bridge.monitoring.alarms import Alarms
from bridge.spool import Batch, Piece
from tests.harness.builders import NOON, build_delivery_context, build_request_limits, build_spool

BASE = "http://collector.test"


def key_of(name: str) -> str:
    return f"key-of-{name}-0123456789"


def target_of(name: str, *, gzip: bool = False) -> RequestTarget:
    key = lambda: key_of(name)  # noqa: E731
    joined = RequestTarget(f"{BASE}/array", dict, gzip, ENDPOINTS["/array"], key)
    headers = lambda: authentication("header", key())  # noqa: E731
    return RequestTarget(f"{BASE}/plain/batch", headers, gzip, key=key, joined=joined)


class Request:
    """A posted request, as the collector reads it."""

    def __init__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        self.path = url.removeprefix(BASE)
        self.answer: Deferred[Response] = Deferred()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.headers, self.body = headers, body
        if self.path == "/array":
            rows = json.loads(body)
            self.rows = [(row["intake_key"], row["json"], row.get("timestamp")) for row in rows]
        else:
            key, time = headers["X-SEKOIAIO-INTAKE-KEY"], headers.get("X-SEKOIAIO-EVENT-TIMESTAMP")
            self.rows = [(key, text, time) for text in body.decode().split("\n")]

    @property
    def keys(self) -> list[str]:
        return list(dict.fromkeys(key for key, _, _ in self.rows))


class Intakes:
    """Provides the couriers of several intakes over a real spool, and a collector whose responses the test sends."""

    def __init__(self, directory: Path, *names: str, rate: float | None = None, gzip: bool = False) -> None:
        self.clock, self.ledger = Clock(), Ledger()
        self.alarms = Alarms(clock=self.clock.seconds)
        self.posted: list[Request] = []
        self.receipts: list[Any] = []
        self.refused: list[tuple[str, bytes | None]] = []
        self.evidence: list[bytes] = []
        self.quarantined: list[Batch] = []
        self.kept_disk: dict[str, int] = {}
        self.errors: list[float] = []
        self.spool = build_spool(directory, wall=lambda: NOON + self.clock.seconds(), clock=self.clock.seconds)
        self.dispatcher = Dispatcher(self.clock, connections=8, rate=rate)
        self.context = build_delivery_context(
            self.clock, store=self, ledger=self.ledger, dispatcher=self.dispatcher, alarms=self.alarms,
            run=maybeDeferred, runtime_metrics=self,
        )  # fmt: skip
        self.breaker = CircuitBreaker(self.clock, wake=self.dispatcher.wake)
        self.couriers: dict[str, JoiningCourier] = {}
        self.pauses: dict[CircuitBreaker, JoinPause] = {}
        for name in names:
            path = DeliveryPath(target_of(name, gzip=gzip), self.post, BaseUrls((self.breaker,)))
            courier = JoiningCourier(
                name, path, build_request_limits(), context=self.context, couriers=self.couriers, pauses=self.pauses
            )
            self.couriers[name] = courier
            self.dispatcher.add(courier)
        self.spool.subscribe(lambda batch: self.couriers[batch.intake].add(batch))

    # Interfaces that the couriers use.
    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Deferred[Response]:
        self.posted.append(Request(url, body, headers))
        return self.posted[-1].answer

    def accepted(self, *, delay: float | None, error: float) -> None:
        self.errors.append(error)

    def acknowledge(self, batches: list[Batch], receipt: Any) -> None:
        self.receipts.append(receipt)
        self.spool.remove(batches)

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        self.refused += [(intake, piece.lines) for piece, _ in refused]
        self.spool.remove(settled)

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        self.evidence.append(body)

    def quarantine_batch(self, batch: Batch, why: str) -> None:
        self.quarantined.append(batch)

    # Steps of a test.
    def seal(self, *, ms: int = 0, start: bool = True, **events: list[str]) -> None:
        """Seals one batch of each of these intakes. They start no request before all are sealed; without ``start``,
        none before the next call."""
        for courier in self.couriers.values():
            courier.pause()
        for name, texts in events.items():
            at = NOON * 1000 + ms
            data = "".join(f"{text}\n" for text in texts).encode()
            self.spool.append(Group(name, "lines", at // 1000, at, at, len(texts), data))
            self.ledger.receive_spooled(name, len(texts))
        self.spool.seal_all()
        if start:
            for courier in self.couriers.values():
                courier._paused = False
            self.dispatcher.wake()
        self.check()

    def answer(self, status: int = 200, body: dict[str, Any] | None = None, *, request: int = 0) -> Request:
        """Responds to a request; by default, accepts its events."""
        posted = self.posted.pop(request)
        if body is None:
            body = {"event_ids": [f"id-{text}" for _, text, _ in posted.rows]} if status == 200 else {"error": "no"}
        posted.answer.callback(Response(status, json.dumps(body).encode()))
        self.check()
        return posted

    def drain(self, *bad_keys: str) -> list[Request]:
        """Responds like a collector that refuses a request with one of these keys, until nothing is left to send."""
        answered = []
        for _ in range(400):
            while self.posted:
                bad = set(bad_keys) & set(self.posted[0].keys)
                answered.append(self.answer(401 if bad else 200))
            waiting = [name for name, courier in self.couriers.items() if courier.waiting_events]
            if all(key_of(name) in bad_keys for name in waiting):
                return answered
            self.clock.advance(0.1)
        raise AssertionError(f"events still wait of {waiting}")

    def check(self) -> None:
        assert self.ledger.imbalance == 0
        for name, courier in self.couriers.items():
            assert self.ledger.of(name).spooled == courier.waiting_events + self.spool.open_amount(name)[0], name

    def files(self, name: str) -> list[str]:
        folder = self.spool.directory / name
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def delivered(self) -> dict[str, int]:
        return {name: self.ledger.of(name).delivered for name in self.couriers}

    def joined(self) -> None:
        """Has one request in flight that carries one event of each intake, because the first one was alone."""
        self.seal(**{name: [f"{name} event"] for name in self.couriers})
        (request,) = self.posted
        assert request.path == "/array"
        assert sorted(request.keys) == sorted(map(key_of, self.couriers))


@pytest.fixture
def intakes(tmp_path: Path) -> Intakes:
    return Intakes(tmp_path / "spool", "a", "b", "c")


@pytest.mark.parametrize("compressed", [False, True])
def test_one_request_carries_each_intake_with_its_key_and_times(tmp_path: Path, compressed: bool) -> None:
    intakes = Intakes(tmp_path / "spool", "a", "b", "c", gzip=compressed)
    intakes.seal(ms=250, a=["a1", "a2"], b=["b1"])
    request = intakes.posted[0]
    assert "X-SEKOIAIO-INTAKE-KEY" not in request.headers
    assert request.rows == [
        (key_of("a"), "a1", "2026-11-23T12:00:00.250Z"),
        (key_of("a"), "a2", "2026-11-23T12:00:00.250Z"),
        (key_of("b"), "b1", "2026-11-23T12:00:00.250Z"),
    ]
    assert all(".sending" in name for name in intakes.files("a") + intakes.files("b"))
    intakes.answer()
    assert intakes.delivered() == {"a": 2, "b": 1, "c": 0}
    assert (intakes.files("a"), intakes.files("b")) == ([], [])
    receipts = [(each.intake, each.count, each.first_id, each.last_id) for each in intakes.receipts]
    assert receipts == [("a", 2, "id-a1", "id-a2"), ("b", 1, "id-b1", "id-b1")]
    assert [courier.requests["accepted"] for courier in intakes.couriers.values()] == [1, 1, 0]
    assert not intakes.dispatcher._slots
    assert intakes.breaker.in_flight == 0


def test_batches_of_one_intake_keep_their_own_times(intakes: Intakes) -> None:
    intakes.seal(ms=250, a=["first"], start=False)
    intakes.seal(ms=5000, a=["second"], b=["other"])
    (request,) = intakes.posted
    assert {text: time for _, text, time in request.rows} == {
        "first": "2026-11-23T12:00:00.250Z", "second": "2026-11-23T12:00:05.000Z", "other": "2026-11-23T12:00:05.000Z",
    }  # fmt: skip
    intakes.answer()
    assert intakes.errors == [0.0, 0.0, 0.0]


def test_intake_without_company_keeps_its_endpoint(intakes: Intakes) -> None:
    intakes.seal(a=["alone"])
    assert [request.path for request in intakes.posted] == ["/plain/batch"]


def test_joined_request_takes_one_token_and_one_connection(tmp_path: Path) -> None:
    names = [f"in{number}" for number in range(20)]
    intakes = Intakes(tmp_path / "spool", *names, rate=1)
    intakes.joined()
    assert intakes.dispatcher._has_free_slot()
    assert len(intakes.dispatcher._slots) - intakes.dispatcher._shared == 1
    intakes.answer()
    assert set(intakes.delivered().values()) == {1}


def test_wrong_key_parks_only_its_intake(intakes: Intakes) -> None:
    intakes.joined()
    intakes.answer(401)
    assert {courier.state for courier in intakes.couriers.values()} == {"delivering"}
    answered = intakes.drain(key_of("b"))
    assert {request.path for request in answered} == {"/plain/batch"}, "each part is sent again alone"
    assert intakes.delivered() == {"a": 1, "b": 0, "c": 1}
    assert [courier.state for courier in intakes.couriers.values()] == ["idle", "parked", "idle"]
    assert not any(intakes.ledger.of(name).possible_duplicates for name in intakes.couriers)
    # The others join again after a pause, the parked intake does not.
    intakes.clock.advance(5)
    intakes.seal(a=["a2"], b=["b2"], c=["c2"])
    (request,) = intakes.posted
    assert (request.path, sorted(request.keys)) == ("/array", [key_of("a"), key_of("c")])


def test_refused_event_is_found_in_its_own_intake(intakes: Intakes) -> None:
    intakes.joined()
    intakes.answer(400)
    for _ in range(50):
        while intakes.posted:
            bad = any(text == "b event" for _, text, _ in intakes.posted[0].rows)
            intakes.answer(400 if bad else 200)
        intakes.clock.advance(0.5)
    assert intakes.delivered() == {"a": 1, "b": 0, "c": 1}
    assert intakes.refused == [], "no other event of b was accepted yet"
    intakes.seal(b=["good"])
    intakes.answer()
    assert [intake for intake, _ in intakes.refused] == ["b"]
    assert intakes.ledger.of("b").quarantined == 1


def test_events_refused_one_by_one_are_those_of_their_part(intakes: Intakes) -> None:
    intakes.seal(a=["a1", "a2"], b=["b1", "b2"], c=["c1"])
    errors = [{"index": 2, "status": 400, "message": "bad"}, {"index": 4, "status": 401, "message": "no such key"}]
    intakes.answer(200, {"event_ids": ["id-a1", "id-a2", "id-b2"], "errors": errors})
    assert intakes.delivered() == {"a": 2, "b": 1, "c": 0}
    assert intakes.refused == [("b", b"b1\n")]
    assert [(r.intake, r.first_id, r.last_id) for r in intakes.receipts] == [
        ("a", "id-a1", "id-a2"), ("b", "id-b2", "id-b2"),
    ]  # fmt: skip
    (alone,) = intakes.drain()
    assert (alone.path, alone.keys) == ("/plain/batch", [key_of("c")]), "its key may be the cause"
    assert intakes.delivered()["c"] == 1


def test_missing_ids_send_all_events_again_as_possible_duplicates(intakes: Intakes) -> None:
    intakes.joined()
    intakes.answer(200, {"event_ids": ["one", "two"]})
    assert intakes.delivered() == {"a": 0, "b": 0, "c": 0}
    intakes.drain()
    assert intakes.delivered() == {"a": 1, "b": 1, "c": 1}
    assert [intakes.ledger.of(name).possible_duplicates for name in "abc"] == [1, 1, 1]
    assert not intakes.ledger.total().dropped


def test_unconfirmed_acceptance_settles_each_part(intakes: Intakes) -> None:
    intakes.joined()
    intakes.answer(200, {"received": True})
    assert intakes.delivered() == {"a": 1, "b": 1, "c": 1}
    assert [courier.unconfirmed for courier in intakes.couriers.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    "error, copies", [(ConnectionRefusedError("refused"), 0), (ResponseNeverReceived([]), 1)], ids=["unsent", "lost"]
)
def test_network_error_makes_each_intake_retry_alone(intakes: Intakes, error: Exception, copies: int) -> None:
    intakes.joined()
    intakes.posted.pop().answer.errback(error)
    intakes.check()
    assert {courier.state for courier in intakes.couriers.values()} == {"backing-off"}
    assert intakes.breaker._faults == 1, "one request has failed"
    assert [intakes.ledger.of(name).possible_duplicates for name in "abc"] == [copies] * 3
    assert not any(".sending" in name for folder in "abc" for name in intakes.files(folder))
    answered = intakes.drain()
    assert {request.path for request in answered} == {"/plain/batch"}
    assert [courier.requests["retry"] for courier in intakes.couriers.values()] == [1, 1, 1]
    intakes.joined()


def test_retry_after_holds_for_each_intake(intakes: Intakes) -> None:
    intakes.joined()
    intakes.posted.pop().answer.callback(Response(429, b"busy", {"retry-after": "30"}))
    intakes.clock.advance(29)
    assert not intakes.posted
    intakes.drain()
    assert intakes.delivered() == {"a": 1, "b": 1, "c": 1}


def test_file_that_does_not_match_its_name_affects_only_its_intake(intakes: Intakes) -> None:
    intakes.seal(a=["a1"], b=["b1"], c=["c1"], start=False)
    (name,) = intakes.files("b")
    (intakes.spool.directory / "b" / name).write_bytes(b"x\ny\nz\n")
    intakes.seal()
    intakes.drain()
    assert intakes.delivered() == {"a": 1, "b": 0, "c": 1}
    assert [batch.intake for batch in intakes.quarantined] == ["b"]


def test_no_key_of_a_part_appears_in_an_error_or_id(intakes: Intakes) -> None:
    intakes.joined()
    intakes.answer(403, {"error": f"unknown {key_of('b')} and {key_of('c')}"})
    shown = [str(courier.last_answer) + str(courier.last_error) for courier in intakes.couriers.values()]
    shown += [text for text in intakes.alarms.active.values()]
    intakes.drain()
    intakes.clock.advance(10)
    intakes.joined()
    intakes.answer(200, {"event_ids": [key_of("c"), key_of("a"), key_of("b")]})
    shown += [str(intakes.receipts)]
    assert not any(key_of(name) in text for name in "abc" for text in shown)


def test_collector_that_refuses_all_joined_requests_gets_few_of_them(intakes: Intakes) -> None:
    joined = 0
    for second in range(300):
        intakes.seal(ms=second * 1000, a=["a"], b=["b"], c=["c"])
        while intakes.posted:
            joined += intakes.posted[0].path == "/array"
            intakes.answer(404 if intakes.posted[0].path == "/array" else 200)
        intakes.clock.advance(1)
    assert set(intakes.delivered().values()) == {300}
    assert 3 <= joined <= 12
    (((kind, about), text),) = intakes.alarms.active.items()
    assert (kind, about) == ("small_batches", f"{BASE}/array")
    assert "small_batches: plain" in text
    assert not any(courier.parked for courier in intakes.couriers.values())


def test_large_batches_are_sent_alone(intakes: Intakes) -> None:
    intakes.seal(a=["x" * 1000] * 9, b=["x" * 1000] * 9, c=["c"])
    # A request of the limits of this test takes 10,000 bytes.
    assert sorted(len(request.keys) for request in intakes.posted) == [1, 2]
    intakes.drain()
    intakes.seal(a=["x" * 9000] * 4, b=["b"])
    assert all(len(request.keys) == 1 for request in intakes.posted)


def test_intakes_with_another_client_or_url_are_sent_alone(intakes: Intakes) -> None:
    _, b, c = intakes.couriers.values()
    other = CircuitBreaker(intakes.clock, wake=intakes.dispatcher.wake)
    b.change(DeliveryPath(target_of("b"), intakes.post, BaseUrls((other,))), build_request_limits())

    def post(*request: Any) -> Deferred[Response]:
        return intakes.post(*request)

    c.change(DeliveryPath(target_of("c"), post, BaseUrls((intakes.breaker,))), build_request_limits())
    intakes.seal(a=["a"], b=["b"], c=["c"])
    assert [request.path for request in intakes.posted] == ["/plain/batch"] * len(intakes.posted)
    intakes.drain()
    assert set(intakes.delivered().values()) == {1}


def test_retired_intake_is_not_joined(intakes: Intakes) -> None:
    intakes.couriers["b"].retire()
    intakes.seal(a=["a"], b=["b"], c=["c"])
    assert intakes.posted[0].keys == [key_of("a"), key_of("c")]


@pytest.mark.parametrize("joins, rate", [(True, 20), (False, 50)], ids=["array at 20", "plain at 50"])
def test_fifty_quiet_intakes_keep_the_timestamp_resolution(tmp_path: Path, joins: bool, rate: float) -> None:
    names = [f"in{number}" for number in range(50)]
    intakes = Intakes(tmp_path / "spool", *names, rate=rate)
    if not joins:
        for name, courier in intakes.couriers.items():
            path = DeliveryPath(
                RequestTarget(f"{BASE}/plain/batch", lambda name=name: authentication("header", key_of(name)), False),
                intakes.post, BaseUrls((intakes.breaker,)),
            )  # fmt: skip
            courier.change(path, build_request_limits())
    requests = 0
    for step in range(40 * 50):
        # Each intake seals one batch a second, one after the other.
        name, at = names[step % 50], (NOON + step // 50) * 1000
        intakes.spool.append(Group(name, "lines", at // 1000, at, at + 500, 2, b"one\ntwo\n"))
        intakes.ledger.receive_spooled(name, 2)
        intakes.spool.seal_all()
        while intakes.posted:
            requests += 1
            intakes.answer()
        intakes.clock.advance(0.02)
    intakes.drain()
    errors = sorted(intakes.errors)
    assert errors[int(0.99 * len(errors))] <= 1.0
    assert requests <= 40 * rate
    assert sum(intakes.delivered().values()) == 40 * 50 * 2


def misbehave(chance: random.Random, request: Request) -> Response | Exception:
    """Returns a response of a collector with faults. It accepts at least what it says."""
    ids = [f"id-{text}" for _, text, _ in request.rows]
    kind = chance.randrange(20)
    if kind == 0:
        return Response(chance.choice((400, 401, 404, 413, 418, 429, 500, 502, 503)), b"no")
    if kind == 1:
        return chance.choice((ConnectionRefusedError("refused"), ResponseNeverReceived([])))
    if kind == 2:
        return Response(200, chance.choice((b"<html>", json.dumps({"event_ids": ids[1:]}).encode())))
    if kind == 3:
        refused = {place for place in range(len(ids)) if chance.random() < 0.3}
        kept = [None if place in refused else name for place, name in enumerate(ids)]
        return Response(200, json.dumps({"event_ids": kept}).encode())
    return Response(200, json.dumps({"event_ids": ids}).encode())


@pytest.mark.parametrize("seed", range(12))
def test_no_event_is_lost_or_sent_under_another_key_whatever_the_responses(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    intakes = Intakes(tmp_path / "spool", "a", "b", "c", "d", rate=20)
    texts: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    joined = 0

    def respond(request: Request, result: Response | Exception) -> None:
        nonlocal joined
        joined += len(request.keys) > 1
        seen.update((key, text) for key, text, _ in request.rows)
        (request.answer.callback if isinstance(result, Response) else request.answer.errback)(result)
        intakes.check()

    for step in range(150):
        own = {name: [f"{name}-{step}-{i}" for i in range(chance.randrange(1, 4))] for name in intakes.couriers}
        chosen = {name: rows for name, rows in own.items() if chance.random() < 0.6}
        texts |= {(key_of(name), text) for name, rows in chosen.items() for text in rows}
        intakes.seal(ms=step * 1000, **chosen)
        while intakes.posted:
            posted = intakes.posted.pop(chance.randrange(len(intakes.posted)))
            respond(posted, misbehave(chance, posted))
        intakes.clock.advance(chance.choice((0.1, 1, 5)))
    # A refused event waits until another one of its intake is accepted.
    last = {name: [f"{name}-last"] for name in intakes.couriers}
    texts |= {(key_of(name), text) for name, rows in last.items() for text in rows}
    intakes.seal(ms=150_000, **last)
    for _ in range(4000):
        while intakes.posted:
            posted = intakes.posted.pop()
            ids = json.dumps({"event_ids": [f"id-{text}" for _, text, _ in posted.rows]})
            respond(posted, Response(200, ids.encode()))
        if not any(courier.waiting_events for courier in intakes.couriers.values()):
            break
        intakes.clock.advance(1)
    assert not any(courier.waiting_events for courier in intakes.couriers.values())
    assert joined >= 5
    assert seen == texts, "each event was sent, under the key of its intake only"
    total = intakes.ledger.total()
    dropped = sum(total.dropped.values())
    assert total.delivered + total.quarantined + dropped == len(texts)
    # Alone, ids that are missing without a place count as lost at the collector; joined, the events are sent again.
    assert set(total.dropped) <= {"collector_shortfall"}
    assert not any(intakes.files(name) for name in intakes.couriers)
    assert intakes.breaker.in_flight == 0
    assert not intakes.dispatcher._slots
