"""Conformance suite of both backlogs in which a sealed batch waits for a courier: one node's spool, and a shared queue.

A *backlog* stores batches, hands them to a courier, and deletes them once they are acknowledged. ``restart`` kills the
node that delivers and starts it again.
"""

import pytest
from twisted.internet.task import Clock

from tests.harness.memory_broker import MemoryBroker
from tests.unit.cluster.nodes import Node, drain, pass_time


class SpoolBacklog:
    """Backlog in the spool of one node."""

    def __init__(self, directory):
        self.clock = Clock()
        self._directory = directory / "spool"
        self.node = Node(self._directory, self.clock)

    def put(self, *events, **options):
        self.node.receive(*events, **options)

    def restart(self):
        self.node.die()
        self.node = Node(self._directory, self.clock)
        return self.node

    def damage(self):
        """Damages the file of the next batch."""
        self.node.own.pause()

        def damaged(batch):
            batch.path.write_bytes(bytes(batch.size))
            self.node.on_sealed = self.node.own.add
            self.node.own.add(batch)
            self.node.own.resume()

        self.node.on_sealed = damaged

    @property
    def nodes(self):
        return [self.node]


class QueueBacklog:
    """Backlog in a queue that one gateway fills and one courier empties."""

    def __init__(self, directory):
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock)
        self._directory = directory / "courier"
        self.gateway = Node(directory / "gateway", self.clock, broker=self.broker, role="gateway")
        self.node = Node(self._directory, self.clock, broker=self.broker, role="courier")
        pass_time(self.clock, *self.nodes)

    def put(self, *events, **options):
        before = self.gateway.account.handed_over
        self.gateway.receive(*events, **options)
        pass_time(self.clock, self.gateway, seconds=0.5)
        assert self.gateway.account.handed_over == before + len(events)

    def restart(self):
        self.node.die()
        self.node = Node(self._directory, self.clock, broker=self.broker, role="courier")
        pass_time(self.clock, *self.nodes)
        return self.node

    def damage(self):
        """Damages the next message."""
        publish = self.broker.put

        def damaged(queue, message):
            self.broker.put = publish
            publish(queue, type(message)(message.identity, message.headers, b"one line\0too short\n"))

        self.broker.put = damaged

    @property
    def nodes(self):
        return [self.gateway, self.node]


@pytest.fixture(params=[SpoolBacklog, QueueBacklog], ids=["spool", "queue"])
def backlog(request, tmp_path):
    return request.param(tmp_path)


def test_accepted_events_are_not_delivered_again(backlog):
    backlog.put(b"one", b"two")
    assert drain(backlog.clock, *backlog.nodes) == {b"one": 1, b"two": 1}
    assert backlog.node.account.delivered == 2
    restarted = backlog.restart()
    pass_time(backlog.clock, *backlog.nodes)
    assert not restarted.posted and restarted.account.spooled == 0


def test_unsent_events_are_delivered_after_a_kill(backlog):
    backlog.put(b"one")
    backlog.node.posted[0][2].addErrback(lambda failure: None)
    backlog.put(b"two", ms=1000)
    restarted = backlog.restart()
    arrived = drain(backlog.clock, *backlog.nodes)
    assert arrived == {b"one": 1, b"two": 1}
    assert restarted.account.delivered == 2


def test_events_posted_without_a_response_are_possible_duplicates_after_a_kill(backlog):
    backlog.put(b"one", b"two")
    assert len(backlog.node.posted) == 1
    restarted = backlog.restart()
    assert drain(backlog.clock, *backlog.nodes) == {b"one": 1, b"two": 1}
    assert restarted.account.possible_duplicates == 2


def test_events_to_retry_stay_in_the_backlog(backlog):
    backlog.put(b"one")
    backlog.node.answer(503)
    backlog.node.check()
    assert backlog.node.account.spooled == 1
    assert drain(backlog.clock, *backlog.nodes) == {b"one": 1}


def test_batches_are_sent_in_the_order_of_their_reception(backlog):
    for i in range(8):
        backlog.put(b"%d" % i, ms=2000 * i)
    posted = []
    while backlog.node.posted:
        posted.append(backlog.node.posted[0][0])
        backlog.node.accept()
        pass_time(backlog.clock, *backlog.nodes, seconds=0.25)
    assert posted == [b"%d" % i for i in range(8)]


def test_refused_event_is_quarantined_and_the_others_are_delivered(backlog):
    backlog.put(b"good", b"bad", b"fine")
    for _ in range(200):
        if not backlog.node.account.spooled:
            break
        if backlog.node.posted:
            bad = b"bad" in backlog.node.posted[0][0].split(b"\n")
            backlog.node.answer(400, text=b"cannot be parsed") if bad else backlog.node.accept()
        pass_time(backlog.clock, *backlog.nodes, seconds=0.25)
    account = backlog.node.account
    assert (account.delivered, account.quarantined, account.spooled) == (2, 1, 0)
    assert [line[3] for line in backlog.node.refused] and backlog.node.spool.quarantine.counts["refused"] == 1
    restarted = backlog.restart()
    pass_time(backlog.clock, *backlog.nodes)
    assert not restarted.posted
    assert restarted.spool.quarantine.counts["refused"] == 1


def test_damaged_batch_is_quarantined_and_the_others_are_delivered(backlog):
    backlog.damage()
    backlog.put(b"one", b"two")
    backlog.put(b"three", ms=1000)
    assert drain(backlog.clock, *backlog.nodes) == {b"three": 1}
    backlog.node.check()
    assert backlog.node.account.quarantined == 2
    assert len(list((backlog.node.spool.directory / ".quarantine" / "damaged" / "files").iterdir())) == 1
    restarted = backlog.restart()
    pass_time(backlog.clock, *backlog.nodes)
    assert not restarted.posted


@pytest.mark.parametrize("encoding", ["lines", "json"])
def test_both_encodings_arrive_unchanged(backlog, encoding):
    backlog.put(b'"a line"' if encoding == "json" else b"a line", encoding=encoding)
    assert drain(backlog.clock, *backlog.nodes) == {b"a line": 1}


def test_timed_batch_is_split_by_its_times(backlog):
    backlog.put(b"one", b"two", b"three", timed=True)
    posted = []
    for _ in range(40):
        while backlog.node.posted:
            body, headers, _ = backlog.node.posted[0]
            posted.append((body, headers["X-SEKOIAIO-EVENT-TIMESTAMP"][-10:]))
            backlog.node.accept()
        pass_time(backlog.clock, *backlog.nodes, seconds=0.25)
    assert sorted(posted) == [(b"one", "00:00.000Z"), (b"three", "00:02.000Z"), (b"two", "00:01.000Z")]


def test_parked_intake_loses_no_event(backlog):
    backlog.put(b"one", b"two")
    backlog.node.answer(403, text=b"no such intake")
    pass_time(backlog.clock, *backlog.nodes, seconds=5)
    backlog.put(b"three", ms=1000)
    pass_time(backlog.clock, *backlog.nodes, seconds=5)
    assert not backlog.node.posted
    view = backlog.node.own if backlog.node.cluster_node is None else backlog.node.cluster_node.view("a")
    assert view.state == "parked"
    pass_time(backlog.clock, *backlog.nodes, seconds=200)
    assert drain(backlog.clock, *backlog.nodes) == {b"one": 1, b"two": 1, b"three": 1}
    assert backlog.node.account.possible_duplicates == 0


def test_small_batches_are_joined(backlog):
    """Small batches are joined while the number of requests is limited."""
    for i in range(30):
        backlog.put(b"%d" % i, ms=10 * i)
    assert sum(drain(backlog.clock, *backlog.nodes).values()) == 30
    assert len(backlog.node.receipts) < 30
