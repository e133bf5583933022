"""Tests the commands that make a file readable for the user of the bridge."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bridge.util import file_access
from bridge.util.file_access import to_create, to_read


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the process be a user of a service."""
    monkeypatch.setattr(file_access, "_effective_ids", lambda: (54_321, 54_322))
    monkeypatch.setattr(file_access, "STARTED_AS", 0)


def test_root_creates_a_file_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_access, "_effective_ids", lambda: (0, 0))
    path = tmp_path / "new" / "a key"
    text = to_create(path)
    assert text.startswith("Create it with owner root and mode 0600: sudo install -d -m 0700 ")
    command = text.partition(": ")[2].partition(". Then")[0].replace("sudo ", "")
    subprocess.run(["sh", "-c", command], input=b"secret\n", check=True)
    assert path.read_text() == "secret\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_service_gets_the_right_to_read_by_its_group(tmp_path: Path, service: None) -> None:
    text = to_create(tmp_path / "key")
    assert text == (
        "Create it with owner root, group 54322 and mode 0640: sudo install -o root -g 54322 -m 0640 /dev/stdin"
        f" {tmp_path}/key. Then paste the secret, and press Enter and Ctrl-D."
    )


def test_unreadable_file_and_closed_folder_have_their_own_commands(
    tmp_path: Path, service: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "closed" / "key"
    monkeypatch.setattr(os, "access", lambda folder, mode, effective_ids: True)
    assert to_read(path) == f"User 54321 must be able to read it: sudo chgrp 54322 {path} && sudo chmod g+r {path}."
    monkeypatch.setattr(os, "access", lambda folder, mode, effective_ids: folder != path.parent)
    assert f"sudo chgrp 54322 {path.parent} && sudo chmod g+x {path.parent}." in to_read(path)


def test_other_user_is_told_to_use_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_access, "_effective_ids", lambda: (1000, 1000))
    monkeypatch.setattr(file_access, "STARTED_AS", 1000)
    assert to_read(tmp_path / "key").startswith("Run the command with sudo. If the bridge runs as user ")
