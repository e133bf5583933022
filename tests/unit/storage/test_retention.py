"""Tests that expired quarantine leaves the ledger in the reactor turn in which its file is deleted."""

from types import SimpleNamespace

from bridge.accounting import Ledger
from bridge.spool.quarantine import REASONS, Quarantine
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.storage.retention import Retention

DAY = 86_400.0
NOON = 1_795_435_200.0


def build_retention(tmp_path):
    clock = SimpleNamespace(now=NOON)
    quarantine = Quarantine(tmp_path / "q", wall=lambda: clock.now, bounds=dict.fromkeys(REASONS, 1_000_000))
    quarantine.recover()
    ledger = Ledger()
    terms = SimpleNamespace(max_age=SimpleNamespace(total_seconds=lambda: 30 * DAY))
    config = SimpleNamespace(unrouted=SimpleNamespace(limits=terms), spool=SimpleNamespace(quarantine=terms))
    retention = Retention(config, SimpleNamespace(quarantine=quarantine), ledger, lambda job, done: done(job()))
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
