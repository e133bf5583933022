"""What a stopped or killed bridge holds: the events of its spool and its quarantine."""

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


def refused(spool: Path) -> Iterator[dict[str, str]]:
    """What quarantine holds as refused: each entry, with its event as `text`."""
    for file in sorted((spool / ".quarantine" / "refused").glob("*.jsonl")):
        for line in file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                entry = json.loads(line)
                yield {**entry, "text": base64.b64decode(entry["frame"]).decode()}


def batch_files(spool: Path) -> list[Path]:
    """Every intake's batches, open ones too."""
    return list(spool.glob("[a-z0-9]*/[0-9]*-*"))


def numbers(spool: Path) -> Counter[int]:
    """Numbers of the messages in all batch files, whole lines only, and how often each is there."""
    found: Counter[int] = Counter()
    for file in batch_files(spool):
        whole, _, _ = file.read_bytes().rpartition(b"\n")
        found.update(int(number) for number in re.findall(NUMBER, whole.decode()))
    return found


def settled(bridge: Bridge) -> dict[str, Any]:
    """The status, once nothing waits and quarantine holds what the ledger says: the ledger moves first, then the files.

    Only for a bridge that quarantines nothing but what was refused.
    """

    def done() -> dict[str, Any] | None:
        held, status = len(list(refused(bridge.spool))), bridge.status()
        ledger = status["ledger"]
        same = held == ledger["quarantined"] == status["quarantine"].get("refused", 0)
        return status if ledger["spooled"] == 0 and same else None

    status = until(done, lambda: f"{len(list(refused(bridge.spool)))} in quarantine; {bridge.status()}")
    assert status is not None
    return status
