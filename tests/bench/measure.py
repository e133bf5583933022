"""Reads the CPU time, memory and disk writes of a process and its children from /proc."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Returns user and system time of the process, its living descendants and its reaped children."""
    return sum(_cpu_ticks(member) for member in _tree(pid)) / _TICKS_PER_SECOND


def peak_rss_mb(pid: int) -> float:
    """Returns the sum of the peak RSS of the process and its living descendants."""
    return sum(_peak_kib(member) for member in _tree(pid)) / 1024


def disk_writes(pid: int) -> tuple[int, int]:
    """Returns the bytes that the process and its living descendants gave to the disk, and their number of write calls
    (those to sockets included). Bytes of files that were deleted before the kernel wrote them are not counted."""
    sums = Counter[str]()
    for member in _tree(pid):
        for line in Path(f"/proc/{member}/io").read_text().splitlines():
            name, _, value = line.partition(": ")
            sums[name] += int(value)
    return sums["write_bytes"] - sums["cancelled_write_bytes"], sums["syscw"]


def limit_cores(pid: int, count: int) -> None:
    """Lets the process and its living descendants run on the first ``count`` CPU cores only."""
    for member in _tree(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            os.sched_setaffinity(int(task.name), range(count))


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
