"""Tests that room which a request has reserved is not given to others before the request is written."""

import pytest

from bridge.spool.budget import RESERVED, Full
from tests.unit.storage.test_disk_budget import MB, BudgetFixture


@pytest.fixture
def fixture(tmp_path, monkeypatch):
    return BudgetFixture(tmp_path / "spool", monkeypatch, pause=True)


def written(fixture):
    """Writes until the intake is full. Returns the number of writes."""
    count = 0
    while fixture.write("a") is None:
        count += 1
    return count


def test_held_room_counts_as_used_until_it_is_released(tmp_path, monkeypatch):
    without_hold = written(BudgetFixture(tmp_path / "free", monkeypatch, pause=True))
    fixture = BudgetFixture(tmp_path / "held", monkeypatch, pause=True)
    size = MB // 4
    assert fixture.disk_budget.reserve_all({"a": size}) is RESERVED
    fixture.disk_budget.hold({"a": size})
    fixture.look()
    with_hold = written(fixture)
    assert 0 < with_hold < without_hold - size // 8000 // 2
    assert fixture.disk_budget.reserve("a", 8000) == Full("spool_full")
    fixture.disk_budget.release({"a": size})
    fixture.look()
    assert with_hold + written(fixture) >= without_hold - 2


def test_release_of_what_was_written_in_parts_leaves_nothing(fixture):
    fixture.disk_budget.hold({"a": 100, "b": 50})
    for part in ({"a": 60}, {"a": 40}, {"b": 50}):
        fixture.disk_budget.release(part)
    assert not +fixture.disk_budget._held


def test_held_room_is_not_reported_as_used(fixture):
    fixture.write("a")
    fixture.look()
    used = fixture.disk_budget.report()["bytes"]
    assert used > 0
    fixture.disk_budget.hold({"a": 95 * MB // 100})
    for _ in range(5):
        fixture.look()
        fixture.monotonic += 60
    assert fixture.disk_budget.report()["bytes"] == used
    assert fixture.disk_budget.time_to_full.spool > 3600
    assert not [kind for kind, _ in fixture.alarms.active if kind == "budget"]
    assert fixture.disk_budget.full
    assert fixture.disk_budget.unready() == ["the spool is full"]
