"""What is answered, and when: not before it is on the disk, and never a key."""

from datetime import UTC, datetime

import pytest

from bridge.collector.delivery import (
    Delivery,
    EventIds,
    EventRow,
    EventRows,
)
from bridge.collector.refusal import Refusal
from bridge.config import Listener
from bridge.listen.https import RequestSink
from bridge.listen.listener import ListenerContext
from bridge.util.token_bucket import TokenBucket
from tests.unit.ingest.test_backpressure import NOON, Scene


class Keys:
    def intake_of(self, key):
        return key or None


class Desk(Scene):
    def __init__(self, directory):
        super().__init__(directory)
        self.group_commit = []
        self.now = NOON
        listener_context = ListenerContext(self.clock, self.pipeline, self.peers.get, 1000, self.group_commit.append)
        self.posts = RequestSink(Listener.model_construct(name="tcp"), listener_context, Keys(), lambda: self.now)

    def post(self, *rows):
        content = EventRows([EventRow(key, time, event) for key, time, event in rows])
        answers = []
        kept = self.posts.accept(Delivery(datetime.now(UTC), content, EventIds(len(rows)), "192.0.2.7"))
        kept.addCallbacks(lambda nothing: answers.append("kept"), lambda failure: answers.append(failure.value))
        return answers


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "spool")


def iso(seconds):
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat().replace("+00:00", "Z")


def test_it_is_answered_after_the_commit(desk):
    answers = desk.post(("a", None, b"one"), ("b", iso(-60), b"two"))
    assert (answers, len(desk.group_commit)) == ([], 1)
    assert desk.account() == {"received": 2, "spooled": 2}
    desk.group_commit[0](None)
    assert answers == ["kept"]
    assert (desk.events("a"), desk.events("b")) == ([b"one"], [b"two"])
    (path,) = (desk.spool.directory / "b").iterdir()
    assert path.name.split("-")[1].split(".")[0] == str((NOON - 60) * 1000)


def test_an_error_of_the_disk_is_no_yes(desk):
    answers = desk.post(("a", None, b"one"))
    desk.group_commit[0](OSError(5, "Input/output error"))
    assert isinstance(answers[0], OSError)


def test_no_room_for_one_intake_takes_nothing_of_the_request(desk):
    desk.room.full["b"] = "spool_full"
    with pytest.raises(Refusal) as refused:
        desk.post(("a", None, b"one"), ("b", None, b"two"))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "10"})
    assert (desk.account(), len(desk.pipeline.spool_writer.backpressure)) == ({}, 0)
    with pytest.raises(Refusal):
        desk.post(("", None, b"<13>Nov 24 00:00:00 b t: routed to b"))
    assert desk.account() == {}


def test_without_a_key_the_routes_decide_and_blank_events_are_none(desk):
    desk.post(
        ("", None, b"<13>Nov 24 00:00:00 b t: to b"), ("", iso(-5), b"<13>Nov 24 00:00:00 x t: to a"), ("", None, b" ")
    )
    assert desk.account() == {"received": 2, "spooled": 2}
    assert (desk.events("a"), desk.events("b")) == ([b"to a"], [b"to b"])


def test_a_time_that_nobody_believes_is_reception_and_a_leap_second_is_no_fault(desk):
    desk.posts.listener_context.pipeline.change(
        limits=desk.pipeline._limits.__class__(window=desk.pipeline._limits.window.__class__(3_600_000, 60_000)),
        truncate=False,
    )
    desk.post(("a", "1999-12-31T23:59:60Z", b"old"), ("a", "2026-11-23T12:00:00.5z", b"now"))
    desk.spool.seal_all()
    (path,) = (desk.spool.directory / "a").iterdir()
    assert path.name.split("-")[1] == str(NOON * 1000)
    assert desk.peers.get("tcp", "192.0.2.7").outside == 1


def test_the_limit_of_a_source_delays_and_drops_nothing(desk):
    """A request is taken whole while anything is left, also one longer than a second's worth; then 429 says when to
    come again."""
    peer = desk.peers.get("tcp", "192.0.2.7")
    peer.decide()
    peer.bucket = TokenBucket(10)
    desk.post(*[("a", None, b"event %d" % i) for i in range(25)])
    with pytest.raises(Refusal) as refused:
        desk.post(("a", None, b"too early"))
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
    assert desk.account() == {"received": 25, "spooled": 25}
    desk.now += 2
    desk.post(("a", None, b"in time"))
    assert desk.account() == {"received": 26, "spooled": 26}
