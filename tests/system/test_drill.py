"""Tests `syslog-bridge drill`: its fault scenarios, and the faults of a machine that it must report by name."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.harness.process import SYSLOG_BRIDGE


def drill(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SYSLOG_BRIDGE, "drill", "--quick", *options], capture_output=True, text=True, cwd=cwd, timeout=300
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mounts a filesystem of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root to be mounted")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def configuration(folder: Path, spool: Path, buffer: int) -> Path:
    file = folder / "bridge.yaml"
    text = {
        "collector": {"url": "http://127.0.0.1:9"},
        "listeners": [{"udp": "127.0.0.1:514", "receive_buffer": f"{buffer}B"}],
        # Never read: a drill needs no key.
        "intakes": {"all": {"intake_key": {"file": "/nowhere/key"}}},
        "unrouted": {"intake": "all"},
        "spool": {"directory": str(spool)},
    }
    file.write_text(yaml.safe_dump(text))
    return file


def test_drill_reports_a_small_disk_and_a_capped_receive_buffer(tmp_path: Path, small_disk: Path) -> None:
    most = int(Path("/proc/sys/net/core/rmem_max").read_text())
    file = configuration(tmp_path, small_disk / "spool", most * 2)
    done = drill("-c", str(file), "--only", "surroundings", cwd=tmp_path)
    assert done.returncode == 1
    assert "NO disk: the spool's disk is too small" in done.stdout
    assert str(small_disk) in done.stdout
    assert "NO receive buffer: the kernel caps" in done.stdout
    assert "Failed: disk, receive buffer" in done.stdout
    assert list(small_disk.iterdir()) == []


def test_drill_loses_no_event_to_any_fault(tmp_path: Path) -> None:
    # A relative path starts in the folder of the command, not in the one of the drill's own configuration.
    done = drill("--directory", ".", "--only", "500,poison,kill", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {one["name"]: one for one in json.loads(done.stdout)["outcomes"]}
    assert list(outcomes) == ["500", "poison", "kill"]
    assert [one["lost"] for one in outcomes.values()] == [0, 0, 0]
    assert [one["sent"] for one in outcomes.values()] == [2000, 500, 2000]
    assert all(one["caught_up"] is not None for one in outcomes.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_drill_passes_all_scenarios(tmp_path: Path) -> None:
    done = drill("--directory", str(tmp_path), "--only", "outage,429,500,413,poison,kill,full,ramp", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": 0 lost and not counted, 0 delivered twice." in done.stdout
    assert "sustains" in done.stdout
    assert done.stdout.rstrip().endswith("Passed: this machine is ready for the bridge.")


def test_unknown_drill_scenario_is_a_usage_error(tmp_path: Path) -> None:
    done = drill("--only", "earthquake", cwd=tmp_path)
    assert done.returncode == 2
    assert "The parts are surroundings, outage" in done.stderr
