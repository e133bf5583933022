"""One suite for both places in which a sealed batch waits for a courier: the spool of one bridge, and a shared queue.

A *place* takes batches in, hands them to a courier, and lets them go once they are acknowledged. ``reborn`` is the node
that delivers, after a kill.
"""

import pytest
from twisted.internet.task import Clock

from tests.harness.memory_broker import MemoryBroker
from tests.unit.cluster.nodes import Node, drain, pass_time


class Local:
    """The spool."""

    def __init__(self, directory):
        self.clock = Clock()
        self._directory = directory / "spool"
        self.node = Node(self._directory, self.clock)

    def put(self, *events, **how):
        self.node.receive(*events, **how)

    def reborn(self):
        self.node.die()
        self.node = Node(self._directory, self.clock)
        return self.node

    def damage(self):
        """Spoil what comes next, on the disk."""
        self.node.own.hold()

        def spoiled(batch):
            batch.path.write_bytes(bytes(batch.size))
            self.node.spool.on_sealed = self.node.own.add
            self.node.own.add(batch)
            self.node.own.go_on()

        self.node.spool.on_sealed = spoiled

    @property
    def nodes(self):
        return [self.node]


class Shared:
    """A queue, filled by one gateway and emptied by one courier."""

    def __init__(self, directory):
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock)
        self._directory = directory / "courier"
        self.gateway = Node(directory / "gateway", self.clock, broker=self.broker, role="gateway")
        self.node = Node(self._directory, self.clock, broker=self.broker, role="courier")
        pass_time(self.clock, *self.nodes)

    def put(self, *events, **how):
        before = self.gateway.account.handed_over
        self.gateway.receive(*events, **how)
        pass_time(self.clock, self.gateway, seconds=0.5)
        assert self.gateway.account.handed_over == before + len(events)

    def reborn(self):
        self.node.die()
        self.node = Node(self._directory, self.clock, broker=self.broker, role="courier")
        pass_time(self.clock, *self.nodes)
        return self.node

    def damage(self):
        """Spoil what comes next."""
        publish = self.broker.put

        def spoiled(queue, letter):
            self.broker.put = publish
            publish(queue, type(letter)(letter.identity, letter.headers, b"one line\0too short\n"))

        self.broker.put = spoiled

    @property
    def nodes(self):
        return [self.gateway, self.node]


@pytest.fixture(params=[Local, Shared], ids=["spool", "queue"])
def place(request, tmp_path):
    return request.param(tmp_path)


def test_what_is_accepted_is_gone_and_does_not_come_again(place):
    place.put(b"one", b"two")
    assert drain(place.clock, *place.nodes) == {b"one": 1, b"two": 1}
    assert place.node.account.delivered == 2
    again = place.reborn()
    pass_time(place.clock, *place.nodes)
    assert not again.posted and again.account.spooled == 0


def test_what_was_not_sent_comes_whole_after_a_kill(place):
    place.put(b"one")
    place.node.posted[0][2].addErrback(lambda failure: None)
    place.put(b"two", ms=1000)
    again = place.reborn()
    taken = drain(place.clock, *place.nodes)
    assert taken == {b"one": 1, b"two": 1}
    assert again.account.delivered == 2


def test_what_was_posted_without_an_answer_counts_as_possibly_double_after_a_kill(place):
    place.put(b"one", b"two")
    assert len(place.node.posted) == 1
    again = place.reborn()
    assert drain(place.clock, *place.nodes) == {b"one": 1, b"two": 1}
    assert again.account.possible_duplicates == 2


def test_what_is_to_be_tried_again_stays(place):
    place.put(b"one")
    place.node.answer(503)
    place.node.check()
    assert place.node.account.spooled == 1
    assert drain(place.clock, *place.nodes) == {b"one": 1}


def test_batches_leave_in_the_order_of_their_reception(place):
    for i in range(8):
        place.put(b"%d" % i, ms=2000 * i)
    posted = []
    while place.node.posted:
        posted.append(place.node.posted[0][0])
        place.node.accept()
        pass_time(place.clock, *place.nodes, seconds=0.25)
    assert posted == [b"%d" % i for i in range(8)]


def test_a_refused_event_is_in_quarantine_and_the_others_are_delivered(place):
    place.put(b"good", b"bad", b"fine")
    for _ in range(200):
        if not place.node.account.spooled:
            break
        if place.node.posted:
            bad = b"bad" in place.node.posted[0][0].split(b"\n")
            place.node.answer(400, text=b"cannot be parsed") if bad else place.node.accept()
        pass_time(place.clock, *place.nodes, seconds=0.25)
    account = place.node.account
    assert (account.delivered, account.quarantined, account.spooled) == (2, 1, 0)
    assert [line[3] for line in place.node.refused] and place.node.spool.quarantine.counts["refused"] == 1
    again = place.reborn()
    pass_time(place.clock, *place.nodes)
    assert not again.posted
    assert again.spool.quarantine.counts["refused"] == 1


def test_what_is_damaged_goes_to_quarantine_and_the_others_on(place):
    place.damage()
    place.put(b"one", b"two")
    place.put(b"three", ms=1000)
    assert drain(place.clock, *place.nodes) == {b"three": 1}
    place.node.check()
    assert place.node.account.quarantined == 2
    assert len(list((place.node.spool.directory / ".quarantine" / "damaged" / "files").iterdir())) == 1
    again = place.reborn()
    pass_time(place.clock, *place.nodes)
    assert not again.posted


@pytest.mark.parametrize("encoding", ["lines", "json"])
def test_both_encodings_arrive_as_they_were(place, encoding):
    place.put(b'"a line"' if encoding == "json" else b"a line", encoding=encoding)
    assert drain(place.clock, *place.nodes) == {b"a line": 1}


def test_a_timed_batch_is_cut_by_its_times(place):
    place.put(b"one", b"two", b"three", timed=True)
    posted = []
    for _ in range(40):
        while place.node.posted:
            body, headers, _ = place.node.posted[0]
            posted.append((body, headers["X-SEKOIAIO-EVENT-TIMESTAMP"][-10:]))
            place.node.accept()
        pass_time(place.clock, *place.nodes, seconds=0.25)
    assert sorted(posted) == [(b"one", "00:00.000Z"), (b"three", "00:02.000Z"), (b"two", "00:01.000Z")]


def test_a_parked_intake_loses_nothing(place):
    place.put(b"one", b"two")
    place.node.answer(403, text=b"no such intake")
    pass_time(place.clock, *place.nodes, seconds=5)
    place.put(b"three", ms=1000)
    pass_time(place.clock, *place.nodes, seconds=5)
    assert not place.node.posted
    view = place.node.own if place.node.cluster_node is None else place.node.cluster_node.view("a")
    assert view.state == "parked"
    pass_time(place.clock, *place.nodes, seconds=200)
    assert drain(place.clock, *place.nodes) == {b"one": 1, b"two": 1, b"three": 1}
    assert place.node.account.possible_duplicates == 0


def test_the_events_of_one_request_are_of_neighbours(place):
    """While requests are held back, small batches are joined."""
    for i in range(30):
        place.put(b"%d" % i, ms=10 * i)
    assert sum(drain(place.clock, *place.nodes).values()) == 30
    assert len(place.node.receipts) < 30
