"""Tests which files a group commit syncs, when it answers its callers, and that it finds files sealed meanwhile."""

import os
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.spool.group_commit import GroupCommit
from bridge.spool.quarantine import REASONS, QuarantineEntry
from tests.harness.builders import build_fsync_policy, build_spool

NOON = 1_795_435_200


class CommitFixture:
    """A spool and a group commit whose thread runs when the test calls it. Records the synced paths."""

    def __init__(self, directory, monkeypatch):
        self.jobs = []
        self.synced = []
        self.sync_error = None
        original_fsync = os.fsync

        def fsync(descriptor):
            if self.sync_error is not None:
                raise self.sync_error
            original_fsync(descriptor)
            self.synced.append(
                str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{directory}").strip("/")
            )

        monkeypatch.setattr(os, "fsync", fsync)
        self.spool = build_spool(directory, work=lambda job, done: self.jobs.append((job, done)))
        self.fsync_policy = build_fsync_policy(directory, on_error=print)
        self.group_commit = GroupCommit(
            self.spool, self.fsync_policy, work=lambda job, done: self.jobs.append((job, done))
        )
        self.answers = []

    def append(self, intake="a", text=b"x\n"):
        at = NOON * 1000
        self.spool.append(Group(intake, "lines", at // 1000, at, at, 1, text))

    def run_jobs(self):
        while self.jobs:
            job, done = self.jobs.pop(0)
            done(job())

    def request_commit(self, name):
        self.group_commit.after(lambda error: self.answers.append((name, error)))


@pytest.fixture
def commits(tmp_path, monkeypatch):
    return CommitFixture(tmp_path / "spool", monkeypatch)


def test_waiting_callers_share_a_commit(commits):
    commits.append()
    for name in "abc":
        commits.request_commit(name)
    assert len(commits.jobs) == 1
    commits.run_jobs()
    assert [name for name, _ in commits.answers] == ["a", "b", "c"]
    assert commits.group_commit.count == 2
    files = [name for name in commits.synced if ".open." in name]
    assert len(files) == 1, "a synced file is not synced again"
    assert {"a", ""} <= set(commits.synced)


def test_append_during_a_commit_waits_for_the_next(commits):
    commits.append()
    commits.request_commit("first")
    job, done = commits.jobs.pop()
    commits.append(text=b"later\n")
    commits.request_commit("second")
    done(job())
    assert [name for name, _ in commits.answers] == ["first"]
    before = len(commits.synced)
    commits.run_jobs()
    assert [name for name, _ in commits.answers] == ["first", "second"]
    assert any(".open." in name for name in commits.synced[before:])


@pytest.mark.parametrize("moment", ["before sealing", "while sealing", "after another's commit"])
def test_file_sealed_meanwhile_is_synced(commits, moment):
    commits.append()
    if moment == "after another's commit":
        commits.request_commit("another")
        commits.append(text=b"more\n")
        commits.request_commit("me")
        commits.spool.seal_all()
        commits.run_jobs()
        assert [name for name, _ in commits.answers] == ["another", "me"]
    elif moment == "while sealing":
        commits.spool.seal_all()
        commits.request_commit("me")
        commits.run_jobs()
    else:
        commits.request_commit("me")
        commits.spool.seal_all()
        commits.run_jobs()
    (path,) = (commits.spool.directory / "a").iterdir()
    assert commits.answers[-1] == ("me", None)
    assert any("lines" in name for name in commits.synced)
    assert ".open." not in path.name


def test_quarantine_is_synced_even_if_its_file_was_closed(commits):
    commits.spool.quarantine.change(dict.fromkeys(REASONS, 1_000_000) | {"oversize": 800})
    for reason in ("unrouted", "oversize"):
        commits.spool.quarantine.add(reason, [QuarantineEntry(0, "l", "p", b"frame" * 20, "why")])
    commits.request_commit("me")
    commits.run_jobs()
    assert {name.split("/")[1] for name in commits.synced if name.endswith("jsonl")} == {"unrouted", "oversize"}
    commits.synced.clear()
    commits.request_commit("again")
    commits.run_jobs()
    assert [name for name in commits.synced if name.endswith("jsonl")] == []


def test_sync_error_is_reported_and_the_next_commit_retries(commits):
    commits.append()
    commits.sync_error = OSError(5, "Input/output error")
    commits.request_commit("me")
    commits.run_jobs()
    ((_, error),) = commits.answers
    assert error is commits.sync_error
    commits.sync_error = None
    commits.request_commit("again")
    commits.run_jobs()
    assert commits.answers[-1] == ("again", None)
    assert any(".open." in name for name in commits.synced)
