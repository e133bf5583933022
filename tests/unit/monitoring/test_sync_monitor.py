"""Tests when a slow disk raises an alarm: after three slow checks, cleared after three fast ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.sync_monitor import SyncMonitor
from tests.harness.builders import build_fsync_policy


class SyncFixture:
    def __init__(self, directory: Path) -> None:
        self.now = 0.0
        self.alarms = Alarms()
        self.monitor = SyncMonitor(build_fsync_policy(directory), self.alarms, lambda: self.now)

    def commit(self, seconds: float) -> None:
        self.monitor.began()
        self.now += seconds
        self.monitor.ended()

    @property
    def raised(self) -> bool:
        return ("sync", "disk") in self.alarms.active


@pytest.fixture
def syncs(tmp_path: Path) -> SyncFixture:
    return SyncFixture(tmp_path)


def test_slow_commits_raise_an_alarm_that_ends_when_they_are_fast(syncs: SyncFixture) -> None:
    for _ in range(2):
        syncs.commit(1.5)
        syncs.monitor.look()
    assert not syncs.raised
    syncs.commit(1.5)
    syncs.monitor.look()
    assert "takes 1.5 s" in syncs.alarms.active["sync", "disk"]
    for _ in range(3):
        assert syncs.raised
        syncs.commit(0.01)
        syncs.monitor.look()
    assert not syncs.raised


def test_single_slow_commit_is_no_alarm(syncs: SyncFixture) -> None:
    for seconds in (3.0, 0.01, 3.0, 0.01, 3.0):
        syncs.commit(seconds)
        syncs.monitor.look()
    assert not syncs.raised


def test_commit_that_does_not_end_raises_an_alarm(syncs: SyncFixture) -> None:
    syncs.monitor.began()
    for _ in range(3):
        syncs.now += 10
        syncs.monitor.look()
    assert syncs.raised


def test_no_acknowledged_senders_is_no_alarm(syncs: SyncFixture) -> None:
    for _ in range(5):
        syncs.monitor.look()
    assert not syncs.raised
    assert syncs.monitor.commits.count == 0
