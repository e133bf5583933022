"""What a share adds to a bridge: handing over, taking over, and what becomes of both when something is away."""

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from bridge.cluster import consumer, publisher
from bridge.cluster.broker import QueueTerms
from bridge.cluster.message import BatchMessage
from tests.harness.memory_broker import MemoryBroker
from tests.unit.cluster.nodes import Node, drain, pass_time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def broker(clock):
    return MemoryBroker(clock)


def node(tmp_path, clock, broker, name="node", role="both", **terms):
    made = Node(tmp_path / name, clock, broker=broker, role=role, **terms)
    pass_time(clock, made, seconds=0.5)
    return made


# --- handing over -----------------------------------------------------------------------------------------------------


def test_a_batch_leaves_the_spool_when_it_is_confirmed_and_not_before(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway")
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


def test_a_message_says_what_a_file_name_says_and_holds_no_key(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one", ms=250)
    letter = broker.queues["q.a"].messages[0].letter
    name = gateway.cluster_node.node
    sequence = letter.headers["sequence"]
    assert letter.headers == {
        "format": 1, "intake": "a", "batch": f"{name}-{sequence}", "sequence": sequence,
        "time": 1_795_435_200_250, "latest": 1_795_435_200_250, "count": 1, "encoding": "lines", "timed": False,
    }  # fmt: skip
    assert letter.body == b"one\n"


def test_without_a_confirm_a_lost_connection_makes_it_possibly_double_once(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one", b"two")
    for _ in range(3):
        broker.lose()
        pass_time(clock, gateway, seconds=8)
    assert gateway.account.possible_duplicates == 2
    assert gateway.account.spooled == 2
    broker.hold_confirms = False
    broker.lose()
    pass_time(clock, gateway, seconds=8)
    assert gateway.account.spooled == 0
    assert len(broker.texts("q.a")) == 2 * 5


def test_a_full_queue_leaves_batches_in_the_spool_and_they_follow_later(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway", max_bytes=20)
    gateway.receive(b"0123456789")
    for i in range(3):
        gateway.receive(b"%d123456789" % i, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    assert (gateway.account.spooled, gateway.account.handed_over) == (30, 10) or gateway.account.spooled == 3
    assert gateway.account.possible_duplicates == 0
    assert ("fleet", "full a") in gateway.alarms
    assert gateway.cluster_node.report()["queues"][0]["full"]
    courier = node(tmp_path, clock, broker, name="courier", role="courier", max_bytes=20)
    drain(clock, gateway, courier)
    pass_time(clock, gateway, courier, seconds=60)
    drain(clock, gateway, courier)
    assert gateway.account.spooled == 0 and courier.account.delivered == 4
    assert ("fleet", "full a") not in gateway.alarms


def test_a_queue_that_is_deleted_is_made_again(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one")
    del broker.queues["q.a"]
    gateway.receive(b"two")
    pass_time(clock, gateway, seconds=5)
    assert broker.texts("q.a") == [b"two"]
    assert gateway.account.possible_duplicates == 0


def test_a_queue_that_is_there_otherwise_is_used_as_it_is_and_that_is_said(tmp_path, clock, broker):
    other = broker.connect("").result.channel().result
    other.declare("q.a", QueueTerms(5_000))
    gateway = node(tmp_path, clock, broker, role="gateway")
    gateway.receive(b"one")
    pass_time(clock, gateway)
    assert broker.texts("q.a") == [b"one"]
    assert "used as it is" in gateway.alarms["fleet", "queue a"]


def test_a_broker_that_confirms_nothing_is_given_up(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, role="gateway")
    broker.hold_confirms = True
    gateway.receive(b"one")
    before = gateway.cluster_node.giving.sessions
    pass_time(clock, gateway, seconds=publisher.CONFIRM_WITHIN + 2)
    assert gateway.cluster_node.giving.sessions == before + 1


def test_a_new_session_is_asked_with_one_letter_first(tmp_path, clock, broker):
    broker.down = "no"
    gateway = node(tmp_path, clock, broker, role="gateway")
    for i in range(10):
        gateway.receive(b"%d" % i, ms=5000 * i)
    broker.down, broker.hold_confirms = None, True
    pass_time(clock, gateway, seconds=8)
    assert len(broker.texts("q.a")) == 1
    broker.hold_confirms = False
    broker.confirm()
    assert len(broker.texts("q.a")) == 10


def test_packs_of_a_long_outage_are_handed_over_too(tmp_path, clock, broker):
    broker.down = "no"
    gateway = node(tmp_path, clock, broker, role="gateway", alone_after=None)
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


def test_without_a_broker_a_node_with_both_roles_delivers_by_itself_after_a_while(tmp_path, clock, broker):
    broker.down = "no route to it"
    both = node(tmp_path, clock, broker)
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
def test_who_is_not_to_deliver_alone_keeps_what_it_has(tmp_path, clock, broker, role, after):
    broker.down = "no"
    gateway = node(tmp_path, clock, broker, role=role, alone_after=after)
    gateway.receive(b"one")
    pass_time(clock, gateway, seconds=60)
    assert not gateway.posted and gateway.account.spooled == 1


def test_a_broker_that_hears_no_publisher_is_as_one_that_is_away(tmp_path, clock, broker):
    both = node(tmp_path, clock, broker)
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


def test_what_was_split_while_alone_is_finished_here(tmp_path, clock, broker):
    broker.down = "no"
    both = node(tmp_path, clock, broker)
    both.receive(b"one", b"two", b"three", b"four")
    pass_time(clock, both, seconds=12)
    both.answer(413)
    pass_time(clock, both, seconds=0.25)
    assert len(both.posted) == 1
    broker.down = None
    pass_time(clock, both, seconds=8)
    assert sum(drain(clock, both).values()) == 4
    assert both.account.delivered == 4


# --- taking over ------------------------------------------------------------------------------------------------------


def test_a_dead_nodes_batches_are_delivered_by_another(tmp_path, clock, broker):
    first = node(tmp_path, clock, broker, "first")
    for i in range(6):
        first.receive(b"%d" % i, ms=5000 * i)
    assert first.posted
    first.die()
    second = node(tmp_path, clock, broker, "second")
    assert drain(clock, second) == {b"%d" % i: 1 for i in range(6)}
    assert 1 <= second.account.possible_duplicates <= 6


def test_a_lost_channel_gives_up_what_waits_and_settles_what_is_in_flight(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    assert courier.account.spooled == 8 and courier.posted
    in_flight = len(courier.posted)
    courier.cluster_node.taking.abort("a test")
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


def test_a_parked_intakes_batches_stay_in_the_queue(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    while courier.posted:
        courier.answer(403)
    pass_time(clock, gateway, courier)
    assert len(broker.texts("q.a")) == 8
    assert courier.account.spooled == 0
    assert courier.account.taken_over == courier.account.handed_over
    # One attempt, with one batch, when it is due.
    pass_time(clock, gateway, courier, seconds=200)
    assert len(courier.posted) == 1 and courier.account.spooled == 1
    assert courier.account.possible_duplicates == 0


def test_memory_is_bounded_whatever_the_queue_holds(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    for i in range(40):
        gateway.receive(b"x" * 20_000, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    courier = node(tmp_path, clock, broker, "courier", role="courier", prefetch=100_000)
    for _ in range(100):
        pass_time(clock, courier, seconds=0.25)
        assert courier.cluster_node.consumer_memory.held <= 100_000
    assert courier.cluster_node.consumer_memory.held >= 40_000
    drain(clock, courier, gateway)
    assert courier.account.delivered == 40
    assert courier.cluster_node.consumer_memory.held == 0


def test_small_batches_come_in_greater_number(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    for i in range(300):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, seconds=5)
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    pass_time(clock, courier, seconds=2)
    assert courier.cluster_node.view("a").waiting_events in range(consumer.MOST, consumer.MOST + 3)


def test_what_waits_too_long_goes_back_before_the_broker_takes_it(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
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
def test_a_foreign_message_goes_to_quarantine(tmp_path, clock, broker, change, why):
    courier = node(tmp_path, clock, broker, role="courier")
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
    assert courier.account.quarantined == courier.account.taken_over > 0
    (kept,) = (tmp_path / "node" / ".quarantine" / "damaged" / "files").iterdir()
    assert kept.read_bytes() == b"text\n"


def test_a_foreign_message_cannot_choose_its_file(tmp_path, clock, broker):
    courier = node(tmp_path, clock, broker, role="courier")
    broker.put("q.a", BatchMessage("x", {"batch": "../../../../tmp/x"}, b"text\n"))
    pass_time(clock, courier)
    (kept,) = (tmp_path / "node" / ".quarantine" / "damaged" / "files").iterdir()
    assert kept.read_bytes() == b"text\n"


def test_couriers_of_one_exit_share_the_request_rate(tmp_path, clock, broker):
    nodes = [node(tmp_path, clock, broker, f"node{i}") for i in range(3)]
    pass_time(clock, *nodes, seconds=6)
    assert [each.sharers for each in nodes] == [3, 3, 3]
    nodes[0].die()
    pass_time(clock, *nodes[1:], seconds=6)
    assert [each.sharers for each in nodes[1:]] == [2, 2]
    # Who cannot ask goes on with what it knew.
    broker.down = "away"
    broker.lose()
    pass_time(clock, *nodes[1:], seconds=20)
    assert [each.sharers for each in nodes[1:]] == [2, 2]


def test_gateways_and_other_exits_do_not_count(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    pass_time(clock, gateway, courier, seconds=6)
    assert courier.sharers == 1


def test_an_intake_that_leaves_the_configuration_is_left_in_its_queue(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    gateway.receive(b"one")
    pass_time(clock, gateway, courier)
    courier.answer(503)
    courier.own.retire()
    courier.cluster_node.follow("a", None, None)
    pass_time(clock, courier)
    assert broker.texts("q.a") == [b"one"] and courier.account.spooled == 0
    assert courier.dispatcher.senders == 1


def test_the_end_gives_back_what_is_not_in_flight(tmp_path, clock, broker):
    gateway = node(tmp_path, clock, broker, "gateway", role="gateway")
    courier = node(tmp_path, clock, broker, "courier", role="courier")
    for i in range(8):
        gateway.receive(b"%d" % i, ms=5000 * i)
    pass_time(clock, gateway, courier)
    flying = len(courier.posted)
    courier.dispatcher.stop()
    courier.cluster_node.stop_taking()
    assert len(broker.texts("q.a")) == 8 - flying
    while courier.posted:
        courier.accept()
    courier.check()
    ensureDeferred(courier.cluster_node.stop())
    assert len(broker.texts("q.a")) == 8 - flying


def test_what_is_published_and_not_confirmed_is_bounded_over_all_intakes(tmp_path, clock, broker, monkeypatch):
    monkeypatch.setattr(publisher, "MOST_OUT", 1000)
    gateway = node(tmp_path, clock, broker, role="gateway")
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


def test_a_file_that_is_gone_does_not_stop_the_others(tmp_path, clock, broker):
    broker.down = "no"
    gateway = node(tmp_path, clock, broker, role="gateway")
    for i in range(5):
        gateway.receive(b"%d" % i, ms=5000 * i)
    sorted((tmp_path / "node" / "a").iterdir())[2].unlink()
    broker.down = None
    pass_time(clock, gateway, seconds=10)
    assert broker.texts("q.a") == [b"0", b"1", b"3", b"4"]
    assert gateway.account.dropped == {"spool_file_missing": 1} and gateway.account.spooled == 0
