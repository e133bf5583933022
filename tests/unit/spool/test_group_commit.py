"""Group commits: what is synced, when who waits is told, and that files which moved on are found."""

import os
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.spool.group_commit import GroupCommit
from bridge.spool.quarantine import QuarantineEntry
from tests.harness.builders import build_fsync_policy, build_spool

NOON = 1_795_435_200


class Disk:
    """A spool whose thread works when a test says so; the paths that were synced."""

    def __init__(self, directory, monkeypatch):
        self.jobs = []
        self.synced = []
        self.broken = None
        really = os.fsync

        def fsync(descriptor):
            if self.broken is not None:
                raise self.broken
            really(descriptor)
            self.synced.append(
                str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{directory}").strip("/")
            )

        monkeypatch.setattr(os, "fsync", fsync)
        self.spool = build_spool(directory, work=lambda job, done: self.jobs.append((job, done)))
        self.fsync_policy = build_fsync_policy(directory, on_error=print)
        self.group_commit = GroupCommit(
            self.spool, self.fsync_policy, work=lambda job, done: self.jobs.append((job, done))
        )
        self.spool.on_sealed = self.group_commit.sealed
        self.told = []

    def append(self, intake="a", text=b"x\n"):
        at = NOON * 1000
        self.spool.append(Group(intake, "lines", at // 1000, at, at, 1, text))

    def work(self):
        while self.jobs:
            job, done = self.jobs.pop(0)
            done(job())

    def ask(self, name):
        self.group_commit.after(lambda error: self.told.append((name, error)))


@pytest.fixture
def disk(tmp_path, monkeypatch):
    return Disk(tmp_path / "spool", monkeypatch)


def test_all_who_wait_share_a_commit(disk):
    disk.append()
    for name in "abc":
        disk.ask(name)
    assert len(disk.jobs) == 1
    disk.work()
    assert [name for name, _ in disk.told] == ["a", "b", "c"]
    assert disk.group_commit.count == 2
    files = [name for name in disk.synced if ".open." in name]
    assert len(files) == 1, "what is on the disk already is not synced again"
    assert {"a", ""} <= set(disk.synced)


def test_what_comes_while_a_commit_runs_waits_for_the_next(disk):
    disk.append()
    disk.ask("first")
    job, done = disk.jobs.pop()
    disk.append(text=b"later\n")
    disk.ask("second")
    done(job())
    assert [name for name, _ in disk.told] == ["first"]
    before = len(disk.synced)
    disk.work()
    assert [name for name, _ in disk.told] == ["first", "second"]
    assert any(".open." in name for name in disk.synced[before:])


@pytest.mark.parametrize("asked", ["before sealing", "while sealing", "after another's commit"])
def test_a_file_that_was_sealed_meanwhile_is_found(disk, asked):
    disk.append()
    if asked == "after another's commit":
        disk.ask("another")
        disk.append(text=b"more\n")
        disk.ask("me")
        disk.spool.seal_all()
        disk.work()
        assert [name for name, _ in disk.told] == ["another", "me"]
    elif asked == "while sealing":
        disk.spool.seal_all()
        disk.ask("me")
        disk.work()
    else:
        disk.ask("me")
        disk.spool.seal_all()
        disk.work()
    (path,) = (disk.spool.directory / "a").iterdir()
    assert disk.told[-1] == ("me", None)
    assert any("lines" in name for name in disk.synced)
    assert ".open." not in path.name


def test_quarantine_is_synced_too_even_where_its_file_was_closed(disk):
    disk.spool.quarantine.bounds["oversize"] = 800
    for reason in ("unrouted", "oversize"):
        disk.spool.quarantine.add(reason, [QuarantineEntry(0, "l", "p", b"frame" * 20, "why")])
    disk.ask("me")
    disk.work()
    assert {name.split("/")[1] for name in disk.synced if name.endswith("jsonl")} == {"unrouted", "oversize"}
    disk.synced.clear()
    disk.ask("again")
    disk.work()
    assert [name for name in disk.synced if name.endswith("jsonl")] == []


def test_an_error_is_told_and_the_next_commit_tries_again(disk):
    disk.append()
    disk.broken = OSError(5, "Input/output error")
    disk.ask("me")
    disk.work()
    ((_, error),) = disk.told
    assert error is disk.broken
    disk.broken = None
    disk.ask("again")
    disk.work()
    assert disk.told[-1] == ("again", None)
    assert any(".open." in name for name in disk.synced)
