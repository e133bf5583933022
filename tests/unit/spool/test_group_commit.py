"""Tests which files a group commit syncs, when it answers its callers, and that it needs no other thread."""

import errno
import os
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.spool.group_commit import GroupCommit
from bridge.spool.quarantine import REASONS
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.synced_folders import SyncedFolders
from tests.harness.builders import build_spool

NOON = 1_795_435_200


class CommitFixture:
    """A spool and a group commit whose threads run when the test calls them. Records the synced paths."""

    def __init__(self, directory, monkeypatch):
        self.spool_jobs, self.sync_jobs = [], []
        self.synced = []
        self.unsyncable = {}
        "Part of a path -> errno."
        original_fsync = os.fsync

        def fsync(descriptor):
            path = str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{directory}").strip("/")
            for part, number in self.unsyncable.items():
                if part in path:
                    raise OSError(number, os.strerror(number))
            original_fsync(descriptor)
            self.synced.append(path)

        monkeypatch.setattr(os, "fsync", fsync)
        self.spool = build_spool(directory, work=lambda job, done: self.spool_jobs.append((job, done)))
        self.commits = []
        self.group_commit = GroupCommit(
            self.spool.quarantine, SyncedFolders(directory),
            sync_work=lambda job, done: self.sync_jobs.append((job, done)), observer=self,
        )  # fmt: skip
        self.answers = []

    def began(self):
        self.commits.append("began")

    def ended(self):
        self.commits.append("ended")

    def append(self, intake="a", text=b"x\n"):
        at = NOON * 1000
        return self.spool.append(Group(intake, "lines", at // 1000, at, at, 1, text))

    def run(self, jobs):
        while jobs:
            job, done = jobs.pop(0)
            done(job())

    def request_commit(self, name, *files):
        self.group_commit.after(files, lambda error: self.answers.append((name, error)))

    def descriptors(self):
        return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def commits(tmp_path, monkeypatch):
    return CommitFixture(tmp_path / "spool", monkeypatch)


def test_waiting_callers_share_a_commit(commits):
    batch = commits.append()
    for name in "abc":
        commits.request_commit(name, batch)
    assert len(commits.sync_jobs) == 1
    commits.run(commits.sync_jobs)
    assert [name for name, _ in commits.answers] == ["a", "b", "c"]
    assert commits.group_commit.count == 2
    files = [name for name in commits.synced if ".open." in name]
    assert len(files) == 1, "a synced file is not synced again"
    assert {"a", ""} <= set(commits.synced)
    assert commits.commits == ["began", "ended"] * 2


def test_only_the_files_that_a_caller_waits_for_are_synced(commits):
    awaited, other = commits.append("a"), commits.append("b")
    commits.request_commit("me", awaited)
    commits.run(commits.sync_jobs)
    assert not [name for name in commits.synced if name.startswith("b")]
    assert (awaited.synced, other.synced) == (2, 0)


def test_append_during_a_commit_waits_for_the_next(commits):
    batch = commits.append()
    commits.request_commit("first", batch)
    job, done = commits.sync_jobs.pop()
    commits.append(text=b"later\n")
    commits.request_commit("second", batch)
    done(job())
    assert [name for name, _ in commits.answers] == ["first"]
    before = len(commits.synced)
    commits.run(commits.sync_jobs)
    assert [name for name, _ in commits.answers] == ["first", "second"]
    assert any(".open." in name for name in commits.synced[before:])


@pytest.mark.parametrize("moment", ["before sealing", "while sealing", "after another's commit", "during another's"])
def test_file_sealed_meanwhile_is_synced(commits, moment):
    batch = commits.append()
    if moment == "after another's commit":
        commits.request_commit("another", batch)
        commits.append(text=b"more\n")
        commits.request_commit("me", batch)
        commits.spool.seal_all()
        commits.run(commits.spool_jobs)
        commits.run(commits.sync_jobs)
        assert [name for name, _ in commits.answers] == ["another", "me"]
    elif moment == "during another's":
        commits.request_commit("another", batch)
        commits.append(text=b"more\n")
        commits.spool.seal_all()
        commits.run(commits.spool_jobs)
        assert batch.descriptor < 0
        commits.request_commit("me", batch)
        commits.run(commits.sync_jobs)
    elif moment == "while sealing":
        commits.spool.seal_all()
        commits.request_commit("me", batch)
        commits.run(commits.spool_jobs)
        commits.run(commits.sync_jobs)
    else:
        commits.request_commit("me", batch)
        commits.spool.seal_all()
        commits.run(commits.spool_jobs)
        commits.run(commits.sync_jobs)
    (path,) = (commits.spool.directory / "a").iterdir()
    assert commits.answers[-1] == ("me", None)
    assert any("lines" in name for name in commits.synced)
    assert ".open." not in path.name
    assert batch.sealed.synced


def test_commit_does_not_need_the_spool_thread(commits):
    """The spool thread may be busy for a long time, or wait for the disk."""
    batch = commits.append()
    commits.spool.seal_all()
    commits.request_commit("me", batch)
    commits.run(commits.sync_jobs)
    assert commits.answers == [("me", None)]
    assert len(commits.spool_jobs) == 1


def test_removed_file_is_no_error(commits):
    batch = commits.append()
    commits.request_commit("me", batch)
    (path,) = (commits.spool.directory / "a").iterdir()
    path.unlink()
    commits.run(commits.sync_jobs)
    assert commits.answers == [("me", None)]


def test_no_descriptor_remains_open(commits):
    before = commits.descriptors()
    for number in range(5):
        batch = commits.append()
        commits.request_commit("me", batch)
        commits.spool.quarantine.add("unrouted", [QuarantineEntry(0, "l", "p", b"frame", "why")], awaited=True)
        if number % 2:
            commits.spool.seal_all()
        commits.run(commits.spool_jobs)
        commits.run(commits.sync_jobs)
    commits.spool.seal_all()
    commits.run(commits.spool_jobs)
    commits.spool.quarantine.close()
    assert commits.descriptors() == before


def test_quarantine_is_synced_even_if_its_file_was_closed(commits):
    commits.spool.quarantine.change(dict.fromkeys(REASONS, 1_000_000) | {"oversize": 800})
    for reason in ("unrouted", "oversize"):
        commits.spool.quarantine.add(reason, [QuarantineEntry(0, "l", "p", b"frame" * 20, "why")] * 2, awaited=True)
    commits.request_commit("me")
    commits.run(commits.sync_jobs)
    assert {name.split("/")[1] for name in commits.synced if name.endswith("jsonl")} == {"unrouted", "oversize"}
    commits.synced.clear()
    commits.request_commit("again")
    commits.run(commits.sync_jobs)
    assert [name for name in commits.synced if name.endswith("jsonl")] == []


def test_quarantined_frames_that_nobody_waits_for_keep_no_descriptor(commits):
    commits.spool.quarantine.change(dict.fromkeys(REASONS, 800))
    before = commits.descriptors()
    for _ in range(20):
        commits.spool.quarantine.add("unrouted", [QuarantineEntry(0, "l", "p", b"frame" * 50, "why")])
    commits.spool.quarantine.close()
    assert commits.descriptors() == before
    commits.request_commit("me")
    assert (commits.sync_jobs, commits.answers) == ([], [("me", None)])


@pytest.mark.parametrize("place", [".open.", "a"])
def test_sync_error_is_reported_and_only_a_new_file_is_acknowledged_again(commits, place):
    """The kernel reports a failed write once, so a second sync of the same file proves nothing."""
    batch = commits.append()
    commits.unsyncable = {place: errno.EIO}
    commits.request_commit("me", batch)
    commits.run(commits.sync_jobs)
    ((_, error),) = commits.answers
    assert error.errno == errno.EIO
    commits.unsyncable = {}
    commits.request_commit("again", batch)
    assert commits.answers[-1] == ("again", error)
    commits.spool.seal_all()
    commits.run(commits.spool_jobs)
    commits.request_commit("new file", commits.append())
    commits.run(commits.sync_jobs)
    assert commits.answers[-1] == ("new file", None)


def test_sync_error_concerns_the_events_appended_meanwhile(commits):
    batch = commits.append()
    commits.unsyncable = {".open.": errno.EIO}
    commits.request_commit("first", batch)
    commits.append(text=b"later\n")
    commits.request_commit("second", batch)
    job, done = commits.sync_jobs.pop()
    result = job()
    commits.unsyncable = {}
    done(result)
    commits.run(commits.sync_jobs)
    assert [error and error.errno for _, error in commits.answers] == [errno.EIO, errno.EIO]


def test_sync_error_concerns_only_callers_of_that_file(commits):
    commits.unsyncable = {"bad/": errno.EIO}
    good, bad = commits.append("good"), commits.append("bad")
    commits.request_commit("running", good)
    commits.request_commit("good", good)
    commits.request_commit("both", good, bad)
    commits.run(commits.sync_jobs)
    answers = dict(commits.answers)
    assert (answers["running"], answers["good"]) == (None, None)
    assert answers["both"].errno == errno.EIO


def test_file_that_was_closed_unsynced_is_an_error(commits):
    batch = commits.append()
    commits.spool.seal_all()
    commits.run(commits.spool_jobs)
    commits.request_commit("me", batch)
    ((_, error),) = commits.answers
    assert "closed before it was synced" in str(error)


def test_used_up_descriptors_fail_the_commit_and_lose_no_mark(commits, monkeypatch):
    batch = commits.append()
    commits.spool.quarantine.add("unrouted", [QuarantineEntry(0, "l", "p", b"frame", "why")], awaited=True)
    before = commits.descriptors()
    calls = []

    def duplicate(descriptor, original=os.dup):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return original(descriptor)

    monkeypatch.setattr(os, "dup", duplicate)
    commits.request_commit("me", batch)
    ((_, error),) = commits.answers
    assert error.errno == errno.EMFILE
    assert commits.descriptors() == before
    commits.request_commit("again", batch)
    commits.run(commits.sync_jobs)
    assert commits.answers[-1] == ("again", None)
    assert any(name.endswith("jsonl") for name in commits.synced)
