"""Tests whose rights root takes over for a folder: those of the user who decides what is there."""

from __future__ import annotations

import errno
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.host.privileges import become_owner, check_reachable, open_folder, other_owner
from bridge.util.errors import BridgeError

USER, OTHER = 54_321, 54_322
"User ids that no user of the machine has."

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def folder_of(path: Path, uid: int, gid: int | None = None) -> Path:
    path.mkdir()
    os.chown(path, uid, uid if gid is None else gid)
    return path


def link_of(path: Path, target: Path | str, uid: int) -> Path:
    path.symlink_to(target)
    os.lchown(path, uid, uid)
    return path


def owner_of(path: Path) -> int | None:
    user = other_owner(path)
    return None if user is None else user.uid


def test_owner_of_the_folder_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert owner_of(tmp_path) is None
    mine = folder_of(tmp_path / "mine", USER)
    assert owner_of(mine) == USER
    assert owner_of(tmp_path / "mine" / ".." / "mine") == USER
    assert owner_of(folder_of(mine / "inside", OTHER)) == OTHER
    # Root has made it there.
    assert owner_of(folder_of(mine / "of root", 0)) is None
    monkeypatch.chdir(mine)
    assert owner_of(Path()) == USER
    assert owner_of(Path("inside")) == OTHER
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert owner_of(mine) is None


def test_owner_of_the_deepest_folder_decides_about_a_missing_one(tmp_path: Path) -> None:
    mine = folder_of(tmp_path / "mine", USER)
    assert owner_of(mine / "a" / "b") == USER
    assert owner_of(tmp_path / "a" / "b") is None


@pytest.mark.parametrize("relative", [True, False])
def test_owner_of_a_link_decides_if_it_leads_to_a_folder_of_root(tmp_path: Path, relative: bool) -> None:
    target = folder_of(tmp_path / "target", 0)
    theirs = folder_of(tmp_path / "theirs", OTHER)
    mine = folder_of(tmp_path / "mine", USER)
    assert owner_of(link_of(mine / "link", "../target" if relative else target, USER)) == USER
    assert owner_of(link_of(mine / "of root", target, 0)) is None
    assert owner_of(link_of(mine / "second", "link", 0)) == USER
    assert owner_of(link_of(mine / "to theirs", theirs, USER)) == OTHER
    assert owner_of(link_of(mine / "dangling", tmp_path / "new", USER)) == USER
    assert owner_of(mine / "link" / "below") == USER


def test_loop_of_links_is_an_error(tmp_path: Path) -> None:
    link_of(tmp_path / "a", "b", USER)
    link_of(tmp_path / "b", "a", USER)
    with pytest.raises(OSError) as raised:
        other_owner(tmp_path / "a")
    assert raised.value.errno == errno.ELOOP


def test_user_without_a_name_never_gets_the_group_of_root(tmp_path: Path) -> None:
    user = other_owner(folder_of(tmp_path / "a", USER, 0))
    assert user == (USER, USER, (USER,), f"'#{USER}'")
    assert other_owner(folder_of(tmp_path / "b", USER, OTHER)) == (USER, OTHER, (OTHER,), f"'#{USER}'")


def test_user_with_a_name_gets_its_groups(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    user = other_owner(folder_of(tmp_path / "a", nobody.pw_uid, 0))
    assert user == (nobody.pw_uid, nobody.pw_gid, tuple(os.getgrouplist("nobody", nobody.pw_gid)), "nobody")


@pytest.fixture
def public() -> Iterator[Path]:
    """Returns a folder that all users may enter. The folder of pytest is open to root only."""
    with tempfile.TemporaryDirectory(prefix="syslog-bridge-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_root_gives_up_all_its_rights_for_good(public: Path) -> None:
    mine = folder_of(public / "mine", USER)
    process = os.fork()
    if process == 0:
        code = 1
        try:
            become_owner(mine)
            rights = (os.getresuid(), os.getresgid(), os.getgroups())
            try:
                os.setresuid(0, 0, 0)
            except PermissionError:
                code = 0 if rights == ((USER,) * 3, (USER,) * 3, [USER]) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def test_user_who_cannot_enter_a_folder_above_is_named(public: Path) -> None:
    above = folder_of(public / "above", 0)
    mine = folder_of(above / "mine", USER)
    check_reachable(mine)
    above.chmod(0o700)
    with pytest.raises(BridgeError, match=rf"mine: its owner '#{USER}' cannot enter a folder above it"):
        check_reachable(mine)
    assert os.getresuid() == (0, 0, 0)
    above.chmod(0o711)
    check_reachable(mine)


def test_root_that_may_not_become_the_user_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(groups: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "setgroups", deny)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/syslog-bridge", "spool", "list"])
    advice = rf"sudo -u '#{USER}' syslog-bridge spool list, or start the container as that user"
    with pytest.raises(BridgeError, match=advice):
        become_owner(folder_of(tmp_path / "mine", USER))
    assert os.getresuid() == (0, 0, 0)


def test_folder_behind_a_link_of_another_user_is_not_opened(tmp_path: Path) -> None:
    target = folder_of(tmp_path / "target", 0)
    link = link_of(tmp_path / "link", target, USER)
    with pytest.raises(OSError, match="a link of user '#54321' leads to this folder"):
        open_folder(link)
    with pytest.raises(FileNotFoundError):
        open_folder(tmp_path / "missing")
    for path in (target, link_of(tmp_path / "of root", target, 0)):
        descriptor = open_folder(path)
        assert os.fstat(descriptor).st_ino == target.stat().st_ino
        os.close(descriptor)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    link = link_of(tmp_path / "link", folder_of(tmp_path / "target", 0), USER)
    before = os.listdir("/proc/self/fd")
    for path in (link, tmp_path, tmp_path / "missing" / "deep"):
        other_owner(path)
    assert os.listdir("/proc/self/fd") == before
