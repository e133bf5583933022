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
from tests.harness.builders import build_disk_budget
from tests.unit.deliver.test_courier import CourierFixture


@pytest.fixture
def make_fixture(tmp_path):
    return lambda **options: CourierFixture(tmp_path / "spool", **options)


def add_during_outage(fixture, count, *, first=0, interval_ms=2000, size=1):
    """Adds batches while the collector is unavailable and packs what can be packed. Returns their events."""
    events = []
    for i in range(first, first + count):
        events.append([b"%d.%d" % (i, k) for k in range(size)])
        fixture.seal(*events[-1], ms=i * interval_ms)
        while fixture.posted:
            fixture.fail()
        fixture.clock.advance(1)
        while fixture.posted:
            fixture.fail()
        fixture.courier.tidy()
        fixture.check()
    return [event for batch in events for event in batch]


def drain(fixture, answer=None):
    """Answers requests until nothing waits. Returns the accepted events."""
    accepted = []
    for _ in range(20_000):
        if not fixture.courier.waiting_events:
            break
        if not fixture.posted:
            fixture.clock.advance(1)
            continue
        body = fixture.bodies[0]
        if answer is not None and answer(body):
            continue
        accepted += body.split(b"\n")
        fixture.accept()
    assert (fixture.courier.waiting_events, fixture.courier.waiting_bytes, fixture.courier.state) == (0, 0, "idle")
    assert fixture.files == []
    assert (fixture.courier.waiting_disk, fixture.courier._pending.pack_queue.disk) == (0, 0)
    return accepted


def pack_names(fixture):
    return [name for name in fixture.files if name.endswith(".pack")]


def test_backlog_of_an_outage_is_packed_and_sent_in_order(make_fixture):
    fixture = make_fixture(in_flight=1)
    events = add_during_outage(fixture, 300)
    assert pack_names(fixture)
    assert len(fixture.files) <= 45
    assert fixture.courier.waiting_events == 300
    accepted = drain(fixture)
    assert Counter(accepted) == Counter(events)
    assert fixture.ledger.of("a").delivered == 300
    # Live events come first, then the backlog in order: two merged ascending sequences.
    order = [events.index(event) for event in accepted]
    descents = [i for i, (a, b) in enumerate(pairwise(order)) if b < a]
    live = {event for event in order[: descents[0] + 1]} if descents else set()
    backlog = [event for event in order if event not in live]
    assert backlog[: len(backlog) // 2] == sorted(backlog[: len(backlog) // 2])


def test_packed_batches_are_joined_within_the_catch_up_width(make_fixture):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 400, interval_ms=1000)
    requests = 0

    def count(body):
        nonlocal requests
        requests += 1
        numbers = [int(event.partition(b".")[0]) for event in body.split(b"\n")]
        assert max(numbers) - min(numbers) < 60

    drain(fixture, count)
    assert requests <= 0.15 * 400


def test_restart_delivers_the_remaining_events(make_fixture, tmp_path):
    fixture = make_fixture(in_flight=1)
    events = add_during_outage(fixture, 200)
    accepted = []
    while len(accepted) < 80:
        if fixture.posted:
            accepted += fixture.bodies[0].split(b"\n")
            fixture.accept()
        else:
            fixture.clock.advance(1)
    in_flight = set(fixture.bodies[0].split(b"\n")) if fixture.posted else set()
    fixture.spool.close()
    restarted = make_fixture(in_flight=1)
    restarted.clock.advance(1000)
    found = restarted.spool.recover()
    for recovered in (*found.packs, *found.batches):
        restarted.ledger.recover_spooled("a", recovered.count)
    for pack in found.packs:
        restarted.courier.add_pack(pack)
    for batch in found.batches:
        restarted.courier.add(batch)
    assert sum(found.sending.values()) >= len(in_flight)
    assert Counter(accepted + drain(restarted)) == Counter(events)


@pytest.mark.parametrize("seed", range(6))
def test_any_responses_while_packing_deliver_each_event_once(make_fixture, seed):
    rng = random.Random(seed)
    fixture = make_fixture()
    events = add_during_outage(fixture, 120, size=2)
    more = []

    def answer(body):
        if rng.random() < 0.1:
            i = len(more) // 2 + 1000
            more.extend([b"%d.0" % i, b"%d.1" % i])
            fixture.seal(*more[-2:], ms=i * 100)
        fixture.courier.tidy()
        draw = rng.random()
        if draw < 0.15:
            fixture.fail(0, rng.choice([500, 429, None]))
            return True
        if draw < 0.2:
            fixture.fail(0, 413)
            return True
        return False

    assert Counter(drain(fixture, answer)) == Counter(events + more)
    assert fixture.ledger.of("a").delivered == len(events) + len(more)


def test_refused_event_in_a_pack_is_quarantined_alone(make_fixture, monkeypatch):
    fixture = make_fixture(in_flight=1)
    refused = []

    def refuse(intake, pieces, settled):
        refused.extend(piece.lines or piece.batch.held for piece, _ in pieces)
        fixture.spool.remove(settled)

    monkeypatch.setattr(fixture, "refuse", refuse)
    events = add_during_outage(fixture, 100, size=3)

    def answer(body):
        if b"42.1" in body.split(b"\n"):
            fixture.fail(0, 400)
            return True
        return False

    accepted = drain(fixture, answer)
    assert Counter(accepted) == Counter(events) - Counter([b"42.1"])
    assert refused == [b"42.1\n"]
    assert fixture.ledger.of("a").quarantined == 1


def test_damage_in_a_pack_is_counted_and_the_rest_is_delivered(make_fixture, monkeypatch):
    monkeypatch.setattr(pack_writer, "BLOCK", 100)
    fixture = make_fixture(in_flight=1)
    events = add_during_outage(fixture, 150)
    path = fixture.spool.directory / "a" / pack_names(fixture)[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    accepted = drain(fixture)
    totals = fixture.ledger.of("a")
    lost = totals.quarantined + totals.dropped.total()
    assert 0 < lost < 100
    assert len(accepted) + lost == 150
    assert set(accepted) < set(events)
    assert fixture.alarms["damaged"] >= 1
    assert fixture.quarantined[0].data


def test_missing_pack_is_counted_as_dropped(make_fixture):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 150)
    missing = pack_names(fixture)[-1]
    (fixture.spool.directory / "a" / missing).unlink()
    accepted = drain(fixture)
    assert len(accepted) + fixture.ledger.of("a").dropped["spool_file_damaged"] == 150
    assert len(accepted) < 150


def test_nothing_is_packed_while_the_collector_accepts(make_fixture):
    fixture = make_fixture()
    for i in range(200):
        fixture.seal(b"%d" % i, ms=i * 2000)
        while fixture.posted:
            fixture.accept()
        fixture.clock.advance(2)
        fixture.courier.tidy()
    assert fixture.files == []


def test_many_waiting_batches_are_packed_before_they_are_old(make_fixture):
    fixture = make_fixture()
    for i in range(send_queue.MANY + 50):
        fixture.seal(b"%d" % i, ms=i)
        while fixture.posted:
            fixture.fail()
    fixture.courier.tidy()
    assert pack_names(fixture)
    assert len(fixture.files) <= send_queue.NEWEST + 3
    assert len(drain(fixture)) == send_queue.MANY + 50


def test_paused_courier_packs_nothing_so_it_stays_quiescent(make_fixture):
    fixture = make_fixture()
    fixture.courier.pause()
    for i in range(send_queue.MANY + 50):
        fixture.seal(b"%d" % i, ms=i)
    fixture.clock.advance(3600)
    fixture.courier.tidy()
    assert not pack_names(fixture)
    assert fixture.courier.is_quiescent
    fixture.courier.resume()
    while fixture.posted:
        fixture.fail()
    fixture.courier.tidy()
    assert pack_names(fixture)


# --- the budget ------------------------------------------------------------------------------------------------------


def allocated_bytes(fixture):
    return sum(path.stat().st_blocks * 512 for path in (fixture.spool.directory / "a").iterdir())


def drop_oldest(fixture):
    """Drops the oldest batch or pack, as the disk budget does. Returns it."""
    dropped = fixture.courier.drop_oldest()
    if dropped is not None:
        fixture.ledger.drop_spooled("a", dropped.unacknowledged, "spool_full")
        fixture.spool.discard([dropped])
        fixture.check()
    return dropped


def test_packs_count_with_their_allocated_blocks(make_fixture):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 300)
    assert pack_names(fixture)
    assert fixture.courier.waiting_disk == allocated_bytes(fixture) < 300 * 4096 / 4
    fixture.spool.close()
    restarted = make_fixture(in_flight=1)
    (*_, last), batches = (found := restarted.spool.recover()).packs, found.batches
    assert last.disk == last.path.stat().st_blocks * 512
    for pack in found.packs:
        restarted.ledger.recover_spooled("a", pack.count)
        restarted.courier.add_pack(pack)
    for batch in batches:
        restarted.ledger.recover_spooled("a", batch.count)
        restarted.courier.add(batch)
    assert restarted.courier.waiting_disk == allocated_bytes(restarted)
    drain(restarted)


def test_pack_counts_until_it_is_settled_completely(make_fixture):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 400)
    while fixture.courier.waiting_events:
        if fixture.posted:
            fixture.accept()
        else:
            fixture.clock.advance(1)
        assert fixture.courier.waiting_disk == allocated_bytes(fixture)
    assert fixture.courier.waiting_disk == 0


def test_oldest_packs_are_dropped_whole_but_not_in_flight(make_fixture):
    fixture = make_fixture(in_flight=1)
    events = add_during_outage(fixture, 500)
    fixture.next_request()
    dropped = []
    while (each := drop_oldest(fixture)) is not None:
        dropped.append(each)
        assert fixture.courier.waiting_disk == allocated_bytes(fixture)
    assert any(isinstance(each, Pack) for each in dropped)
    assert not any(isinstance(each, Pack) and not each.count for each in dropped)
    order = [each.sequence for each in dropped]
    assert order == sorted(order)
    dropped_count = fixture.ledger.of("a").dropped["spool_full"]
    accepted = drain(fixture)
    assert len(accepted) == len(set(accepted)) == len(events) - dropped_count
    assert fixture.ledger.of("a").delivered == len(accepted)


def test_rest_of_a_pack_can_be_dropped_once_none_of_it_is_in_flight(make_fixture):
    fixture = make_fixture(in_flight=1)
    events = add_during_outage(fixture, 500)
    unsettled = fixture.courier._pending.pack_queue._unsettled
    accepted = []

    def partly_settled():
        return [pack for pack, unsettled_count in unsettled.items() if unsettled_count < pack.count]

    while not partly_settled():
        fixture.next_request()
        accepted += fixture.bodies[0].split(b"\n")
        fixture.accept()
    (pack,) = partly_settled()
    while fixture.posted:
        fixture.fail()
    dropped = []
    while (each := drop_oldest(fixture)) is not None:
        dropped.append(each)
        assert fixture.courier.waiting_disk == allocated_bytes(fixture)
    assert pack in dropped
    assert (fixture.files, fixture.courier.waiting_events, fixture.courier.waiting_bytes) == ([], 0, 0)
    assert len(accepted) + fixture.ledger.of("a").dropped["spool_full"] == len(events)
    add_during_outage(fixture, 1, first=500)
    assert drain(fixture) == [b"500.0"]


def test_rest_of_cut_batches_can_be_dropped_once_none_is_in_flight(make_fixture):
    fixture = make_fixture(in_flight=1, limits=BatchLimits(max_slots=0))
    for _ in range(3):
        for ms in (0, 5000, 9000):
            fixture.seal(b"at %d" % ms, ms=ms, seal=False)
        fixture.spool.seal_all()
    for _ in range(3):
        fixture.accept()
    # The first batch was sent before. The others are cut together, and a request has events of both.
    assert fixture.bodies == [b"at 0\nat 0"]
    assert drop_oldest(fixture) is None
    fixture.accept()
    assert drop_oldest(fixture) is None
    fixture.fail()
    dropped_count = 0
    while (each := drop_oldest(fixture)) is not None:
        dropped_count += each.unacknowledged
    assert (fixture.files, fixture.courier.waiting_events, fixture.courier.waiting_bytes) == ([], 0, 0)
    totals = fixture.ledger.of("a")
    assert (totals.delivered, totals.dropped, dropped_count) == (5, {"spool_full": 4}, 4)


@pytest.mark.parametrize("seed", range(4))
def test_drops_between_requests_are_all_counted(make_fixture, seed):
    rng = random.Random(seed)
    fixture = make_fixture()
    events = []
    for i in range(4):
        events += add_during_outage(fixture, 60, first=60 * i, size=2)
        for _ in range(rng.randrange(1, 10)):
            drop_oldest(fixture)

    def answer(body):
        fixture.courier.tidy()
        if rng.random() < 0.2:
            drop_oldest(fixture)
        if rng.random() < 0.3:
            fixture.fail(0, rng.choice([500, 429, None]))
            return True
        return False

    accepted = drain(fixture, answer)
    dropped_count = fixture.ledger.of("a").dropped["spool_full"]
    assert len(accepted) == len(set(accepted)) == len(events) - dropped_count
    assert dropped_count


def build_budget(fixture, monkeypatch, *, max_size, available=10**9):
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_blocks=10**9, f_frsize=1, f_bavail=available, f_favail=1000)
    )
    disk_budget = build_disk_budget(
        fixture.spool,
        BudgetTerms(max_size, 0),
        members={"a": fixture.courier},
        ledger=fixture.ledger,
        alarms=Alarms(),
        clock=fixture.clock.seconds,
    )
    disk_budget.begin()
    return disk_budget


def build_archive(fixture):
    archive = Archive(
        fixture.spool.directory / ".archive", max_size=10**9, max_age=None, wall=lambda: 1_795_435_200, on_error=print
    )
    fixture.spool.use_archive(archive)
    archive.recover()
    return archive


def test_full_spool_drops_its_oldest_packs(make_fixture, monkeypatch):
    fixture = make_fixture(in_flight=1)
    archive = build_archive(fixture)
    events = add_during_outage(fixture, 400)
    packs_before, disk_before = pack_names(fixture), fixture.courier.waiting_disk
    disk_budget = build_budget(fixture, monkeypatch, max_size=disk_before * 2 // 3)
    assert disk_budget.evicted["a"] == fixture.ledger.of("a").dropped["spool_full"] > 0
    assert len(pack_names(fixture)) < len(packs_before)
    assert fixture.courier.waiting_disk == allocated_bytes(fixture) <= disk_before * 2 // 3
    assert archive.size == 0, "dropped events were not delivered, so they are not archived"
    fixture.check()
    accepted = drain(fixture)
    assert Counter(accepted) <= Counter(events)
    assert len(accepted) == len(events) - disk_budget.evicted["a"]


def test_archive_is_deleted_before_waiting_batches_are_dropped(make_fixture, monkeypatch):
    fixture = make_fixture(in_flight=1)
    archive = build_archive(fixture)
    add_during_outage(fixture, 40)
    drain(fixture)
    assert archive.size >= 40 * 4096
    add_during_outage(fixture, 40, first=100)
    disk_budget = build_budget(fixture, monkeypatch, max_size=10 * 2**20)
    disk_budget.look()
    assert archive.size >= 40 * 4096
    disk_budget = build_budget(fixture, monkeypatch, max_size=2**20 + fixture.courier.waiting_disk)
    disk_budget.look()
    assert archive.size == 0
    assert not disk_budget.evicted
    drain(fixture)


def test_failed_progress_of_a_pack_is_retried_once(make_fixture, monkeypatch):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 300)
    pack = list(fixture.courier._pending.pack_queue._next)[-1]
    read = pack.read(most_batches=64, most_bytes=10**9, sealed=0.0).batches
    unsettled_count = pack.progress.events
    rename = Path.rename

    def fail(path, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", fail)
    fixture.spool.remove(read[:2])
    assert pack.progress.events == unsettled_count
    monkeypatch.setattr(Path, "rename", rename)
    fixture.clock.advance(2)
    fixture.spool.seal_due()
    fixture.clock.advance(2)
    fixture.spool.seal_due()
    assert pack.progress.events == unsettled_count - sum(batch.count for batch in read[:2])


def test_failed_removal_of_a_dropped_pack_is_retried(make_fixture, monkeypatch):
    fixture = make_fixture(in_flight=1)
    add_during_outage(fixture, 500)
    unlink = Path.unlink

    def fail(path, missing_ok=False):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", fail)
    while not isinstance(dropped := drop_oldest(fixture), Pack):
        assert dropped is not None
    assert dropped.path.exists()
    monkeypatch.setattr(Path, "unlink", unlink)
    fixture.clock.advance(2)
    fixture.spool.seal_due()
    assert not dropped.path.exists()
