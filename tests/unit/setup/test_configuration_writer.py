"""Tests that a replaced configuration keeps its old file, also on a filesystem without hard links."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from bridge.setup.configuration_writer import Draft, DraftError, write

TEXT = """
collector: {region: FRA1}
listeners: [{udp: "127.0.0.1:0"}]
intakes: {all: {intake_key: {file: keys/all}}}
unrouted: {intake: all}
spool: {directory: spool}
"""


def forbid_links(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def link(source: object, target: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_old_file_is_copied_where_the_filesystem_has_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    forbid_links(monkeypatch, number)
    file = tmp_path / "bridge.yaml"
    assert write(Draft(file, TEXT, {"all": "k" * 16})) is not None
    (tmp_path / "keys" / "all").chmod(0o640)
    assert write(Draft(file, TEXT + "timezone: UTC\n", {"all": "n" * 16})) is not None
    old, new = tmp_path / "keys" / "all.old", tmp_path / "keys" / "all"
    assert (old.read_text(), new.read_text()) == ("k" * 16 + "\n", "n" * 16 + "\n")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert ((tmp_path / "bridge.yaml.old").read_text(), file.read_text()) == (TEXT, TEXT + "timezone: UTC\n")


def test_other_errors_of_the_filesystem_end_the_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bridge.yaml"
    assert write(Draft(file, TEXT, {"all": "k" * 16})) is not None
    forbid_links(monkeypatch, errno.EIO)
    with pytest.raises(DraftError, match="Input/output error"):
        write(Draft(file, TEXT, {"all": "n" * 16}))
    assert (tmp_path / "keys" / "all").read_text() == "k" * 16 + "\n"
