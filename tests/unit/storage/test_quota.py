"""Tests the daily quotas: counts, alarm and restart."""

from types import SimpleNamespace

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.storage.quota import Quotas

DAY = 86400
NOON = 1_795_435_200  # 23 November 2026, 12:00 UTC


@pytest.fixture
def fixture(tmp_path):
    fixture = SimpleNamespace(now=NOON, alarms=Alarms(), a=SimpleNamespace(delivered_bytes=0))

    def make():
        quotas = Quotas(
            tmp_path / ".quota.json", {"a": 1000, "b": None}, deliverers={"a": fixture.a}, alarms=fixture.alarms,
            wall=lambda: fixture.now, work=lambda job, done: done(job()),
        )  # fmt: skip
        quotas.recover()
        return quotas

    fixture.make, fixture.file = make, tmp_path / ".quota.json"
    return fixture


def test_counts_that_could_not_be_saved_are_saved_later(fixture):
    quotas = fixture.make()
    fixture.a.delivered_bytes = 500
    temporary = fixture.file.with_name("..quota.json.new")
    temporary.mkdir()
    quotas.look()
    assert not fixture.file.exists()
    temporary.rmdir()
    quotas.look()
    assert fixture.make().report("a")["delivered_bytes_today"] == 500


def test_alarm_above_the_quota_ends_with_the_day(fixture):
    quotas = fixture.make()
    fixture.a.delivered_bytes = 1000
    quotas.look()
    assert fixture.alarms.active == {}
    fixture.a.delivered_bytes = 1001
    quotas.look()
    assert list(fixture.alarms.active) == [("quota", "a")]
    assert quotas.report("a") == {"delivered_bytes_today": 1001, "quota_bytes": 1000}
    assert quotas.report("b") == {"delivered_bytes_today": 0, "quota_bytes": None}
    fixture.now += DAY // 2
    quotas.look()
    assert fixture.alarms.active == {}
    fixture.a.delivered_bytes = 1500
    quotas.look()
    assert quotas.report("a")["delivered_bytes_today"] == 499


def test_restart_continues_the_counts(fixture):
    quotas = fixture.make()
    fixture.a.delivered_bytes = 700
    quotas.look()
    fixture.a.delivered_bytes = 0
    reopened = fixture.make()
    fixture.a.delivered_bytes = 400
    reopened.look()
    assert reopened.today == {"a": 1100}
    assert list(fixture.alarms.active) == [("quota", "a")]
    fixture.now += DAY
    assert fixture.make().today == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"day": "2026-11-23", "bytes": 3}', "\x00"])
def test_damaged_quota_file_is_ignored(fixture, text):
    fixture.file.write_text(text)
    quotas = fixture.make()
    assert quotas.today == {}
    quotas.look()


def test_clock_on_another_day_for_a_moment_keeps_the_counts(fixture):
    quotas = fixture.make()
    fixture.a.delivered_bytes = 1001
    quotas.look()
    for step in (3650 * DAY, -3650 * DAY):
        fixture.now += step
        quotas.look()
        assert quotas.report("a")["delivered_bytes_today"] == (0 if step > 0 else 1001)
    assert list(fixture.alarms.active) == [("quota", "a")]
