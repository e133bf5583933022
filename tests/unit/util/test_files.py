"""Tests writing and syncing files."""

import errno
import os
from pathlib import Path

import pytest

from bridge.util.files import (
    clear_place,
    fsync_path,
    write_all,
    write_new,
    write_replacing,
    write_unsynced,
    write_whole,
)


@pytest.fixture
def synced(monkeypatch):
    """Returns the paths that were synced, and makes each write take at most three bytes."""
    paths = []
    write, fsync = os.write, os.fsync

    def record(descriptor):
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    monkeypatch.setattr(os, "fsync", record)
    return paths


def test_new_file_is_complete_and_synced_with_its_attributes(tmp_path, synced):
    path = tmp_path / "new"
    write_new(path, (b"0123456789", b"", b"abc"), mode=0o600, finish=lambda descriptor: os.utime(descriptor, (1, 2)))
    assert path.read_bytes() == b"0123456789abc"
    assert (path.stat().st_mtime, path.stat().st_mode & 0o777) == (2, 0o600)
    assert synced == [str(path)]


def test_existing_file_is_not_replaced(tmp_path):
    path = tmp_path / "existing"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_new(path, (b"new",))
    assert path.read_bytes() == b"old"


def test_file_and_directory_are_synced(tmp_path, synced):
    (tmp_path / "file").touch()
    fsync_path(tmp_path / "file")
    fsync_path(tmp_path)
    assert synced == [str(tmp_path / "file"), str(tmp_path)]


def test_short_writes_are_continued(tmp_path, synced):
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_append_that_fails_leaves_nothing(tmp_path, monkeypatch):
    write = os.write

    def full(descriptor, data):
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    with (tmp_path / "file").open("wb") as file:
        write_whole(file.fileno(), b"before", 0)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(file.fileno(), b"0123456789", 6)
    assert (tmp_path / "file").read_bytes() == b"before"


def test_replaced_file_is_synced_and_its_directory_too(tmp_path, synced):
    path = tmp_path / "name"
    path.write_text("old")
    (tmp_path / ".name.new").write_text("left by a killed process")
    write_replacing(path, b"0123456789", mode=0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("0123456789", 0o600)
    assert synced == [str(tmp_path / ".name.new"), str(tmp_path)]
    assert list(tmp_path.iterdir()) == [path]


def test_link_whose_target_cannot_be_read_is_not_renamed(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.symlink_to("/")
    stat = os.stat

    def deny(path, **options):
        if path == place and options.get("follow_symlinks", True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", deny)
    assert clear_place(place, folder=False) is None
    monkeypatch.undo()
    assert clear_place(place, folder=False) == tmp_path / ".foreign-place"


def test_unsynced_file_that_cannot_be_written_is_removed(tmp_path, monkeypatch):
    def fail(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_unsynced(tmp_path / "a", b"data")
    monkeypatch.setattr(type(tmp_path), "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write_unsynced(tmp_path / "b", b"data")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"data")]
