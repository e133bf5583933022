"""Tests that the sync of a batch does not wait for a FIFO that another program has put in the place of its file."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from bridge.batching import Group
from bridge.spool import Batch
from tests.harness.builders import NOON, build_fsync_policy, build_spool
from tests.harness.polling import DEADLINE_SECONDS


def test_fifo_in_place_of_a_batch_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    errors: list[str] = []
    answers: list[Any] = []
    sealed: list[Batch] = []
    spool = build_spool(tmp_path / "spool")
    spool.subscribe(sealed.append)
    for second in range(2):
        ms = (NOON + second) * 1000
        spool.append(Group("fw", "lines", NOON + second, ms, ms, 1, b"event\n"))
    spool.seal_all()
    sealed[0].path.unlink()
    os.mkfifo(sealed[0].path)
    policy = build_fsync_policy(
        spool.directory, "always", clock=lambda: 100.0, wall=lambda: float(NOON), on_error=errors.append
    )
    for batch in sealed:
        policy.add(batch)
    policy.end_recovery()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(int(DEADLINE_SECONDS))
    try:
        policy.before_sending(sealed, answers.append)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert [answer.strerror for answer in answers] == ["a FIFO, not a regular file"]
    assert [batch.synced for batch in sealed] == [False, True]
    assert len(errors) == 1 and str(sealed[0].path) in errors[0]
    spool.close()
