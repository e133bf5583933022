"""Reads how much memory a process uses."""

from __future__ import annotations

from pathlib import Path


def memory_kib(pid: int, what: str = "VmHWM") -> int:
    """Returns a figure of /proc/PID/status: `VmHWM` is the highest resident size so far, `VmRSS` the present one."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    raise AssertionError(f"no {what}")
