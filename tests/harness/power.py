"""Simulates a power cut: runs `syslog-bridge run` and keeps only what was synced.

`python -P power.py SHADOW ARGUMENTS...` runs the command. Each `os.fsync` of a file copies its bytes to SHADOW, each
`os.fsync` of a directory its names. `after_power_cut` builds a spool from these copies: names as of the last sync of
the directory, contents as of the last sync of the file, empty files where there was none.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading
from pathlib import Path
from typing import Any


def record_syncs(shadow: Path) -> None:
    """Replaces `os.fsync` with a function that also copies what it syncs."""
    original = os.fsync
    (shadow / "files").mkdir(parents=True)
    (shadow / "folders").mkdir()

    def fsync(descriptor: Any) -> None:
        original(descriptor)
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        about, path = os.fstat(number), Path(f"/proc/self/fd/{number}").readlink()
        # Threads may sync the same folder at the same time.
        end = f".{threading.get_ident()}.new"
        if stat.S_ISDIR(about.st_mode):
            while (names := _names(path, number, shadow)) is None:
                pass  # a file was renamed meanwhile
            partial = shadow / "folders" / f"{about.st_ino}{end}"
            partial.write_text(json.dumps({"path": str(path), "names": names}))
            partial.rename(shadow / "folders" / f"{about.st_ino}.json")
        elif stat.S_ISREG(about.st_mode):
            partial = shadow / "files" / f"{about.st_ino}{end}"
            # By the descriptor: the file may be renamed meanwhile.
            shutil.copyfile(f"/proc/self/fd/{number}", partial)
            partial.rename(shadow / "files" / str(about.st_ino))

    os.fsync = fsync


def _names(path: Path, descriptor: int, shadow: Path) -> dict[str, list[object]] | None:
    """Returns the inode and kind of each name in a folder; None if one of them was renamed or removed meanwhile."""
    names: dict[str, list[object]] = {}
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                copy = shadow / "files" / str(entry.inode())
                # The inode may belong to another file by now, which has not been synced.
                is_synced = (
                    copy.exists() and entry.is_file()
                    and (path / entry.name).read_bytes().startswith(copy.read_bytes())
                )  # fmt: skip
                names[entry.name] = [entry.inode(), "folder" if entry.is_dir() else "synced" if is_synced else "file"]
    except FileNotFoundError:
        return None
    return names


def after_power_cut(shadow: Path, spool: Path, target: Path) -> None:
    """Builds in `target` what a machine would find of `spool` after a power cut."""
    folders = {}
    for file in (shadow / "folders").glob("*.json"):
        recorded = json.loads(file.read_text())
        folders[recorded["path"]] = recorded["names"]

    def make(source: Path, copy_to: Path) -> None:
        copy_to.mkdir(mode=0o750)
        for name, (inode, kind) in folders.get(str(source), {}).items():
            if kind == "folder":
                make(source / name, copy_to / name)
            elif kind == "synced":
                shutil.copyfile(shadow / "files" / str(inode), copy_to / name)
            elif name not in ("lock", "control.sock"):
                (copy_to / name).touch()

    make(spool, target)
    # Written by the very first start, so it was synced long ago.
    shutil.copyfile(spool / "format", target / "format")


if __name__ == "__main__":
    record_syncs(Path(sys.argv[1]))
    from bridge.cli.main import main

    sys.argv = ["syslog-bridge", *sys.argv[2:]]
    main()
