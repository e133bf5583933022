"""The keeper over a real spool, with a filesystem that says what the test wants."""

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


class Stock:
    """A courier that sends nothing: what waits, waits in order."""

    def __init__(self):
        self.batches = []
        self.in_flight = 0
        self.parked = None

    @property
    def waiting_disk(self):
        return sum(batch.disk for batch in self.batches)

    def drop_oldest(self):
        return self.batches.pop(self.in_flight) if len(self.batches) > self.in_flight else None


class House:
    def __init__(self, directory, monkeypatch, *, names="ab", max_size=MB, min_free=0, pause=False):
        self.steady = 100.0
        self.available = 100 * MB
        self.ledger, self.alarms = Ledger(), Alarms()
        self.stocks = {name: Stock() for name in names}
        self.work = lambda job, done: done(job())
        self.spool = build_spool(
            directory, limits=BatchLimits(max_bytes=16 * 1024), wall=lambda: NOON + self.steady,
            clock=lambda: self.steady, bounds=dict.fromkeys(("refused", "oversize", "damaged", "unrouted"), MB),
        )  # fmt: skip
        self.spool.on_sealed = self.sealed
        self.disk_budget = build_disk_budget(
            self.spool, BudgetTerms(max_size, min_free, pause=pause),
            stocks=self.stocks, ledger=self.ledger, alarms=self.alarms,
            work=self.work, clock=lambda: self.steady,
        )  # fmt: skip
        self.rooms = 0
        self.disk_budget.on_room = self.room
        monkeypatch.setattr(os, "statvfs", self.statvfs)
        self.disk_budget.begin()

    def room(self):
        self.rooms += 1

    def statvfs(self, path):
        return SimpleNamespace(f_blocks=100 * MB, f_frsize=1, f_bavail=self.available, f_favail=1000)

    def sealed(self, batch):
        if batch.intake not in self.stocks:
            self.stocks[batch.intake] = Stock()
            self.stocks[batch.intake].parked = "not in the configuration"
        self.stocks[batch.intake].batches.append(batch)

    def write(self, intake, size=8000):
        """An append as the road makes it; the reason where it is refused."""
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
            for intake in intakes or self.stocks
            for path in (self.spool.directory / intake).glob("*")
        )

    def alarmed(self, kind):
        return sorted(about for found, about in self.alarms.active if found == kind)


@pytest.fixture
def house(tmp_path, monkeypatch):
    made = []

    def make(**given):
        made.append(House(tmp_path / f"spool-{len(made)}", monkeypatch, **given))
        return made[-1]

    yield make
    for one in made:
        assert one.ledger.imbalance == 0
        os.close(one.spool._lock)


def test_the_oldest_of_the_full_intake_go_and_are_counted(house):
    home = house()
    for _ in range(300):
        assert home.write("a") is None
    dropped = home.ledger.of("a").dropped
    assert set(dropped) == {"spool_full"}
    assert dropped["spool_full"] == home.disk_budget.evicted["a"]
    assert home.on_disk() <= MB
    assert home.disk_budget.full == {"a"}
    assert home.alarmed("full") == ["a"]
    oldest = min(batch.sequence for batch in home.stocks["a"].batches)
    assert oldest > (NOON + 100) * MB, "the first are gone"
    assert home.disk_budget.unready() == ["the spool is full"]
    home.stocks["a"].batches.clear()
    home.look()
    assert (home.disk_budget.full, home.disk_budget.unready(), home.alarmed("full")) == (set(), [], [])


def test_who_comes_back_to_its_share_gets_it_from_the_borrower(house):
    home = house()
    for _ in range(200):
        home.write("a")
    for _ in range(50):
        assert home.write("b") is None
    assert not home.ledger.of("b").dropped
    home.look()
    assert home.on_disk() <= MB
    assert home.on_disk("b") >= 50 * 8000


def test_a_parked_intake_has_half_of_what_may_be_lent_and_takes_from_nobody(house):
    home = house(names="abcd")
    home.stocks["a"].parked = "its key is refused"
    for _ in range(300):
        assert home.write("a") is None
    share = MB // 4
    assert home.on_disk("a") <= share + (MB - share) // 2
    assert home.disk_budget.unready() == [], "one parked intake makes no gateway unready"
    for _ in range(60):
        assert home.write("b") is None
    before = dict(home.disk_budget.evicted)
    for _ in range(100):
        home.write("a")
    assert home.disk_budget.evicted["b"] == before.get("b", 0) == 0
    assert home.on_disk() <= MB


def test_what_is_in_flight_is_never_dropped(house):
    home = house(names="a")
    home.stocks["a"].in_flight = 10**6
    reasons = Counter(home.write("a") for _ in range(200))
    assert reasons["spool_full"] > 50
    assert not home.disk_budget.evicted
    assert home.on_disk() <= MB


def test_strangers_are_parked_and_may_be_dropped(house):
    home = house(names="ab")
    for _ in range(100):
        home.write("gone")
    home.look()
    assert home.stocks["gone"].parked
    for _ in range(200):
        assert home.write("a") is None
    assert home.disk_budget.evicted["gone"] > 0


def test_a_pack_of_a_stranger_goes_whole(house):
    home = house(names="a")
    for _ in range(40):
        home.write("gone")
    home.look()
    pack, apart = pack_writer.pack(home.stocks["gone"].batches, home.spool.cannot_remove)
    assert (pack.count, apart) == (40, [])
    assert pack.disk == home.on_disk("gone")
    home.stocks["gone"].batches[:] = [pack]
    pack.disk = MB * 6 // 10
    for _ in range(110):
        assert home.write("a") is None
    assert (home.stocks["gone"].batches, home.disk_budget.evicted["gone"], pack.path.exists()) == ([], 40, False)
    assert home.ledger.of("gone").dropped["spool_full"] == 40


def test_pause_refuses_and_drops_nothing_and_resumes_with_some_room(house):
    home = house(pause=True)
    while home.write("a") is None:
        pass
    home.look()
    assert home.disk_budget.full == {"a"}
    assert not home.disk_budget.evicted
    for _ in range(20):
        assert home.write("b") is None
    held = home.stocks["a"].batches
    del held[:3]
    home.look()
    assert (home.disk_budget.full, home.rooms) == ({"a"}, 0), "a little room is none"
    del held[: len(held) // 2]
    home.look()
    assert (home.disk_budget.full, home.rooms) == (set(), 1)
    assert home.write("a") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_gives_up_the_reserve_and_makes_it_again(house, monkeypatch, number):
    home = house(max_size=100 * MB)
    assert home.disk_budget.reserve.held
    home.write("a")
    monkeypatch.setattr(
        "bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(number, os.strerror(number)))
    )
    home.available = 0
    assert home.write("a") == "disk_full"
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", home.statvfs)
    assert not home.disk_budget.reserve.held
    assert not home.disk_budget.reserve.path.exists()
    assert home.disk_budget.unready() == ["the disk of the spool is full"]
    assert home.alarmed("spool") == ["disk"]
    home.look()
    assert home.write("b") == "disk_full", "what was given up is not for them"
    home.available = 50 * MB
    home.look()
    assert home.disk_budget.reserve.held
    assert home.write("a") is None
    assert (home.disk_budget.unready(), home.alarmed("spool"), home.rooms) == ([], [], 1)


def test_a_neighbour_takes_the_disk_and_the_oldest_make_room(house, monkeypatch):
    home = house(names="a", max_size=100 * MB)
    capacity = 2 * MB

    def free():
        reserve = home.disk_budget.reserve.size if home.disk_budget.reserve.held else 0
        return max(0, capacity - home.on_disk() - reserve)

    def write(descriptor, data, size):
        if free() < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(descriptor, data, size)

    monkeypatch.setattr("bridge.spool.store.write_whole", write)
    monkeypatch.setattr(House, "available", property(lambda home: free(), lambda home, value: None), raising=False)
    home.look()
    for _ in range(100):
        assert home.write("a") is None
    assert not home.disk_budget.evicted
    capacity = home.on_disk() + home.disk_budget.reserve.size
    reasons = Counter(home.write("a") for _ in range(10))
    home.look()
    home.look()
    reasons.update(home.write("a") for _ in range(50))
    assert reasons[None] >= 50, "it goes on, the newest stay"
    lost = home.ledger.of("a").dropped
    assert lost["disk_full"] <= 10
    assert lost["spool_full"] * 8000 <= 60 * 8000 + home.disk_budget.reserve.size + 300_000
    assert home.disk_budget.reserve.held


def test_an_archive_goes_first(house, monkeypatch):
    home = house(max_size=100 * MB)
    shrunk = []

    class Archive:
        disk = 40 * MB

        def shrink(self, size):
            shrunk.append(size)
            return size

    home.disk_budget.archive = Archive()
    home.available = 0
    home.look()
    assert shrunk
    assert not home.disk_budget.evicted


def test_permission_lost_is_said_and_mends_itself(house, monkeypatch):
    home = house()
    home.write("b")
    opened = os.open

    def refused(path, *args, **kwargs):
        if f"{os.sep}a" in str(path)[len(str(home.spool.directory)) :]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    assert home.write("a") == "spool_write_failed"
    assert home.write("b") is None
    home.look()
    assert home.alarmed("spool") == ["intake a"]
    (text,) = home.alarms.active.values()
    assert "Permission denied" in text
    assert str(home.spool.directory) in text
    assert home.disk_budget.unready()
    monkeypatch.setattr(os, "open", opened)
    home.look()
    assert (home.alarms.active, home.disk_budget.unready()) == ({}, [])


def test_warnings_and_a_forecast(house):
    home = house(names="a")
    for _ in range(75):
        home.write("a", 12_000)
        home.look()
    assert home.alarmed("budget") == ["70 %", "90 %"]
    assert any("full in about" in text for text in home.alarms.active.values())
    left = home.disk_budget.report()["full_in_seconds"]
    assert left is not None
    assert left >= 0
    home.stocks["a"].batches.clear()
    home.look()
    assert home.alarmed("budget") == []
