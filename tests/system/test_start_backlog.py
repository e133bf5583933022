"""Tests a start with a large backlog: the listeners are open within seconds, and memory stays small.

The batch files are hard links to one file, so that a backlog of 50 GB takes 5 MB of disk.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bridge.spool.batch_names import BatchName
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.resources import memory_kib
from tests.harness.running import bridging
from tests.harness.send import send_lines

EVENTS, LINE = 20_000, b"x" * 249 + b"\n"
BATCH_BYTES = EVENTS * len(LINE)
LISTENING_WITHIN = 10
"""Seconds, with 50 GB."""
MAX_RESIDENT_KIB = 150 * 1024


def write_backlog(intake: Path, batches: int) -> None:
    """Writes a backlog whose batches were sealed two seconds apart, the last an hour ago."""
    intake.mkdir(parents=True)
    content = intake.parent.parent / "content"
    content.write_bytes(LINE * EVENTS)
    first = int(time.time()) - 3600 - 2 * batches
    for i in range(batches):
        ms = (first + 2 * i) * 1000
        name = BatchName(ms * 1000, ms, EVENTS, BATCH_BYTES, "sealed", False, "lines")
        os.link(content, intake / str(name))


@pytest.mark.parametrize("gigabytes", [1, pytest.param(50, marks=pytest.mark.long)])
def test_start_with_a_large_backlog_listens_at_once(tmp_path: Path, gigabytes: int) -> None:
    batches = gigabytes * 10**9 // BATCH_BYTES
    with bridging(tmp_path, f"http://127.0.0.1:{free_port()}") as bridge:
        # The budget must have room for a backlog that is larger than the disk of the test.
        bridge.configuration["spool"] |= {"max_size": "100GB", "min_free": "1MB"}
        write_backlog(bridge.spool / "all", batches)
        begun = time.monotonic()
        process = bridge.launch()
        process.wait_until(lambda: accepts(bridge.tcp), "listening")
        listening = time.monotonic() - begun
        process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "ready")
        ready = time.monotonic() - begun
        peak = memory_kib(process.pid)
        print(f"{gigabytes} GB in {batches} batches: listening after {listening:.1f} s, ready after {ready:.1f} s,")
        print(f"{peak} KiB of memory at most")
        assert peak < MAX_RESIDENT_KIB
        if gigabytes == 50:
            assert listening < LISTENING_WITHIN
        ledger = bridge.ledger()
        assert ledger["recovered"] == ledger["spooled"] == batches * EVENTS, ledger
        send_lines(bridge.tcp, [b"<13>live"])
        bridge.wait_received(1)
        until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "the first attempt")
        assert bridge.ledger()["dropped"] == {}
