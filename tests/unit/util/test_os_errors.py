"""Tests that a call that this machine forbids is reported as such, with its object (SELinux, AppArmor)."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.listen.sockets import ListenError, bind, bind_unix
from bridge.spool import SpoolError
from bridge.util.os_errors import reason_of
from tests.harness.builders import NOON, build_spool

DENIED = PermissionError(errno.EACCES, "Permission denied")


def forbid(*arguments: object, **options: object) -> None:
    path = next((str(each) for each in arguments if isinstance(each, str | Path)), None)
    raise PermissionError(errno.EACCES, "Permission denied", path)


def test_reason_names_what_to_check() -> None:
    assert "this machine forbids it" in reason_of(DENIED) and "SELinux" in reason_of(DENIED)
    assert reason_of(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_forbidden_bind_names_the_port(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(socket.socket, "bind", forbid)
    with pytest.raises(ListenError) as caught:
        bind(kind, "127.0.0.1", 6514, name="secure", v6only=False)
    assert f"listener secure: this machine forbids binding {kind} port 6514" in caught.value.text
    assert "SELinux" in caught.value.hint and f"-p {kind} 6514" in caught.value.hint


def test_forbidden_unix_socket_names_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket.socket, "bind", forbid)
    with pytest.raises(ListenError, match=f"listener log: {tmp_path}/log: Permission denied: this machine forbids it"):
        bind_unix(tmp_path / "log", socket.SOCK_DGRAM, name="log", mode=0o660, backlog=1)


def test_forbidden_rename_names_the_batch_and_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    errors: list[str] = []
    sealed: list[object] = []
    now = [0.0]
    spool = build_spool(tmp_path, on_error=errors.append, clock=lambda: now[0])
    spool.subscribe(sealed.append)
    spool.append(Group("fw", "lines", NOON, NOON * 1000, NOON * 1000, 1, b"event\n"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", forbid)
        spool.seal_all()
    (error,) = errors
    assert f"{tmp_path}/fw/" in error and "this machine forbids it" in error
    assert not sealed
    now[0] = 10.0
    spool.seal_due()
    assert len(sealed) == 1
    spool.close()


def test_forbidden_lock_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "open", forbid)
    with pytest.raises(SpoolError, match=f"{tmp_path}/lock: Permission denied: this machine forbids it"):
        build_spool(tmp_path)
