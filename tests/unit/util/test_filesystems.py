"""Tests how the filesystem of a path is found among the mounts of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.util import filesystems

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:44 / /srv rw,relatime shared:1 - nfs4 server:/srv rw
41 40 0:45 / /srv/local rw - xfs /dev/vdb rw
42 22 0:46 / /srv2 rw - cifs //server/share rw
43 22 0:47 / /with\040space rw - nfs server:/x rw
44 43 0:48 / /with\040space rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/spool", None),
        ("/srv", "nfs4"),
        ("/srv/spool/not/there/yet", "nfs4"),
        ("/srv/local/spool", None),
        ("/srv2/spool", "cifs"),
        ("/srv/../srv2", "cifs"),
        ("/with space/spool", None),
    ],
)
def test_network_filesystems_are_found_by_the_innermost_and_latest_mount(
    path: str, kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)
    assert filesystems.network_filesystem(Path(path)) == kind


def test_unknown_mounts_are_no_network_filesystem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "nowhere")
    assert filesystems.network_filesystem(Path("/srv")) is None
