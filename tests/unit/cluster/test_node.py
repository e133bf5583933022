"""Tests a node with a shared backlog: publishing, consuming, and both while a broker or node is unavailable."""

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from bridge.cluster import consumer, publisher
from bridge.cluster.message import BatchMessage
from bridge.util.alarms import A_DAY
from tests.harness.memory_broker import MemoryBroker
from tests.unit.cluster.nodes import Node, drain, pass_time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def broker(clock):
    return MemoryBroker(clock)


def start_node(tmp_path, clock, broker, name="node", role="both", **terms):
    new_node = Node(tmp_path / name, clock, broker=broker, role=role, **terms)
    pass_time(clock, new_node, seconds=0.5)
    return new_node


# --- publishing -------------------------------------------------------------------------------------------------------


def test_batch_leaves_the_spool_only_after_its_confirm(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one", b"two")
    assert broker.texts("q.a") == [b"one", b"two"]
    assert (gateway.account.spooled, gateway.account.handed_over) == (2, 0)
    assert [path.name.split(".")[1] for path in (tmp_path / "node" / "a").iterdir()] == ["sending"]
    broker.confirm()
    gateway.check()
    assert (gateway.account.spooled, gateway.account.handed_over) == (0, 2)
    clock.advance(0)
    assert not list((tmp_path / "node" / "a").iterdir())
    assert not gateway.posted


def test_message_has_the_fields_of_a_file_name_and_no_key(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one", ms=250)
    message = broker.queues["q.a"].messages[0].batch
    name = gateway.cluster_node.terms.node
    sequence = message.headers["sequence"]
    assert message.headers == {
        "format": 1, "intake": "a", "batch": f"{name}-{sequence}", "sequence": sequence,
        "time": 1_795_435_200_250, "latest": 1_795_435_200_250, "count": 1, "encoding": "lines", "timed": False,
    }  # fmt: skip
    assert message.body == b"one\n"


def test_each_connection_lost_before_confirm_counts_possible_duplicates(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one", b"two")
    for _ in range(3):
        assert list(tmp_path.rglob("*.sending.*"))
        broker.lose()
        assert not list(tmp_path.rglob("*.sending.*")), "a restart would count the events again"
        pass_time(clock, gateway, seconds=8)
    assert gateway.account.possible_duplicates == 2 * 3
    assert gateway.account.spooled == 2
    broker.hold_confirms = False
    broker.lose()
    pass_time(clock, gateway, seconds=8)
    assert gateway.account.spooled == 0
    assert len(broker.texts("q.a")) == 2 * 5
    assert gateway.account.possible_duplicates == 2 * 4, "all copies but one"


def test_node_is_published_when_the_last_confirm_arrives(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    assert gateway.cluster_node.when_published().called
    gateway.receive(b"one")
    clock.advance(0)
    broker.hold_confirms = True
    gateway.receive(b"two", ms=5000)
    gateway.receive(b"three", ms=10_000)
    published = gateway.cluster_node.when_published()
    for channel in (channel for session in broker.sessions for channel in session.channels if channel.unconfirmed):
        channel.unconfirmed.pop(0).callback(None)
    assert not published.called
    broker.confirm()
    assert published.called and gateway.account.handed_over == 3


@pytest.mark.parametrize("why", ["lost", "blocked"])
def test_node_does_not_wait_for_confirms_of_an_unavailable_broker(tmp_path, clock, broker, why):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one")
    published = gateway.cluster_node.when_published()
    if why == "lost":
        broker.down = "no"
        broker.lose()
    else:
        broker.block("low on disk")
    assert published.called and gateway.account.spooled == 1


def test_node_does_not_wait_for_a_full_queue(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway", max_bytes=5)
    gateway.receive(b"one")
    clock.advance(0)
    gateway.receive(b"two", ms=5000)
    published = gateway.cluster_node.when_published()
    clock.advance(0)
    assert published.called and gateway.account.spooled == 1


def test_full_queue_leaves_batches_in_the_spool_until_it_has_room(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway", max_bytes=20)
    gateway.receive(b"0123456789")
    for i in range(3):
        gateway.receive(b"%d123456789" % i, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    assert (gateway.account.spooled, gateway.account.handed_over) == (30, 10) or gateway.account.spooled == 3
    assert gateway.account.possible_duplicates == 0
    assert ("fleet", "full a") in gateway.alarms
    assert gateway.cluster_node.report()["queues"][0]["full"]
    courier = start_node(tmp_path, clock, broker, name="courier", role="courier", max_bytes=20)
    drain(clock, gateway, courier)
    pass_time(clock, gateway, courier, seconds=60)
    drain(clock, gateway, courier)
    assert gateway.account.spooled == 0 and courier.account.delivered == 4
    assert ("fleet", "full a") not in gateway.alarms


def test_deleted_queue_is_declared_again(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one")
    del broker.queues["q.a"]
    gateway.receive(b"two")
    pass_time(clock, gateway, seconds=5)
    assert broker.texts("q.a") == [b"two"]
    assert gateway.account.possible_duplicates == 0


def test_queue_with_other_arguments_is_used_and_raises_an_alarm(tmp_path, clock, broker):
    other = broker.connect("").result.channel().result
    other.declare("q.a", 5_000)
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one")
    pass_time(clock, gateway)
    assert broker.texts("q.a") == [b"one"]
    assert "used as it is" in gateway.alarms["fleet", "queue a"]


def test_broker_without_confirms_is_disconnected(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one")
    before = len(gateway.sessions)
    pass_time(clock, gateway, seconds=publisher.CONFIRM_TIMEOUT + 2)
    assert len(gateway.sessions) == before + 1


def test_new_session_gets_one_message_first(tmp_path, clock, broker):
    broker.down = "no"
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    for i in range(10):
        gateway.receive(b"%d" % i, ms=5000 * i)
    broker.down, broker.hold_confirms = None, True
    pass_time(clock, gateway, seconds=8)
    assert len(broker.texts("q.a")) == 1
    broker.hold_confirms = False
    broker.confirm()
    assert len(broker.texts("q.a")) == 10


def test_packs_of_a_long_outage_are_published(tmp_path, clock, broker):
    broker.down = "no"
    gateway = start_node(tmp_path, clock, broker, role="gateway", fallback_after=None)
    for i in range(300):
        gateway.receive(b"%d" % i, ms=20 * i)
    gateway.own.tidy()
    pass_time(clock, gateway, seconds=30)
    gateway.own.tidy()
    assert any(path.suffix == ".pack" for path in (tmp_path / "node" / "a").iterdir())
    broker.down = None
    pass_time(clock, gateway, seconds=30)
    assert sorted(map(int, broker.texts("q.a"))) == list(range(300))
    assert gateway.account.spooled == 0 and not list((tmp_path / "node" / "a").iterdir())


# --- alone ------------------------------------------------------------------------------------------------------------


def test_node_with_both_roles_delivers_directly_after_alone_after(tmp_path, clock, broker):
    broker.down = "no route to it"
    both = start_node(tmp_path, clock, broker)
    both.receive(b"one")
    pass_time(clock, both, seconds=9)
    assert not both.posted
    assert "no route to it" in both.alarms["fleet", "broker"]
    pass_time(clock, both, seconds=3)
    assert drain(clock, both) == {b"one": 1}
    assert both.cluster_node.report()["alone"] == ["a"]
    broker.down = None
    pass_time(clock, both, seconds=8)
    assert both.cluster_node.report()["alone"] == [] and ("fleet", "broker") not in both.alarms
    both.receive(b"two")
    assert drain(clock, both) == {b"two": 1}
    assert (both.account.handed_over, both.account.taken_over, both.account.delivered) == (1, 1, 2)


@pytest.mark.parametrize(("role", "after"), [("gateway", 10.0), ("both", None)])
def test_other_nodes_keep_their_batches_without_a_broker(tmp_path, clock, broker, role, after):
    broker.down = "no"
    gateway = start_node(tmp_path, clock, broker, role=role, fallback_after=after)
    gateway.receive(b"one")
    pass_time(clock, gateway, seconds=60)
    assert not gateway.posted and gateway.account.spooled == 1


def test_broker_that_blocks_publishers_is_unavailable(tmp_path, clock, broker):
    both = start_node(tmp_path, clock, broker)
    both.receive(b"before")
    assert drain(clock, both) == {b"before": 1}
    broker.block("low on disk")
    both.receive(b"one")
    pass_time(clock, both, seconds=5)
    assert not both.posted
    assert "low on disk" in both.alarms["fleet", "broker"]
    pass_time(clock, both, seconds=8)
    assert drain(clock, both) == {b"one": 1}
    assert both.account.handed_over == 1
    broker.block(None)
    pass_time(clock, both, seconds=0.25)
    both.receive(b"two")
    assert drain(clock, both) == {b"two": 1}
    assert both.account.handed_over == 2
    assert both.account.possible_duplicates == 0


def test_batches_split_while_alone_are_delivered_by_this_node(tmp_path, clock, broker):
    broker.down = "no"
    both = start_node(tmp_path, clock, broker)
    both.receive(b"one", b"two", b"three", b"four")
    pass_time(clock, both, seconds=12)
    both.answer(400)
    pass_time(clock, both, seconds=0.25)
    assert len(both.posted) == 1
    broker.down = None
    pass_time(clock, both, seconds=8)
    assert sum(drain(clock, both).values()) == 4
    assert both.account.delivered == 4


# --- consuming --------------------------------------------------------------------------------------------------------


def test_batches_of_a_dead_node_are_delivered_by_another(tmp_path, clock, broker):
    first = start_node(tmp_path, clock, broker, "first")
    for i in range(6):
        first.receive(b"%d" % i, ms=5000 * i)
    assert first.posted
    first.die()
    second = start_node(tmp_path, clock, broker, "second")
    assert drain(clock, second) == {b"%d" % i: 1 for i in range(6)}
    assert 1 <= second.account.possible_duplicates <= 6


def test_lost_channel_drops_waiting_batches_and_settles_those_in_flight(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    assert courier.account.spooled == 8 and courier.posted
    in_flight = len(courier.posted)
    courier.cluster_node.consumer_connection.abort("a test")
    courier.check()
    assert courier.account.spooled == in_flight
    broker.down = "away"
    while courier.posted:
        courier.accept()
    assert courier.account.delivered == in_flight
    assert courier.account.spooled == 0
    broker.down = None
    pass_time(clock, gateway, courier, seconds=8)
    drain(clock, gateway, courier)
    assert courier.account.delivered == 8 + in_flight
    assert courier.account.possible_duplicates == 8


def test_batches_of_a_parked_intake_stay_in_the_queue(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    while courier.posted:
        courier.answer(403)
    pass_time(clock, gateway, courier)
    assert len(broker.texts("q.a")) == 8
    assert courier.account.spooled == 0
    assert courier.account.taken_over == courier.account.handed_over
    # One attempt with one batch, when it is due.
    pass_time(clock, gateway, courier, seconds=200)
    assert len(courier.posted) == 1 and courier.account.spooled == 1
    assert courier.account.possible_duplicates == 0


def test_memory_is_bounded_for_any_queue(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    for i in range(40):
        gateway.receive(b"x" * 20_000, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    courier = start_node(tmp_path, clock, broker, "courier", role="courier", prefetch=100_000)
    for _ in range(100):
        pass_time(clock, courier, seconds=0.25)
        assert courier.cluster_node.consumer_memory.held <= 100_000
    assert courier.cluster_node.consumer_memory.held >= 40_000
    drain(clock, courier, gateway)
    assert courier.account.delivered == 40
    assert courier.cluster_node.consumer_memory.held == 0


def test_small_batches_are_prefetched_up_to_max_batches(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    for i in range(300):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    pass_time(clock, courier, seconds=2)
    assert courier.cluster_node.view("a").waiting_events in range(consumer.MAX_BATCHES, consumer.MAX_BATCHES + 3)


def test_batch_that_waits_too_long_is_requeued(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    gateway.receive(b"one")
    pass_time(clock, gateway, courier)
    courier.answer(503)
    for _ in range(60):
        pass_time(clock, courier, seconds=15)
        while courier.posted:
            courier.answer(503)
    assert courier.account.handed_over >= 1
    courier.check()
    assert drain(clock, courier) == {b"one": 1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "format"), ({"intake": "b"}, "another intake"), ({"count": 7}, "7 lines"),
        ({"encoding": "xml"}, "headers"), ({"sequence": "x"}, "headers"), ({"batch": "../../etc/x"}, ""),
    ],
)  # fmt: skip
def test_foreign_message_is_quarantined(tmp_path, clock, broker, change, why):
    courier = start_node(tmp_path, clock, broker, role="courier")
    headers = {
        "format": 1, "intake": "a", "batch": "x-1", "sequence": 1, "time": 1, "latest": 1, "count": 1,
        "encoding": "lines", "timed": False,
    }  # fmt: skip
    broker.put("q.a", BatchMessage("x-1", headers | change, b"text\n"))
    pass_time(clock, courier)
    if "batch" in change:
        assert drain(clock, courier) == {b"text": 1}
        return
    assert not courier.posted and not broker.queues["q.a"].messages
    assert why in courier.alarms["damaged", "a"]
    courier.alarm_sink.look()
    assert ("damaged", "a") in courier.alarms
    clock.advance(A_DAY)
    courier.alarm_sink.look()
    assert ("damaged", "a") not in courier.alarms
    assert courier.account.quarantined == courier.account.taken_over > 0
    (quarantined,) = (tmp_path / "node" / ".quarantine" / "damaged" / "files").iterdir()
    assert quarantined.read_bytes() == b"text\n"


def test_foreign_message_cannot_choose_its_file(tmp_path, clock, broker):
    courier = start_node(tmp_path, clock, broker, role="courier")
    broker.put("q.a", BatchMessage("x", {"batch": "../../../../tmp/x"}, b"text\n"))
    pass_time(clock, courier)
    (quarantined,) = (tmp_path / "node" / ".quarantine" / "damaged" / "files").iterdir()
    assert quarantined.read_bytes() == b"text\n"


def test_couriers_of_one_exit_share_the_request_rate(tmp_path, clock, broker):
    nodes = [start_node(tmp_path, clock, broker, f"node{i}") for i in range(3)]
    pass_time(clock, *nodes, seconds=6)
    assert [each.courier_count for each in nodes] == [3, 3, 3]
    nodes[0].die()
    pass_time(clock, *nodes[1:], seconds=6)
    assert [each.courier_count for each in nodes[1:]] == [2, 2]
    # A node that cannot poll the broker keeps the last known number.
    broker.down = "away"
    broker.lose()
    pass_time(clock, *nodes[1:], seconds=20)
    assert [each.courier_count for each in nodes[1:]] == [2, 2]


def test_gateways_and_other_exits_do_not_count(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    pass_time(clock, gateway, courier, seconds=6)
    assert courier.courier_count == 1


def test_batches_of_a_removed_intake_stay_in_the_queue(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    gateway.receive(b"one")
    pass_time(clock, gateway, courier)
    courier.answer(503)
    courier.own.retire()
    courier.cluster_node.configure_intake("a", None, None)
    pass_time(clock, courier)
    assert broker.texts("q.a") == [b"one"] and courier.account.spooled == 0
    assert courier.dispatcher.senders == 1


def test_stop_requeues_batches_that_are_not_in_flight(tmp_path, clock, broker):
    gateway = start_node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = start_node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    in_flight = len(courier.posted)
    courier.dispatcher.stop()
    courier.cluster_node.stop_consuming()
    assert len(broker.texts("q.a")) == 8 - in_flight
    while courier.posted:
        courier.accept()
    courier.check()
    ensureDeferred(courier.cluster_node.stop())
    assert len(broker.texts("q.a")) == 8 - in_flight


def test_unconfirmed_bytes_are_bounded_over_all_intakes(tmp_path, clock, broker, monkeypatch):
    monkeypatch.setattr(publisher, "MAX_NODE_BYTES", 1000)
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"first")
    pass_time(clock, gateway)
    broker.hold_confirms = True
    for i in range(20):
        gateway.receive(b"x" * 99, ms=5000 * i)
    pass_time(clock, gateway)
    assert len(broker.texts("q.a")) == 1 + 10
    for _ in range(5):
        broker.confirm()
        clock.advance(0)
    assert gateway.account.spooled == 0 and gateway.account.handed_over == 21


def test_missing_file_does_not_stop_the_other_batches(tmp_path, clock, broker):
    broker.down = "no"
    gateway = start_node(tmp_path, clock, broker, role="gateway")
    for i in range(5):
        gateway.receive(b"%d" % i, ms=5000 * i)
    sorted((tmp_path / "node" / "a").iterdir())[2].unlink()
    broker.down = None
    pass_time(clock, gateway, seconds=10)
    assert broker.texts("q.a") == [b"0", b"1", b"3", b"4"]
    assert gateway.account.dropped == {"spool_file_missing": 1} and gateway.account.spooled == 0
