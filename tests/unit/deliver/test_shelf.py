"""A courier whose backlog is in packs: order, joining, splits, damage and the account, as of loose batches."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from bridge.deliver import lanes
from bridge.spool import packing
from tests.unit.deliver.test_courier import World


@pytest.fixture
def make_world(tmp_path):
    return lambda **options: World(tmp_path / "spool", **options)


def outage(world, count, *, first=0, every=2000, size=1):
    """So many batches wait, the collector being away, and what can be is packed; their events."""
    events = []
    for i in range(first, first + count):
        events.append([b"%d.%d" % (i, k) for k in range(size)])
        world.seal(*events[-1], ms=i * every)
        while world.posted:
            world.fail()
        world.clock.advance(1)
        while world.posted:
            world.fail()
        world.courier.tidy()
        world.check()
    return [event for batch in events for event in batch]


def drain(world, answer=None):
    """Answer until nothing waits; what was accepted."""
    taken = []
    for _ in range(20_000):
        if not world.courier.waiting_events:
            break
        if not world.posted:
            world.clock.advance(1)
            continue
        body = world.bodies[0]
        if answer is not None and answer(body):
            continue
        taken += body.split(b"\n")
        world.accept()
    assert (world.courier.waiting_events, world.courier.waiting_bytes, world.courier.state) == (0, 0, "idle")
    assert world.files == []
    return taken


def packs(world):
    return [name for name in world.files if name.endswith(".pack")]


def test_an_outage_becomes_few_files_and_leaves_in_order(make_world):
    world = make_world(in_flight=1)
    events = outage(world, 300)
    assert packs(world)
    assert len(world.files) <= 45
    assert world.courier.waiting_events == 300
    taken = drain(world)
    assert Counter(taken) == Counter(events)
    assert world.ledger.of("a").delivered == 300
    # Live first, then the backlog in its order: a merge of two rising sequences.
    order = [events.index(event) for event in taken]
    falls = [i for i, (a, b) in enumerate(pairwise(order)) if b < a]
    live = {event for event in order[: falls[0] + 1]} if falls else set()
    backlog = [event for event in order if event not in live]
    assert backlog[: len(backlog) // 2] == sorted(backlog[: len(backlog) // 2])


def test_requests_from_packs_are_joined_within_the_catch_up_width(make_world):
    world = make_world(in_flight=1)
    outage(world, 400, every=1000)
    requests = 0

    def count(body):
        nonlocal requests
        requests += 1
        numbers = [int(event.partition(b".")[0]) for event in body.split(b"\n")]
        assert max(numbers) - min(numbers) < 60

    drain(world, count)
    assert requests <= 0.15 * 400


def test_a_restart_finds_what_is_left(make_world, tmp_path):
    world = make_world(in_flight=1)
    events = outage(world, 200)
    taken = []
    while len(taken) < 80:
        if world.posted:
            taken += world.bodies[0].split(b"\n")
            world.accept()
        else:
            world.clock.advance(1)
    in_flight = set(world.bodies[0].split(b"\n")) if world.posted else set()
    world.spool.close()
    again = make_world(in_flight=1)
    again.clock.advance(1000)
    found = again.spool.recover()
    for held in (*found.packs, *found.batches):
        again.ledger.recover_spooled("a", held.count)
    for pack in found.packs:
        again.courier.add_pack(pack)
    for batch in found.batches:
        again.courier.add(batch)
    assert sum(found.sending.values()) >= len(in_flight)
    assert Counter(taken + drain(again)) == Counter(events)


@pytest.mark.parametrize("seed", range(6))
def test_any_answers_while_packs_are_made_and_read(make_world, seed):
    chance = random.Random(seed)
    world = make_world()
    events = outage(world, 120, size=2)
    more = []

    def answer(body):
        if chance.random() < 0.1:
            i = len(more) // 2 + 1000
            more.extend([b"%d.0" % i, b"%d.1" % i])
            world.seal(*more[-2:], ms=i * 100)
        world.courier.tidy()
        act = chance.random()
        if act < 0.15:
            world.fail(0, chance.choice([500, 429, None]))
            return True
        if act < 0.2:
            world.fail(0, 413)
            return True
        return False

    assert Counter(drain(world, answer)) == Counter(events + more)
    assert world.ledger.of("a").delivered == len(events) + len(more)


def test_a_bad_event_in_a_pack_is_found_and_the_others_arrive(make_world, monkeypatch):
    world = make_world(in_flight=1)
    refused = []

    def refuse(intake, pieces, settled):
        refused.extend(piece.lines or piece.batch.held for piece, _ in pieces)
        world.spool.remove(settled)

    monkeypatch.setattr(world, "refuse", refuse)
    events = outage(world, 100, size=3)

    def answer(body):
        if b"42.1" in body.split(b"\n"):
            world.fail(0, 400)
            return True
        return False

    taken = drain(world, answer)
    assert Counter(taken) == Counter(events) - Counter([b"42.1"])
    assert refused == [b"42.1\n"]
    assert world.ledger.of("a").quarantined == 1


def test_damage_in_a_pack_is_counted_and_the_rest_arrives(make_world, monkeypatch):
    monkeypatch.setattr(packing, "BLOCK", 100)
    world = make_world(in_flight=1)
    events = outage(world, 150)
    path = world.spool.directory / "a" / packs(world)[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    taken = drain(world)
    account = world.ledger.of("a")
    lost = account.quarantined + account.dropped.total()
    assert 0 < lost < 100
    assert len(taken) + lost == 150
    assert set(taken) < set(events)
    assert world.alarms["damaged"] >= 1
    assert world.aside[0].data


def test_a_pack_that_is_gone_is_counted(make_world):
    world = make_world(in_flight=1)
    outage(world, 150)
    gone = packs(world)[-1]
    (world.spool.directory / "a" / gone).unlink()
    taken = drain(world)
    assert len(taken) + world.ledger.of("a").dropped["spool_file_damaged"] == 150
    assert len(taken) < 150


def test_nothing_is_packed_while_the_collector_takes_it(make_world):
    world = make_world()
    for i in range(200):
        world.seal(b"%d" % i, ms=i * 2000)
        while world.posted:
            world.accept()
        world.clock.advance(2)
        world.courier.tidy()
    assert world.files == []


def test_a_flood_that_cannot_leave_is_packed_before_it_is_old(make_world):
    world = make_world()
    for i in range(lanes.MANY + 50):
        world.seal(b"%d" % i, ms=i)
        while world.posted:
            world.fail()
    world.courier.tidy()
    assert packs(world)
    assert len(world.files) <= lanes.NEWEST + 3
    assert len(drain(world)) == lanes.MANY + 50
