"""Tests when HTTPS requests are answered: only after their events are on disk."""

import gc
from datetime import UTC, datetime

import pytest

from bridge.batching import GroupLimits, Window
from bridge.collector.delivery import Delivery, EventIds, EventRow, EventRows
from bridge.collector.refusal import Refusal
from bridge.config import Listener
from bridge.listen.listener import ListenerContext
from bridge.listen.request_sink import RequestSink
from bridge.routing import Router
from bridge.util.token_bucket import TokenBucket
from tests.unit.ingest.test_backpressure import NOON, BackpressureFixture
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted


class AnyKeys:
    def intake_of(self, key):
        return key or None


class HttpsFixture(BackpressureFixture):
    def __init__(self, directory):
        super().__init__(directory)
        self.group_commit = []
        self.now = NOON
        listener_context = ListenerContext(self.clock, self.pipeline, self.peers.get, 1000, self._commit)
        self.request_sink = RequestSink(
            Listener.model_construct(name="tcp"), listener_context, AnyKeys(), lambda: self.now
        )

    def _commit(self, files, done):
        self.group_commit.append(done)

    def commit(self, error=None):
        """Ends the group commits that the requests wait for."""
        waiting, self.group_commit = self.group_commit, []
        for done in waiting:
            done(error)

    def post(self, *rows):
        content = EventRows([EventRow(key, time, event) for key, time, event in rows])
        answers = []
        committed = self.request_sink.accept(Delivery(datetime.now(UTC), content, EventIds(len(rows)), "192.0.2.7"))
        committed.addCallbacks(lambda nothing: answers.append("kept"), lambda failure: answers.append(failure.value))
        if answers:
            # The request was refused at once.
            raise answers[0]
        return answers


@pytest.fixture
def fixture(tmp_path):
    return HttpsFixture(tmp_path / "spool")


def iso(seconds):
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat().replace("+00:00", "Z")


def test_request_is_answered_after_the_commit(fixture):
    answers = fixture.post(("a", None, b"one"), ("b", iso(-60), b"two"))
    assert answers == []
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    fixture.commit()
    assert answers == ["kept"]
    assert (fixture.events("a"), fixture.events("b")) == ([b"one"], [b"two"])
    (path,) = (fixture.spool.directory / "b").iterdir()
    assert path.name.split("-")[1].split(".")[0] == str((NOON - 60) * 1000)


def test_events_are_not_held_until_the_commit(fixture):
    answers = fixture.post(("a", None, b"not held"))
    held = [each for each in gc.get_objects() if isinstance(each, Delivery | EventRows)]
    assert not [each for each in held if "not held" in repr(each)]
    fixture.commit()
    assert answers == ["kept"]


def test_sync_error_fails_the_request(fixture):
    answers = fixture.post(("a", None, b"one"))
    fixture.commit(OSError(5, "Input/output error"))
    assert isinstance(answers[0], Refusal)
    assert (answers[0].status, answers[0].headers) == (503, {"Retry-After": "10"})
    assert "could not be synced to disk (Input/output error); send them again" in answers[0].text


def test_full_intake_refuses_the_whole_request(fixture):
    fixture.disk_budget.full["b"] = "spool_full"
    with pytest.raises(Refusal) as refused:
        fixture.post(("a", None, b"one"), ("b", None, b"two"))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "10"})
    assert (fixture.ledger_columns(), len(fixture.pipeline.spool_writer.backpressure)) == ({}, 0)
    with pytest.raises(Refusal):
        fixture.post(("", None, b"<13>Nov 24 00:00:00 b t: routed to b"))
    assert fixture.ledger_columns() == {}


def test_full_intake_of_a_later_event_stores_nothing_of_the_request(fixture):
    """The budget is full for the intake that routes choose for the last event; the first events have room."""
    fixture.disk_budget.full["b"] = "disk_full"
    with pytest.raises(Refusal) as refused:
        fixture.post(("a", None, b"one"), ("", None, b"<13>Nov 24 00:00:00 a t: two"), ("b", iso(-60), b"three"))
    assert (refused.value.status, "none was taken" in str(refused.value)) == (503, True)
    assert (fixture.ledger_columns(), fixture.events("a"), fixture.group_commit) == ({}, [], [])
    assert fixture.pipeline.read_counts.by_listener.total() == fixture.peers.get("tcp", "192.0.2.7").events == 0


def fail_writes_of(fixture, intake, error):
    append = fixture.spool.append

    def failing(part):
        if part.intake == intake:
            raise error
        return append(part)

    fixture.spool.append = failing


def test_failed_write_in_the_middle_is_no_promise_and_counts_possible_duplicates(fixture):
    fail_writes_of(fixture, "b", OSError(5, "Input/output error"))
    request = [
        ("a", None, b"one"),
        ("a", None, b"two"),
        ("b", None, b"three"),
        ("", None, b"<13>Nov 24 00:00:00 a t: 4"),
    ]
    with pytest.raises(Refusal) as refused:
        fixture.post(*request)
    assert refused.value.status == 503
    assert "2 of 4 events could not be stored; send the request again" in str(refused.value)
    assert "none was taken" not in str(refused.value)
    # Only what is in the spool counts as received: the client still has the rest.
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    assert fixture.ledger.of("a").possible_duplicates == 2
    assert fixture.pipeline.read_counts.by_listener["tcp"] == fixture.peers.get("tcp", "192.0.2.7").events == 2
    assert fixture.events("a") == [b"one", b"two"]
    del fixture.spool.append
    fixture.post(*request)
    assert fixture.ledger_columns() == {"received": 6, "spooled": 6}
    assert sorted(fixture.events("a")) == [b"4", b"one", b"one", b"two", b"two"]


def test_failed_write_of_a_request_with_one_intake_and_time_stores_nothing(fixture):
    fail_writes_of(fixture, "a", OSError(13, "Permission denied"))
    with pytest.raises(Refusal):
        fixture.post(("a", None, b"one"), ("a", None, b"two"))
    assert fixture.ledger_columns() == {}
    assert fixture.ledger.total().possible_duplicates == 0


def test_failed_write_to_quarantine_stores_nothing_of_the_request(fixture):
    def fail_write(reason, entries, **awaited):
        raise OSError(5, "Input/output error")

    fixture.spool.quarantine.add = fail_write
    router = Router(
        routes=[Route("a", "a", hostname=("a",))], intakes={"a": Intake()}, listeners={"tcp": None},
        unrouted=Unrouted(), timezone=UTC,
    )  # fmt: skip
    fixture.peers.change(router)
    with pytest.raises(Refusal) as refused:
        fixture.post(("", None, b"<13>Nov 24 00:00:00 a t: one"), ("", None, b"<13>Nov 24 00:00:00 other t: two"))
    assert "2 of 2 events could not be stored" in str(refused.value)
    assert fixture.ledger_columns() == {}


def test_requests_without_key_are_routed_and_blank_events_are_ignored(fixture):
    fixture.post(
        ("", None, b"<13>Nov 24 00:00:00 b t: to b"), ("", iso(-5), b"<13>Nov 24 00:00:00 x t: to a"), ("", None, b" ")
    )
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    assert (fixture.events("a"), fixture.events("b")) == ([b"to a"], [b"to b"])


def test_time_out_of_range_becomes_reception_time_and_leap_second_is_accepted(fixture):
    fixture.pipeline.change(limits=GroupLimits(window=Window(3_600_000, 60_000)), truncate=False)
    fixture.post(("a", "1999-12-31T23:59:60Z", b"old"), ("a", "2026-11-23T12:00:00.5z", b"now"))
    fixture.spool.seal_all()
    (path,) = (fixture.spool.directory / "a").iterdir()
    assert path.name.split("-")[1] == str(NOON * 1000)
    assert fixture.peers.get("tcp", "192.0.2.7").outside == 1


def test_source_limit_delays_and_drops_nothing(fixture):
    """A request within the remaining limit is taken whole, even if it is larger; the next one gets 429."""
    peer = fixture.peers.get("tcp", "192.0.2.7")
    peer.decide()
    peer.bucket = TokenBucket(10)
    fixture.post(*[("a", None, b"event %d" % i) for i in range(25)])
    with pytest.raises(Refusal) as refused:
        fixture.post(("a", None, b"too early"))
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
    assert fixture.ledger_columns() == {"received": 25, "spooled": 25}
    fixture.now += 2
    fixture.post(("a", None, b"in time"))
    assert fixture.ledger_columns() == {"received": 26, "spooled": 26}
