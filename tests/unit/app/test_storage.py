"""Tests what a reload changes in the spool of a running bridge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bridge.app.process import Process
from bridge.app.storage import StorageParts, build_storage
from bridge.batching import Group
from bridge.config import Config, parse_text
from bridge.spool import Spool
from tests.harness.builders import NOON


def config(directory: Path, *, batch: str = "{}", archive: str = "") -> Config:
    return parse_text(
        'collector: {region: FRA1}\nlisteners: [{name: udp, udp: "127.0.0.1:0"}]\n'
        f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nunrouted: {{intake: fw}}\nbatch: {batch}\n"
        f"spool: {{directory: {directory}{archive}}}\n",
        "bridge.yaml",
    )


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageParts]:
    reactor = Clock()
    parts = build_storage(config(tmp_path), Process(reactor, wall=lambda: NOON + reactor.seconds()))
    yield parts
    parts.opened.spool.close()


def is_sealing(spool: Spool) -> bool:
    sealed: list[None] = []
    spool.when_sealed("fw", lambda: sealed.append(None))
    return not sealed


def test_open_batches_are_sealed_if_the_timestamp_resolution_changes(storage: StorageParts, tmp_path: Path) -> None:
    spool = storage.opened.spool
    spool.append(Group("fw", "lines", NOON, NOON * 1000, NOON * 1000, 1, b"event\n"))
    storage.prepare(config(tmp_path, batch="{max_age: 10s}"))()
    assert spool.limits.max_age == 10
    assert not is_sealing(spool)
    storage.prepare(config(tmp_path, batch="{timestamp_resolution: 5s}"))()
    assert is_sealing(spool)


def test_archive_is_opened_changed_and_left(storage: StorageParts, tmp_path: Path) -> None:
    spool = storage.opened.spool
    apply = storage.prepare(config(tmp_path, archive=", archive: {max_size: 10MB}"))
    assert spool.archive is None
    assert (tmp_path / ".archive").is_dir()
    apply()
    opened = spool.archive
    assert opened is not None
    storage.prepare(config(tmp_path, archive=", archive: {max_size: 20MB, max_age: 1d}"))()
    assert spool.archive is opened
    storage.prepare(config(tmp_path))()
    assert spool.archive is None
