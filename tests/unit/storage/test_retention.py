"""Tests that expired quarantine leaves the ledger in the reactor turn in which its file is deleted."""

import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bridge.accounting import Ledger
from bridge.spool.quarantine import REASONS, Quarantine
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.storage.retention import Retention

DAY = 86_400.0
NOON = 1_795_435_200.0


def build_retention(tmp_path, **options):
    clock = SimpleNamespace(now=NOON)
    quarantine = Quarantine(tmp_path / "q", wall=lambda: clock.now, bounds=dict.fromkeys(REASONS, 1_000_000))
    quarantine.recover()
    ledger = Ledger()
    terms = SimpleNamespace(max_age=SimpleNamespace(total_seconds=lambda: 30 * DAY))
    config = SimpleNamespace(unrouted=SimpleNamespace(limits=terms), spool=SimpleNamespace(quarantine=terms))
    retention = Retention(
        config, SimpleNamespace(quarantine=quarantine), ledger, lambda job, done: done(job()), **options
    )
    return clock, quarantine, ledger, retention


def test_quarantined_batch_is_dropped_with_its_file(tmp_path):
    clock, quarantine, ledger, retention = build_retention(tmp_path)
    ledger.receive_spooled("a", 7)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "torn").write_bytes(b"x" * 70)
    quarantined_file = quarantine.move_aside(tmp_path / "a" / "torn", events=7)
    ledger.quarantine("a", 7)
    retention.look()
    assert (quarantined_file.exists(), ledger.total().quarantined) == (True, 7)
    clock.now += 31 * DAY
    retention.look()
    total = ledger.total()
    assert (quarantined_file.exists(), total.quarantined, dict(total.dropped)) == (False, 0, {"damaged_expired": 7})
    assert ledger.of("a").dropped["damaged_expired"] == 7


def test_expired_frames_are_dropped_with_their_reason(tmp_path):
    clock, quarantine, ledger, retention = build_retention(tmp_path)
    for reason in REASONS:
        key = (1, 0) if reason == "refused" else None
        quarantine.add(
            reason, [QuarantineEntry(int(clock.now * 1000), "udp", "192.0.2.1", b"<13>x", "because", key=key)]
        )
        ledger.receive_quarantined(None, 1)
    quarantine.close()
    quarantine.recover()
    clock.now = max(path.stat().st_mtime for path in tmp_path.rglob("*.jsonl")) + 31 * DAY
    retention.look()
    total = ledger.total()
    assert total.quarantined == 0
    assert dict(total.dropped) == {f"{reason}_expired": 1 for reason in REASONS}


def add_to_each(quarantine, clock):
    for reason in REASONS:
        key = (int(clock.now), 0) if reason == "refused" else None
        quarantine.add(
            reason, [QuarantineEntry(int(clock.now * 1000), "udp", "192.0.2.1", b"<13>x", "because", key=key)]
        )
    quarantine.close()
    quarantine.recover()
    for path in quarantine.directory.rglob("*.jsonl"):
        os.utime(path, (clock.now, clock.now))


def test_nothing_expires_while_the_clock_may_be_wrong(tmp_path):
    settled = [False]
    clock, quarantine, ledger, retention = build_retention(tmp_path, settled=lambda: settled[0])
    add_to_each(quarantine, clock)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "torn").write_bytes(b"x")
    damaged = quarantine.move_aside(tmp_path / "a" / "torn", events=1)
    ledger.quarantine("a", 1)
    ledger.receive_quarantined(None, len(REASONS))
    clock.now += 3650 * DAY
    retention.look()
    assert (ledger.total().dropped.total(), damaged.exists()) == (0, True)
    settled[0] = True
    retention.look()
    assert (ledger.total().quarantined, damaged.exists()) == (0, False)


@pytest.mark.parametrize("year", [2000, 2036])
def test_frames_of_a_clock_that_was_wrong_expire_after_their_age_from_now(tmp_path, year):
    clock, quarantine, ledger, retention = build_retention(tmp_path)
    clock.now = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    add_to_each(quarantine, clock)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "torn").write_bytes(b"x")
    quarantine.move_aside(tmp_path / "a" / "torn", events=1)
    ledger.quarantine("a", 1)
    ledger.receive_quarantined(None, len(REASONS))
    clock.now = NOON
    retention.look()
    kept = len(REASONS) + (year > 2026)
    assert ledger.total().quarantined == kept
    clock.now += 29 * DAY
    retention.look()
    assert ledger.total().quarantined == kept
    clock.now += 2 * DAY
    retention.look()
    assert ledger.total().quarantined == 0
