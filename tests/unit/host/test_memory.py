"""Tests that freed memory is returned to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge.host import memory

# Buffers below the size that has pages of its own, with small ones between them that stay.
SCRIPT = """
import ctypes, gc
from bridge.host.memory import Allocator
from tests.harness.resources import memory_kib
import os
allocator = Allocator()
allocator.tune()
large = []
kept = []
for _ in range(400):
    large.append(b"a" * 500_000)
    kept.append(b"b" * 2000)
peak = memory_kib(os.getpid(), "VmRSS")
del large
before = memory_kib(os.getpid(), "VmRSS")
returned = allocator.return_free()
after = memory_kib(os.getpid(), "VmRSS")
large = bytes(8 << 20)
print(peak - before, before - after, returned)
"""


def test_freed_buffers_between_small_ones_are_returned() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept_back, given_back, returned = result.stdout.split()
    assert returned == "True"
    assert int(kept_back) + int(given_back) > 150_000, "of the 200 MB most are returned"
    assert int(given_back) > 100_000, "the heap had kept them"


def test_little_free_memory_is_left_alone() -> None:
    script = "from bridge.host.memory import Allocator; print(Allocator().return_free())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_USAGE_FUNCTION", "mallinfo_of_another_library")
    allocator = memory.Allocator()
    allocator.tune()
    assert not allocator.return_free()
