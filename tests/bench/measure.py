"""Reads the CPU time and memory of a process and its children from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Returns user and system time of the process, its living descendants and its reaped children."""
    return sum(_cpu_ticks(member) for member in _tree(pid)) / _TICKS_PER_SECOND


def peak_rss_mb(pid: int) -> float:
    """Returns the sum of the peak RSS of the process and its living descendants."""
    return sum(_peak_kib(member) for member in _tree(pid)) / 1024


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        for task in Path(f"/proc/{member}/task").iterdir():
            members += map(int, (task / "children").read_text().split())
    return members


def _cpu_ticks(pid: int) -> int:
    # proc(5), after the name in parentheses, which may contain spaces: field 14 is utime, then stime, cutime, cstime.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _peak_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
