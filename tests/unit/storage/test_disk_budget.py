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
from bridge.spool.budget import BudgetTerms
from bridge.spool.quarantine import write_whole
from tests.harness.builders import build_disk_budget, build_spool

NOON = 1_795_435_200
MB = 1_000_000


class WaitingBatches:
    """Courier that sends nothing and keeps its batches in order."""

    def __init__(self):
        self.batches = []
        self.in_flight = 0
        self.parked = None

    @property
    def waiting_disk(self):
        return sum(batch.disk for batch in self.batches)

    def drop_oldest(self):
        return self.batches.pop(self.in_flight) if len(self.batches) > self.in_flight else None


class Scene:
    def __init__(self, directory, monkeypatch, *, names="ab", max_size=MB, min_free=0, pause=False):
        self.steady = 100.0
        self.available = 100 * MB
        self.ledger, self.alarms = Ledger(), Alarms()
        self.members = {name: WaitingBatches() for name in names}
        self.work = lambda job, done: done(job())
        self.spool = build_spool(
            directory, limits=BatchLimits(max_bytes=16 * 1024), wall=lambda: NOON + self.steady,
            clock=lambda: self.steady, bounds=dict.fromkeys(("refused", "oversize", "damaged", "unrouted"), MB),
        )  # fmt: skip
        self.spool.on_sealed = self.sealed
        self.disk_budget = build_disk_budget(
            self.spool, BudgetTerms(max_size, min_free, pause=pause),
            members=self.members, ledger=self.ledger, alarms=self.alarms,
            work=self.work, clock=lambda: self.steady,
        )  # fmt: skip
        self.room_calls = 0
        self.disk_budget.on_room = self.room
        monkeypatch.setattr(os, "statvfs", self.statvfs)
        self.disk_budget.begin()

    def room(self):
        self.room_calls += 1

    def statvfs(self, path):
        return SimpleNamespace(f_blocks=100 * MB, f_frsize=1, f_bavail=self.available, f_favail=1000)

    def sealed(self, batch):
        if batch.intake not in self.members:
            self.members[batch.intake] = WaitingBatches()
            self.members[batch.intake].parked = "not in the configuration"
        self.members[batch.intake].batches.append(batch)

    def write(self, intake, size=8000):
        """Appends as the pipeline does. Returns the reason code if the append is rejected."""
        reason = self.disk_budget.refuses(intake, size)
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
        self.steady += 3
        self.spool.seal_due()
        self.disk_budget.look()

    def on_disk(self, *intakes):
        return sum(
            path.stat().st_blocks * 512
            for intake in intakes or self.members
            for path in (self.spool.directory / intake).glob("*")
        )

    def alarmed(self, kind):
        return sorted(about for found, about in self.alarms.active if found == kind)


@pytest.fixture
def make_scene(tmp_path, monkeypatch):
    made = []

    def make(**given):
        made.append(Scene(tmp_path / f"spool-{len(made)}", monkeypatch, **given))
        return made[-1]

    yield make
    for one in made:
        assert one.ledger.imbalance == 0
        os.close(one.spool._lock)


def test_the_oldest_batches_of_a_full_intake_are_dropped_and_counted(make_scene):
    scene = make_scene()
    for _ in range(300):
        assert scene.write("a") is None
    dropped = scene.ledger.of("a").dropped
    assert set(dropped) == {"spool_full"}
    assert dropped["spool_full"] == scene.disk_budget.evicted["a"]
    assert scene.on_disk() <= MB
    assert scene.disk_budget.full == {"a"}
    assert scene.alarmed("full") == ["a"]
    oldest = min(batch.sequence for batch in scene.members["a"].batches)
    assert oldest > (NOON + 100) * MB, "the first are gone"
    assert scene.disk_budget.unready() == ["the spool is full"]
    scene.members["a"].batches.clear()
    scene.look()
    assert (scene.disk_budget.full, scene.disk_budget.unready(), scene.alarmed("full")) == (set(), [], [])


def test_an_intake_reclaims_its_share_from_a_borrower(make_scene):
    scene = make_scene()
    for _ in range(200):
        scene.write("a")
    for _ in range(50):
        assert scene.write("b") is None
    assert not scene.ledger.of("b").dropped
    scene.look()
    assert scene.on_disk() <= MB
    assert scene.on_disk("b") >= 50 * 8000


def test_a_parked_intake_may_borrow_half_and_evicts_no_other_intake(make_scene):
    scene = make_scene(names="abcd")
    scene.members["a"].parked = "its key is refused"
    for _ in range(300):
        assert scene.write("a") is None
    share = MB // 4
    assert scene.on_disk("a") <= share + (MB - share) // 2
    assert scene.disk_budget.unready() == [], "one parked intake does not make the gateway unready"
    for _ in range(60):
        assert scene.write("b") is None
    before = dict(scene.disk_budget.evicted)
    for _ in range(100):
        scene.write("a")
    assert scene.disk_budget.evicted["b"] == before.get("b", 0) == 0
    assert scene.on_disk() <= MB


def test_batches_in_flight_are_never_dropped(make_scene):
    scene = make_scene(names="a")
    scene.members["a"].in_flight = 10**6
    reasons = Counter(scene.write("a") for _ in range(200))
    assert reasons["spool_full"] > 50
    assert not scene.disk_budget.evicted
    assert scene.on_disk() <= MB


def test_batches_of_removed_intakes_may_be_dropped(make_scene):
    scene = make_scene(names="ab")
    for _ in range(100):
        scene.write("gone")
    scene.look()
    assert scene.members["gone"].parked
    for _ in range(200):
        assert scene.write("a") is None
    assert scene.disk_budget.evicted["gone"] > 0


def test_a_pack_of_a_removed_intake_is_dropped_whole(make_scene):
    scene = make_scene(names="a")
    for _ in range(40):
        scene.write("gone")
    scene.look()
    pack, apart = pack_writer.pack(scene.members["gone"].batches, scene.spool.cannot_remove)
    assert (pack.count, apart) == (40, [])
    assert pack.disk == scene.on_disk("gone")
    scene.members["gone"].batches[:] = [pack]
    pack.disk = MB * 6 // 10
    for _ in range(110):
        assert scene.write("a") is None
    assert (scene.members["gone"].batches, scene.disk_budget.evicted["gone"], pack.path.exists()) == ([], 40, False)
    assert scene.ledger.of("gone").dropped["spool_full"] == 40


def test_pause_drops_nothing_and_resumes_with_some_room(make_scene):
    scene = make_scene(pause=True)
    while scene.write("a") is None:
        pass
    scene.look()
    assert scene.disk_budget.full == {"a"}
    assert not scene.disk_budget.evicted
    for _ in range(20):
        assert scene.write("b") is None
    held = scene.members["a"].batches
    del held[:3]
    scene.look()
    assert (scene.disk_budget.full, scene.room_calls) == ({"a"}, 0), "a little room is not enough"
    del held[: len(held) // 2]
    scene.look()
    assert (scene.disk_budget.full, scene.room_calls) == (set(), 1)
    assert scene.write("a") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_deletes_the_reserve_and_creates_it_again(make_scene, monkeypatch, number):
    scene = make_scene(max_size=100 * MB)
    assert scene.disk_budget.reserve.held
    scene.write("a")
    monkeypatch.setattr(
        "bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(number, os.strerror(number)))
    )
    scene.available = 0
    assert scene.write("a") == "disk_full"
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", scene.statvfs)
    assert not scene.disk_budget.reserve.held
    assert not scene.disk_budget.reserve.path.exists()
    assert scene.disk_budget.unready() == ["the disk of the spool is full"]
    assert scene.alarmed("spool") == ["disk"]
    scene.look()
    assert scene.write("b") == "disk_full", "the space of the reserve is not for new events"
    scene.available = 50 * MB
    scene.look()
    assert scene.disk_budget.reserve.held
    assert scene.write("a") is None
    assert (scene.disk_budget.unready(), scene.alarmed("spool"), scene.room_calls) == ([], [], 1)


def test_the_oldest_batches_make_room_when_another_program_fills_the_disk(make_scene, monkeypatch):
    scene = make_scene(names="a", max_size=100 * MB)
    capacity = 2 * MB

    def free():
        reserve = scene.disk_budget.reserve.size if scene.disk_budget.reserve.held else 0
        return max(0, capacity - scene.on_disk() - reserve)

    def write(descriptor, data, size):
        if free() < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(descriptor, data, size)

    monkeypatch.setattr("bridge.spool.store.write_whole", write)
    monkeypatch.setattr(Scene, "available", property(lambda scene: free(), lambda scene, value: None), raising=False)
    scene.look()
    for _ in range(100):
        assert scene.write("a") is None
    assert not scene.disk_budget.evicted
    capacity = scene.on_disk() + scene.disk_budget.reserve.size
    reasons = Counter(scene.write("a") for _ in range(10))
    scene.look()
    scene.look()
    reasons.update(scene.write("a") for _ in range(50))
    assert reasons[None] >= 50, "the newest events are kept"
    dropped = scene.ledger.of("a").dropped
    assert dropped["disk_full"] <= 10
    assert dropped["spool_full"] * 8000 <= 60 * 8000 + scene.disk_budget.reserve.size + 300_000
    assert scene.disk_budget.reserve.held


def test_the_archive_is_deleted_first(make_scene, monkeypatch):
    scene = make_scene(max_size=100 * MB)
    shrunk = []

    class Archive:
        disk = 40 * MB

        def shrink(self, size):
            shrunk.append(size)
            return size

    scene.disk_budget.archive = Archive()
    scene.available = 0
    scene.look()
    assert shrunk
    assert not scene.disk_budget.evicted


def test_a_permission_error_raises_an_alarm_until_it_is_fixed(make_scene, monkeypatch):
    scene = make_scene()
    scene.write("b")
    real_open = os.open

    def refused(path, *args, **kwargs):
        if f"{os.sep}a" in str(path)[len(str(scene.spool.directory)) :]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    assert scene.write("a") == "spool_write_failed"
    assert scene.write("b") is None
    scene.look()
    assert scene.alarmed("spool") == ["intake a"]
    (text,) = scene.alarms.active.values()
    assert "Permission denied" in text
    assert str(scene.spool.directory) in text
    assert scene.disk_budget.unready()
    monkeypatch.setattr(os, "open", real_open)
    scene.look()
    assert (scene.alarms.active, scene.disk_budget.unready()) == ({}, [])


def test_budget_alarms_have_a_forecast(make_scene):
    scene = make_scene(names="a")
    for _ in range(75):
        scene.write("a", 12_000)
        scene.look()
    assert scene.alarmed("budget") == ["70 %", "90 %"]
    assert any("full in about" in text for text in scene.alarms.active.values())
    left = scene.disk_budget.report()["full_in_seconds"]
    assert left is not None
    assert left >= 0
    scene.members["a"].batches.clear()
    scene.look()
    assert scene.alarmed("budget") == []
