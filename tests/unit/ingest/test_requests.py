"""Tests that a request which is stored over several reactor turns is stored as a whole, as if in one."""

from datetime import UTC

import pytest
from twisted.internet.defer import Deferred

from bridge.batching import GroupLimits
from bridge.routing import Router
from bridge.spool.budget import Full
from tests.unit.ingest.test_backpressure import NOON, BackpressureFixture
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted


class ClientGoneError(Exception):
    pass


class Pace:
    """Pauses at each opportunity until the test lets the request go on."""

    def __init__(self):
        self.waiting = None
        self.kept = self.gone = False

    async def pause(self):
        if self.gone and not self.kept:
            raise ClientGoneError
        self.waiting = Deferred()
        await self.waiting

    def keep(self):
        self.kept = True

    def step(self):
        waiting, self.waiting = self.waiting, None
        waiting.callback(None)


class Request:
    """A request of frames without a key and of ready-made events, which is stored step by step."""

    def __init__(self, fixture, *slices):
        self.fixture = fixture
        self.pace = Pace()
        self.commits = []
        self.results = []
        peer = fixture.peers.get("tcp", "192.0.2.7")
        # As after a reload that replaces the key: the events cannot be read again.
        once = iter(slices)
        request = fixture.pipeline.take_request(peer, lambda: once, self.pace, self.commit)
        Deferred.fromCoroutine(request).addBoth(self.results.append)

    def commit(self, files):
        self.commits.append([(each.intake, each.count, each.descriptor >= 0) for each in files])

    def run(self, until=lambda: False):
        while self.pace.waiting is not None and not until():
            assert self.fixture.ledger.imbalance == 0
            self.pace.step()
        return self.results[0] if self.results else None


@pytest.fixture
def fixture(tmp_path):
    return BackpressureFixture(tmp_path / "spool")


def frames(*texts, host="x"):
    return {None: [(b"<13>Nov 24 00:00:00 %s t: %s" % (host.encode(), text), None) for text in texts]}


def count_appends(fixture):
    appended = []
    append = fixture.spool.append

    def counting(part):
        appended.append((part.intake, part.count))
        return append(part)

    fixture.spool.append = counting
    return appended


def test_events_of_one_batch_are_one_write_however_many_slices_they_came_in(fixture):
    appended = count_appends(fixture)
    request = Request(fixture, {"a": [(b"1", None)]}, {"a": [(b"2", None)]}, {"a": [(b"3", NOON * 1000)]})
    taken = request.run()
    assert (taken.spooled, taken.lost) == (3, 0)
    assert appended == [("a", 3)]
    assert fixture.events("a") == [b"1", b"2", b"3"]


def test_files_are_committed_in_the_turn_in_which_they_were_written(fixture):
    """Otherwise a full batch may be sealed, delivered and closed before the rest of the request is written."""
    times = [(b"%d" % number, (NOON - number) * 1000) for number in range(5)]
    request = Request(fixture, {"a": times[:3]}, {"a": times[3:], "b": [(b"x", None)]})
    request.run(lambda: request.commits)
    assert request.commits == [[("a", 1, True)]]
    assert fixture.ledger_columns() == {"received": 1, "spooled": 1}
    request.run()
    assert len(request.commits) == 6
    assert fixture.ledger_columns() == {"received": 6, "spooled": 6}
    assert fixture.pipeline.read_counts.by_listener["tcp"] == 6


def test_reload_applies_to_the_slices_after_it(fixture):
    request = Request(fixture, frames(b"1"), frames(b"2"), frames(b"3"))
    router = Router(
        routes=[Route("all", "b")], intakes={"a": Intake(), "b": Intake()}, listeners={"tcp": None},
        unrouted=Unrouted(), timezone=UTC,
    )  # fmt: skip
    fixture.peers.change(router)
    fixture.pipeline.change(limits=GroupLimits(), truncate=False)
    request.run()
    assert (fixture.events("a"), fixture.events("b")) == ([b"1"], [b"2", b"3"])
    assert fixture.ledger_columns() == {"received": 3, "spooled": 3}


def test_request_whose_client_is_gone_leaves_no_trace_before_the_first_write(fixture):
    request = Request(fixture, frames(b"1"), frames(b"2"))
    request.pace.gone = True
    request.pace.step()
    assert isinstance(request.results[0].value, ClientGoneError)
    assert (fixture.ledger_columns(), request.commits) == ({}, [])


def test_request_whose_client_is_gone_after_the_first_write_is_stored_whole(fixture):
    request = Request(fixture, {"a": [(b"1", None)]}, {"b": [(b"2", None)]})
    request.run(lambda: request.commits)
    request.pace.gone = True
    assert request.run().spooled == 2
    assert (fixture.events("a"), fixture.events("b")) == ([b"1"], [b"2"])


def test_room_is_held_until_it_is_written_or_a_write_fails(fixture):
    held = []
    fixture.disk_budget.hold = lambda sizes: held.append(dict(sizes))
    fixture.disk_budget.release = lambda sizes: held.append({name: -size for name, size in sizes.items()})
    Request(fixture, {"a": [(b"one", None)], "b": [(b"three", None)]}).run()
    assert held == [{"a": 4, "b": 6}, {"a": -4}, {"b": -6}, {"a": 0, "b": 0}]
    held.clear()

    def failing(part):
        raise OSError(5, "Input/output error")

    fixture.spool.append = failing
    assert Request(fixture, {"a": [(b"one", None)], "b": [(b"three", None)]}).run().lost == 2
    assert held == [{"a": 4, "b": 6}, {"a": -4, "b": -6}]


def test_full_intake_is_found_before_the_first_write(fixture):
    fixture.disk_budget.full["b"] = "spool_full"
    appended = count_appends(fixture)
    request = Request(fixture, {"a": [(b"1", None)]}, {"b": [(b"2", None)]})
    assert isinstance(request.run(), Full)
    assert (appended, request.pace.kept, fixture.ledger_columns()) == ([], False, {})


def test_unrouted_frames_are_quarantined_slice_by_slice(fixture):
    fixture.peers.change(
        Router(routes=[], intakes={"a": Intake()}, listeners={"tcp": None}, unrouted=Unrouted(), timezone=UTC)
    )
    request = Request(fixture, *(frames(b"%d" % number) for number in range(4)))
    request.run(fixture.ledger_columns)
    assert fixture.ledger_columns() == {"received": 1, "quarantined": 1}
    request.run()
    assert fixture.ledger_columns() == {"received": 4, "quarantined": 4}


def test_watch_gets_the_events_of_a_stored_request_without_reading_them_again(fixture):
    watch = fixture.pipeline.message_samples.watch("tail", None, 0.0)
    request = Request(fixture, frames(b"one"), {"a": [(b"two", None)]})
    assert request.run(until=lambda: request.pace.kept) is None
    assert not watch.waiting
    assert request.run().spooled == 2
    assert [sample.frame for sample in watch.waiting] == [b"<13>Nov 24 00:00:00 x t: one", b"two"]
