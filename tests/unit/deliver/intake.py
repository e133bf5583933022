"""Provides one intake's pending batches over a real spool, for tests of settling and loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.pending import PendingBatches
from bridge.monitoring.alarms import Alarms
from bridge.spool import Batch, Pack, Piece, pack_writer
from tests.harness.builders import NOON, build_delivery_context, build_request_limits, build_spool


class IntakeFixture:
    """Provides the intake `fw`, and records what its store receives."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.ledger = Clock(), Ledger()
        self.alarm_sink = Alarms(clock=self.clock.seconds)
        self.acknowledged: list[Batch] = []
        self.receipts: list[Any] = []
        self.refused: list[bytes | None] = []
        self.evidence: list[bytes] = []
        self.kept_disk: dict[str, int] = {}
        self.quarantined: list[Batch] = []
        self.spool = build_spool(directory, wall=lambda: NOON + self.clock.seconds(), clock=self.clock.seconds)
        self.context = build_delivery_context(
            self.clock, store=self, ledger=self.ledger, alarms=self.alarm_sink,
            dispatcher=Dispatcher(self.clock, connections=8, rate=None),
        )  # fmt: skip
        self.errors: list[str] = []
        self.pending = PendingBatches(
            "fw", build_request_limits(), context=self.context, failed=self.errors.append, changed=lambda: None,
            emptied=lambda: None,
        )  # fmt: skip
        self.spool.subscribe(self.pending.add)

    @property
    def alarms(self) -> dict[tuple[str, str], str]:
        """Returns the texts of the active alarms."""
        return self.alarm_sink.active

    def add(self, *events: bytes, second: int = 0) -> Batch:
        """Seals one batch of these events, and adds it."""
        ms = (NOON + second) * 1000
        self.spool.append(Group("fw", "lines", ms // 1000, ms, ms, len(events), b"".join(e + b"\n" for e in events)))
        self.ledger.receive_spooled("fw", len(events))
        self.spool.seal_all()
        return max(self.pending.batches, key=lambda batch: batch.sequence)

    def take(self) -> list[Piece]:
        """Takes the pieces of the next request."""
        return self.pending.send_queue.take(self.clock.seconds(), width_ms=1000, max_events=100, max_bytes=10_000)

    def check(self) -> None:
        """Compares the pending amounts with the ledger."""
        assert self.ledger.imbalance == 0
        assert self.pending.events == self.ledger.of("fw").spooled

    # The interface of the store.
    def acknowledge(self, batches: list[Batch], receipt: Any) -> None:
        self.acknowledged += batches
        self.receipts.append(receipt)

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        self.refused += [piece.lines for piece, _ in refused]
        self.acknowledged += settled

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        self.evidence.append(body)

    def quarantine_batch(self, batch: Batch, why: str) -> None:
        self.quarantined.append(batch)

    def pack(self, batches: list[Batch]) -> Any:
        return pack_writer.pack(batches, self.spool.removals.failed)

    def merge(self, packs: list[Pack]) -> Any:
        return pack_writer.merge(packs, self.spool.on_error)
