"""Tests the disk budget over a real spool, with a simulated filesystem."""

import errno
import os
from collections import Counter
from types import SimpleNamespace

import pytest

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.monitoring.alarms import Alarms
from bridge.spool import BatchLimits, pack_writer
from bridge.spool.budget import RESERVED, BudgetTerms, Full
from bridge.storage.full_intakes import ENDS_AFTER as FULL_ENDS_AFTER
from bridge.util.files import write_whole
from tests.harness.builders import build_disk_budget, build_spool

NOON = 1_795_435_200
MB = 1_000_000


class WaitingBatches:
    """Stands in for a courier that sends nothing and keeps its batches in order."""

    def __init__(self):
        self.batches = []
        self.in_flight = 0
        self.parked = None

    @property
    def waiting_disk(self):
        return sum(batch.disk for batch in self.batches)

    def drop_oldest(self):
        return self.batches.pop(self.in_flight) if len(self.batches) > self.in_flight else None


class BudgetFixture:
    """A disk budget over a real spool, with a simulated clock and a simulated size of the disk."""

    def __init__(self, directory, monkeypatch, *, names="ab", max_size=MB, min_free=0, pause=False):
        self.monotonic = 100.0
        self.available = 100 * MB
        self.ledger, self.alarms = Ledger(), Alarms()
        self.members = {name: WaitingBatches() for name in names}
        self.work = lambda job, done: done(job())
        self.spool = build_spool(
            directory, limits=BatchLimits(max_bytes=16 * 1024), wall=lambda: NOON + self.monotonic,
            clock=lambda: self.monotonic, bounds=dict.fromkeys(("refused", "oversize", "damaged", "unrouted"), MB),
        )  # fmt: skip
        self.spool.subscribe(self.add_sealed_batch)
        self.disk_budget = build_disk_budget(
            self.spool, BudgetTerms(max_size, min_free, pause=pause),
            members=self.members, ledger=self.ledger, alarms=self.alarms,
            work=self.work, clock=lambda: self.monotonic,
        )  # fmt: skip
        self.room_calls = 0
        self.disk_budget.subscribe(self.count_room_call)
        monkeypatch.setattr(os, "statvfs", self.statvfs)
        self.disk_budget.begin()

    def count_room_call(self):
        self.room_calls += 1

    def statvfs(self, path):
        return SimpleNamespace(f_blocks=100 * MB, f_frsize=1, f_bavail=self.available, f_favail=1000)

    def add_sealed_batch(self, batch):
        if batch.intake not in self.members:
            self.members[batch.intake] = WaitingBatches()
            self.members[batch.intake].parked = "not in the configuration"
        self.members[batch.intake].batches.append(batch)

    def write(self, intake, size=8000):
        """Appends as the pipeline does. Returns the reason code if the append is rejected."""
        room = self.disk_budget.reserve(intake, size)
        reason = room.reason if isinstance(room, Full) else None
        if reason is None:
            try:
                self.spool.append(Group(intake, "lines", 1, NOON * 1000, NOON * 1000, 1, b"x" * (size - 1) + b"\n"))
            except OSError as error:
                reason = self.disk_budget.failed(intake, error)
            else:
                self.ledger.receive_spooled(intake, 1)
        if reason is not None:
            self.ledger.receive_dropped(intake, 1, reason)
        return reason

    def look(self):
        self.monotonic += 3
        self.spool.seal_due()
        self.disk_budget.look()

    def on_disk(self, *intakes):
        return sum(
            path.stat().st_blocks * 512
            for intake in intakes or self.members
            for path in (self.spool.directory / intake).glob("*")
        )

    def active_alarms(self, kind):
        return sorted(about for found, about in self.alarms.active if found == kind)


@pytest.fixture
def make_fixture(tmp_path, monkeypatch):
    made = []

    def make(**options):
        made.append(BudgetFixture(tmp_path / f"spool-{len(made)}", monkeypatch, **options))
        return made[-1]

    yield make
    for fixture in made:
        assert fixture.ledger.imbalance == 0
        fixture.spool._lock.release()


def test_oldest_batches_of_a_full_intake_are_dropped_and_counted(make_fixture):
    fixture = make_fixture()
    for _ in range(300):
        assert fixture.write("a") is None
    dropped = fixture.ledger.of("a").dropped
    assert set(dropped) == {"spool_full"}
    assert dropped["spool_full"] == fixture.disk_budget.evicted["a"]
    assert fixture.on_disk() <= MB
    assert fixture.disk_budget.full == {"a"}
    assert fixture.active_alarms("full") == ["a"]
    left = fixture.disk_budget.time_to_full
    assert (left.spool, left.intakes) == (0.0, {"a": 0.0}), "it is full, although dropping makes a little room"
    oldest = min(batch.sequence for batch in fixture.members["a"].batches)
    assert oldest > (NOON + 100) * MB, "the oldest batches were dropped"
    assert fixture.disk_budget.unready() == ["the spool is full"]
    fixture.members["a"].batches.clear()
    fixture.look()
    assert (fixture.disk_budget.full, fixture.disk_budget.unready()) == (set(), [])
    assert fixture.active_alarms("full") == ["a"], "an intake at its limit has room for moments only"
    fixture.monotonic += FULL_ENDS_AFTER
    fixture.look()
    assert fixture.active_alarms("full") == []


def test_intake_reclaims_its_share_from_a_borrower(make_fixture):
    fixture = make_fixture()
    for _ in range(200):
        fixture.write("a")
    for _ in range(50):
        assert fixture.write("b") is None
    assert not fixture.ledger.of("b").dropped
    fixture.look()
    assert fixture.on_disk() <= MB
    assert fixture.on_disk("b") >= 50 * 8000


def test_parked_intake_borrows_at_most_half_and_evicts_no_other_intake(make_fixture):
    fixture = make_fixture(names="abcd")
    fixture.members["a"].parked = "its key is refused"
    for _ in range(300):
        assert fixture.write("a") is None
    share = MB // 4
    assert fixture.on_disk("a") <= share + (MB - share) // 2
    assert fixture.disk_budget.unready() == [], "one parked intake does not make the gateway unready"
    for _ in range(60):
        assert fixture.write("b") is None
    before = dict(fixture.disk_budget.evicted)
    for _ in range(100):
        fixture.write("a")
    assert fixture.disk_budget.evicted["b"] == before.get("b", 0) == 0
    assert fixture.on_disk() <= MB


def test_batches_in_flight_are_never_dropped(make_fixture):
    fixture = make_fixture(names="a")
    fixture.members["a"].in_flight = 10**6
    reasons = Counter(fixture.write("a") for _ in range(200))
    assert reasons["spool_full"] > 50
    assert not fixture.disk_budget.evicted
    assert fixture.on_disk() <= MB


def test_batches_of_removed_intakes_may_be_dropped(make_fixture):
    fixture = make_fixture(names="ab")
    for _ in range(100):
        fixture.write("gone")
    fixture.look()
    assert fixture.members["gone"].parked
    for _ in range(200):
        assert fixture.write("a") is None
    assert fixture.disk_budget.evicted["gone"] > 0


def test_pack_of_a_removed_intake_is_dropped_whole(make_fixture):
    fixture = make_fixture(names="a")
    for _ in range(40):
        fixture.write("gone")
    fixture.look()
    pack, damaged = pack_writer.pack(fixture.members["gone"].batches, fixture.spool.removals.failed)
    assert (pack.count, damaged) == (40, [])
    assert pack.disk == fixture.on_disk("gone")
    fixture.members["gone"].batches[:] = [pack]
    pack.disk = MB * 6 // 10
    for _ in range(110):
        assert fixture.write("a") is None
    assert (fixture.members["gone"].batches, fixture.disk_budget.evicted["gone"], pack.path.exists()) == ([], 40, False)
    assert fixture.ledger.of("gone").dropped["spool_full"] == 40


def test_pause_drops_nothing_and_resumes_with_some_room(make_fixture):
    fixture = make_fixture(pause=True)
    while fixture.write("a") is None:
        pass
    fixture.look()
    assert fixture.disk_budget.full == {"a"}
    assert not fixture.disk_budget.evicted
    for _ in range(20):
        assert fixture.write("b") is None
    held = fixture.members["a"].batches
    del held[:3]
    fixture.look()
    assert (fixture.disk_budget.full, fixture.room_calls) == ({"a"}, 0), "a little room is not enough"
    del held[: len(held) // 2]
    fixture.look()
    assert (fixture.disk_budget.full, fixture.room_calls) == (set(), 1)
    assert fixture.write("a") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_releases_the_reserve_until_there_is_space(make_fixture, monkeypatch, number):
    fixture = make_fixture(max_size=100 * MB)
    assert fixture.disk_budget.reserve_file.held
    fixture.write("a")
    monkeypatch.setattr(
        "bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(number, os.strerror(number)))
    )
    fixture.available = 0
    assert fixture.write("a") == "disk_full"
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", fixture.statvfs)
    assert not fixture.disk_budget.reserve_file.held
    assert not fixture.disk_budget.reserve_file.path.exists()
    assert fixture.disk_budget.unready() == ["the disk of the spool is full"]
    assert fixture.active_alarms("spool") == ["disk"]
    fixture.look()
    assert fixture.write("b") == "disk_full", "the space of the reserve is not for new events"
    fixture.available = 50 * MB
    fixture.look()
    assert fixture.disk_budget.reserve_file.held
    assert fixture.write("a") is None
    assert (fixture.disk_budget.unready(), fixture.active_alarms("spool"), fixture.room_calls) == ([], [], 1)


def test_oldest_batches_are_dropped_when_another_program_fills_the_disk(make_fixture, monkeypatch):
    fixture = make_fixture(names="a", max_size=100 * MB)
    capacity = 2 * MB

    def free():
        reserve = fixture.disk_budget.reserve_file.size if fixture.disk_budget.reserve_file.held else 0
        return max(0, capacity - fixture.on_disk() - reserve)

    def write(descriptor, data, size):
        if free() < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(descriptor, data, size)

    monkeypatch.setattr("bridge.spool.store.write_whole", write)
    monkeypatch.setattr(
        BudgetFixture, "available", property(lambda fixture: free(), lambda fixture, value: None), raising=False
    )
    fixture.look()
    for _ in range(100):
        assert fixture.write("a") is None
    assert not fixture.disk_budget.evicted
    capacity = fixture.on_disk() + fixture.disk_budget.reserve_file.size
    reasons = Counter(fixture.write("a") for _ in range(10))
    fixture.look()
    fixture.look()
    reasons.update(fixture.write("a") for _ in range(50))
    assert reasons[None] >= 50, "the newest events are kept"
    dropped = fixture.ledger.of("a").dropped
    assert dropped["disk_full"] <= 10
    assert dropped["spool_full"] * 8000 <= 60 * 8000 + fixture.disk_budget.reserve_file.size + 300_000
    assert fixture.disk_budget.reserve_file.held


def test_archive_is_deleted_before_batches_are_dropped(make_fixture, monkeypatch):
    fixture = make_fixture(max_size=100 * MB)
    shrunk = []

    class Archive:
        size = 40 * MB

        def shrink(self, to):
            shrunk.append(to)
            return self.size - to

    fixture.spool.archive = Archive()
    fixture.available = 0
    fixture.look()
    assert shrunk
    assert not fixture.disk_budget.evicted


def test_permission_error_raises_an_alarm_until_it_is_fixed(make_fixture, monkeypatch):
    fixture = make_fixture()
    fixture.write("b")
    real_open = os.open

    def refused(path, *args, **kwargs):
        if f"{os.sep}a" in str(path)[len(str(fixture.spool.directory)) :]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    assert fixture.write("a") == "spool_write_failed"
    assert fixture.write("b") is None
    fixture.look()
    assert fixture.active_alarms("spool") == ["intake a"]
    (text,) = fixture.alarms.active.values()
    assert "Permission denied" in text
    assert str(fixture.spool.directory) in text
    assert fixture.disk_budget.unready()
    monkeypatch.setattr(os, "open", real_open)
    fixture.look()
    assert (fixture.alarms.active, fixture.disk_budget.unready()) == ({}, [])


def test_request_is_refused_as_a_whole_for_an_intake_that_is_full_or_cannot_be_written(make_fixture, monkeypatch):
    fixture = make_fixture(pause=True)
    assert fixture.disk_budget.reserve_all({"a": 100, "b": 200}) is RESERVED
    while fixture.write("a") is None:
        pass
    assert fixture.disk_budget.reserve_all({"b": 100, "a": 100}) == Full("spool_full")
    assert fixture.disk_budget.reserve_all({"b": 100}) is RESERVED
    assert fixture.disk_budget.reserve_all({}) is RESERVED
    monkeypatch.setattr(
        "bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error"))
    )
    assert fixture.write("b") == "spool_write_failed"
    assert fixture.disk_budget.reserve_all({"b": 100}) == Full("spool_write_failed")
    assert fixture.disk_budget.reserve("b", 100) is RESERVED, "a read is tried again each time"
    fixture.look()
    assert fixture.disk_budget.reserve_all({"b": 100}) is RESERVED


def test_budget_alarms_have_a_forecast(make_fixture):
    fixture = make_fixture(names="a")
    for _ in range(75):
        fixture.write("a", 12_000)
        fixture.look()
    assert fixture.active_alarms("budget") == ["70 %", "90 %"]
    assert any("full in about" in text for text in fixture.alarms.active.values())
    seconds_left = fixture.disk_budget.report()["full_in_seconds"]
    assert seconds_left is not None
    assert seconds_left >= 0
    fixture.members["a"].batches.clear()
    fixture.look()
    assert fixture.active_alarms("budget") == []
