"""Mounts a small tmpfs that a test can fill; only root can mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Mounts a tmpfs for the length of the `with` block; skips the test if that is not possible."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(path: Path) -> None:
    """Writes to a file until the disk is full."""
    with path.open("wb", buffering=0) as ballast:
        block = bytes(1 << 20)
        while len(block) >= 512:
            try:
                ballast.write(block)
            except OSError:
                block = block[: len(block) // 2]


def blocks(directory: Path) -> int:
    """Returns the bytes in allocated blocks below a directory, as `du` reports them."""
    found = 0
    for path in directory.rglob("*"):
        try:
            found += path.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return found
