"""Tests that the reserve is allocated while there is space, and released when there is none."""

import errno
import os

import pytest

from bridge.spool.reserve import Reserve


def test_reserve_is_allocated_released_and_allocated_again(tmp_path):
    reserve = Reserve(tmp_path)
    reserve.make(100 << 20)
    assert reserve.held
    assert reserve.path.stat().st_size == reserve.size == 1 << 20
    assert reserve.path.stat().st_blocks * 512 >= reserve.size, "allocated, not sparse"
    reserve.release()
    assert not reserve.held
    assert not reserve.path.exists()
    reserve.make(10**12)
    assert reserve.size == 4 << 20


def test_failed_allocation_holds_no_reserve(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    reserve = Reserve(tmp_path)
    with pytest.raises(OSError, match="No space"):
        reserve.make(10**9)
    assert not reserve.held
    assert not reserve.path.exists()
    assert reserve.size, "the size to keep free for it"
