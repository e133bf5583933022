"""Reads the events in the spool and the quarantine of a stopped or killed bridge."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.messages import NUMBER
from tests.harness.polling import until


def refused_entries(spool: Path) -> Iterator[dict[str, str]]:
    """Yields each refused entry of the quarantine, with its event as `text`."""
    for file in sorted((spool / ".quarantine" / "refused").glob("*.jsonl")):
        for line in file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                entry = json.loads(line)
                yield {**entry, "text": base64.b64decode(entry["frame"]).decode()}


def batch_files(spool: Path) -> list[Path]:
    """Returns the batch files of every intake, open ones included."""
    return list(spool.glob("[a-z0-9]*/[0-9]*-*"))


def message_numbers(spool: Path) -> Counter[int]:
    """Counts the message numbers in all batch files, complete lines only."""
    found: Counter[int] = Counter()
    for file in batch_files(spool):
        whole, _, _ = file.read_bytes().rpartition(b"\n")
        found.update(int(number) for number in re.findall(NUMBER, whole.decode()))
    return found


def wait_settled(bridge: Bridge) -> dict[str, Any]:
    """Waits until nothing is spooled and the quarantine files match the ledger, then returns the status.

    The ledger changes first, then the files. Only for a bridge that quarantines nothing but refused events.
    """

    def done() -> dict[str, Any] | None:
        quarantined, status = len(list(refused_entries(bridge.spool))), bridge.status()
        ledger = status["ledger"]
        same = quarantined == ledger["quarantined"] == status["quarantine"].get("refused", 0)
        return status if ledger["spooled"] == 0 and same else None

    status = until(done, lambda: f"{len(list(refused_entries(bridge.spool)))} in quarantine; {bridge.status()}")
    assert status is not None
    return status
