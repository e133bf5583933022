"""Tests that a disk on which outcomes cannot be recorded stops no delivery."""

import errno
import os

import pytest

from bridge.accounting import Ledger
from bridge.batching import Group
from tests.harness.builders import NOON, build_delivery_store, build_spool


@pytest.fixture
def spool(tmp_path):
    found = build_spool(tmp_path / "spool")
    yield found
    found.close()


def refuse(*args, **named):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_evidence_that_cannot_be_written_is_left_out(spool, monkeypatch):
    monkeypatch.setattr(spool.quarantine, "keep_evidence", refuse)
    build_delivery_store(spool, Ledger()).keep_evidence("a", 1, b"body")


def test_damaged_batch_that_cannot_be_moved_stays_in_the_spool(spool, monkeypatch):
    sealed = []
    spool.subscribe(sealed.append)
    spool.append(Group("a", "lines", 1, NOON * 1000, NOON * 1000, 1, b"one\n"))
    spool.seal_all()
    monkeypatch.setattr(spool.quarantine, "move_aside", refuse)
    build_delivery_store(spool, Ledger()).quarantine_batch(sealed[0], "damaged")
    assert sealed[0].path.exists()
