"""Runs `syslog-bridge report` and parses its CSV."""

from __future__ import annotations

import csv
import io
import subprocess

from tests.harness.bridge import Bridge
from tests.harness.process import SYSLOG_BRIDGE


def report(bridge: Bridge, *options: str) -> tuple[dict[str, dict[str, str]], str]:
    """Returns the rows of `report --csv` by intake, and its stderr."""
    run = subprocess.run(
        [SYSLOG_BRIDGE, "report", "-c", str(bridge.file), "--csv", *options],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return {row["intake"]: row for row in csv.DictReader(io.StringIO(run.stdout))}, run.stderr
