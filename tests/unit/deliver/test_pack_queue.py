"""Tests a courier whose backlog is in packs: order, joining, splits, damage and the ledger."""

import errno
import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.deliver import send_queue
from bridge.monitoring.alarms import Alarms
from bridge.spool import BatchLimits, Pack, pack_writer
from bridge.spool.archive import Archive
from bridge.spool.budget import BudgetTerms
from bridge.storage.budget_members import KeptArchive
from tests.harness.builders import build_disk_budget
from tests.unit.deliver.test_courier import World


@pytest.fixture
def make_world(tmp_path):
    return lambda **options: World(tmp_path / "spool", **options)


def outage(world, count, *, first=0, every=2000, size=1):
    """Adds batches while the collector is unavailable and packs what can be packed. Returns their events."""
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
    """Answers requests until nothing waits. Returns the accepted events."""
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
    assert (world.courier.waiting_disk, world.courier._pending.pack_queue.disk) == (0, 0)
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
    # Live events come first, then the backlog in order: a merge of two rising sequences.
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
    monkeypatch.setattr(pack_writer, "BLOCK", 100)
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
    for i in range(send_queue.MANY + 50):
        world.seal(b"%d" % i, ms=i)
        while world.posted:
            world.fail()
    world.courier.tidy()
    assert packs(world)
    assert len(world.files) <= send_queue.NEWEST + 3
    assert len(drain(world)) == send_queue.MANY + 50


# --- the budget ------------------------------------------------------------------------------------------------------


def blocks(world):
    return sum(path.stat().st_blocks * 512 for path in (world.spool.directory / "a").iterdir())


def give_up(world):
    """Drops the oldest batch or pack, as the disk budget does. Returns it."""
    gone = world.courier.drop_oldest()
    if gone is not None:
        world.ledger.drop_spooled("a", gone.unacknowledged, "spool_full")
        world.spool.discard([gone])
        world.check()
    return gone


def test_packs_count_with_their_blocks(make_world):
    world = make_world(in_flight=1)
    outage(world, 300)
    assert packs(world)
    assert world.courier.waiting_disk == blocks(world) < 300 * 4096 / 4
    world.spool.close()
    again = make_world(in_flight=1)
    (*_, last), batches = (found := again.spool.recover()).packs, found.batches
    assert last.disk == last.path.stat().st_blocks * 512
    for pack in found.packs:
        again.ledger.recover_spooled("a", pack.count)
        again.courier.add_pack(pack)
    for batch in batches:
        again.ledger.recover_spooled("a", batch.count)
        again.courier.add(batch)
    assert again.courier.waiting_disk == blocks(again)
    drain(again)


def test_a_pack_counts_until_all_of_it_is_settled(make_world):
    world = make_world(in_flight=1)
    outage(world, 400)
    while world.courier.waiting_events:
        if world.posted:
            world.accept()
        else:
            world.clock.advance(1)
        assert world.courier.waiting_disk == blocks(world)
    assert world.courier.waiting_disk == 0


def test_the_oldest_may_be_a_pack_and_goes_whole_but_nothing_that_is_in_flight(make_world):
    world = make_world(in_flight=1)
    events = outage(world, 500)
    world.next_request()
    gone = []
    while (each := give_up(world)) is not None:
        gone.append(each)
        assert world.courier.waiting_disk == blocks(world)
    assert any(isinstance(each, Pack) for each in gone)
    assert not any(isinstance(each, Pack) and not each.count for each in gone)
    order = [each.sequence for each in gone]
    assert order == sorted(order)
    dropped = world.ledger.of("a").dropped["spool_full"]
    taken = drain(world)
    assert len(taken) == len(set(taken)) == len(events) - dropped
    assert world.ledger.of("a").delivered == len(taken)


def test_what_is_left_of_a_pack_can_be_given_up_once_nothing_of_it_is_in_flight(make_world):
    world = make_world(in_flight=1)
    events = outage(world, 500)
    unsettled = world.courier._pending.pack_queue._unsettled
    taken = []

    def begun():
        return [pack for pack, left in unsettled.items() if left < pack.count]

    while not begun():
        world.next_request()
        taken += world.bodies[0].split(b"\n")
        world.accept()
    (pack,) = begun()
    while world.posted:
        world.fail()
    gone = []
    while (each := give_up(world)) is not None:
        gone.append(each)
        assert world.courier.waiting_disk == blocks(world)
    assert pack in gone
    assert (world.files, world.courier.waiting_events, world.courier.waiting_bytes) == ([], 0, 0)
    assert len(taken) + world.ledger.of("a").dropped["spool_full"] == len(events)
    outage(world, 1, first=500)
    assert drain(world) == [b"500.0"]


def test_what_is_left_of_cut_batches_can_be_given_up_once_nothing_of_it_is_in_flight(make_world):
    world = make_world(in_flight=1, limits=BatchLimits(max_slots=0))
    for _ in range(3):
        for ms in (0, 5000, 9000):
            world.seal(b"at %d" % ms, ms=ms, seal=False)
        world.spool.seal_all()
    for _ in range(3):
        world.accept()
    # The first batch was sent before. The others are cut together, and a request has events of both.
    assert world.bodies == [b"at 0\nat 0"]
    assert give_up(world) is None
    world.accept()
    assert give_up(world) is None
    world.fail()
    dropped = 0
    while (each := give_up(world)) is not None:
        dropped += each.unacknowledged
    assert (world.files, world.courier.waiting_events, world.courier.waiting_bytes) == ([], 0, 0)
    account = world.ledger.of("a")
    assert (account.delivered, account.dropped, dropped) == (5, {"spool_full": 4}, 4)


@pytest.mark.parametrize("seed", range(4))
def test_giving_up_in_between_loses_only_what_is_counted(make_world, seed):
    chance = random.Random(seed)
    world = make_world()
    events = []
    for i in range(4):
        events += outage(world, 60, first=60 * i, size=2)
        for _ in range(chance.randrange(1, 10)):
            give_up(world)

    def answer(body):
        world.courier.tidy()
        if chance.random() < 0.2:
            give_up(world)
        if chance.random() < 0.3:
            world.fail(0, chance.choice([500, 429, None]))
            return True
        return False

    taken = drain(world, answer)
    dropped = world.ledger.of("a").dropped["spool_full"]
    assert len(taken) == len(set(taken)) == len(events) - dropped
    assert dropped


def keeper_of(world, monkeypatch, *, max_size, available=10**9):
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_blocks=10**9, f_frsize=1, f_bavail=available, f_favail=1000)
    )
    made = build_disk_budget(
        world.spool,
        BudgetTerms(max_size, 0),
        members={"a": world.courier},
        ledger=world.ledger,
        alarms=Alarms(),
        clock=world.clock.seconds,
    )
    made.begin()
    return made


def archive_of(world):
    world.spool.archive = archive = Archive(
        world.spool.directory / ".archive", max_size=10**9, max_age=None, wall=lambda: 1_795_435_200, on_error=print
    )
    archive.recover()
    return archive


def test_a_full_spool_whose_oldest_is_a_pack(make_world, monkeypatch):
    world = make_world(in_flight=1)
    archive = archive_of(world)
    events = outage(world, 400)
    held, before = packs(world), world.courier.waiting_disk
    disk_budget = keeper_of(world, monkeypatch, max_size=before * 2 // 3)
    assert disk_budget.evicted["a"] == world.ledger.of("a").dropped["spool_full"] > 0
    assert len(packs(world)) < len(held)
    assert world.courier.waiting_disk == blocks(world) <= before * 2 // 3
    assert archive.size == 0, "what was dropped was not delivered"
    world.check()
    taken = drain(world)
    assert Counter(taken) <= Counter(events)
    assert len(taken) == len(events) - disk_budget.evicted["a"]


def test_the_archive_gives_way_to_what_waits(make_world, monkeypatch):
    world = make_world(in_flight=1)
    archive = archive_of(world)
    outage(world, 40)
    drain(world)
    assert archive.size >= 40 * 4096
    outage(world, 40, first=100)
    disk_budget = keeper_of(world, monkeypatch, max_size=10 * 2**20)
    disk_budget.archive = KeptArchive(archive)
    disk_budget.look()
    assert disk_budget.archive.disk == archive.size >= 40 * 4096
    disk_budget = keeper_of(world, monkeypatch, max_size=2**20 + world.courier.waiting_disk)
    disk_budget.archive = KeptArchive(archive)
    disk_budget.look()
    assert archive.size == 0
    assert not disk_budget.evicted
    drain(world)


def test_progress_of_a_pack_that_could_not_be_written_is_tried_again_once(make_world, monkeypatch):
    world = make_world(in_flight=1)
    outage(world, 300)
    pack = world.courier._pending.pack_queue._packs[-1]
    read = pack.read(most_batches=64, most_bytes=10**9, sealed=0.0).batches
    left = pack._unsettled
    rename = Path.rename

    def fail(path, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", fail)
    world.spool.remove(read[:2])
    assert pack._unsettled == left
    monkeypatch.setattr(Path, "rename", rename)
    world.clock.advance(2)
    world.spool.seal_due()
    world.clock.advance(2)
    world.spool.seal_due()
    assert pack._unsettled == left - sum(batch.count for batch in read[:2])


def test_a_pack_given_up_that_cannot_be_removed_is_tried_again(make_world, monkeypatch):
    world = make_world(in_flight=1)
    outage(world, 500)
    unlink = Path.unlink

    def fail(path, missing_ok=False):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", fail)
    while not isinstance(gone := give_up(world), Pack):
        assert gone is not None
    assert gone.path.exists()
    monkeypatch.setattr(Path, "unlink", unlink)
    world.clock.advance(2)
    world.spool.seal_due()
    assert not gone.path.exists()
