"""Tests the daily quotas: counts, alarm and restart."""

from types import SimpleNamespace

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.storage.quota import Quotas

DAY = 86400
NOON = 1_795_435_200  # 23 November 2026, 12:00 UTC


@pytest.fixture
def scene(tmp_path):
    scene = SimpleNamespace(now=NOON, alarms=Alarms(), a=SimpleNamespace(delivered_bytes=0))

    def make():
        quotas = Quotas(
            tmp_path / ".quota.json", {"a": 1000, "b": None}, deliverers={"a": scene.a}, alarms=scene.alarms,
            wall=lambda: scene.now, work=lambda job, done: done(job()),
        )  # fmt: skip
        quotas.recover()
        return quotas

    scene.make, scene.file = make, tmp_path / ".quota.json"
    return scene


def test_alarm_above_the_quota_ends_with_the_day(scene):
    quotas = scene.make()
    scene.a.delivered_bytes = 1000
    quotas.look()
    assert scene.alarms.active == {}
    scene.a.delivered_bytes = 1001
    quotas.look()
    assert list(scene.alarms.active) == [("quota", "a")]
    assert quotas.report("a") == {"delivered_bytes_today": 1001, "quota_bytes": 1000}
    assert quotas.report("b") == {"delivered_bytes_today": 0, "quota_bytes": None}
    scene.now += DAY // 2
    quotas.look()
    assert scene.alarms.active == {}
    scene.a.delivered_bytes = 1500
    quotas.look()
    assert quotas.report("a")["delivered_bytes_today"] == 499


def test_a_restart_continues_the_counts(scene):
    quotas = scene.make()
    scene.a.delivered_bytes = 700
    quotas.look()
    scene.a.delivered_bytes = 0
    again = scene.make()
    scene.a.delivered_bytes = 400
    again.look()
    assert again.today == {"a": 1100}
    assert list(scene.alarms.active) == [("quota", "a")]
    scene.now += DAY
    assert scene.make().today == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"day": "2026-11-23", "bytes": 3}', "\x00"])
def test_a_damaged_file_is_ignored(scene, text):
    scene.file.write_text(text)
    quotas = scene.make()
    assert quotas.today == {}
    quotas.look()
