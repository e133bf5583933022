"""A power cut: `syslog-bridge run` on a disk that keeps only what was synced.

`python -P power.py SHADOW ARGUMENTS...` runs the command; each `os.fsync` of a file copies its bytes to SHADOW, each
of a directory its names. `after_power_cut` makes a spool of nothing else: names as of their directory's last sync,
contents as of their file's last sync, nothing of a file that never had one.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any


def arm(shadow: Path) -> None:
    """Copy from now on."""
    really = os.fsync
    (shadow / "files").mkdir(parents=True)
    (shadow / "folders").mkdir()

    def fsync(descriptor: Any) -> None:
        really(descriptor)
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        about, path = os.fstat(number), Path(f"/proc/self/fd/{number}").readlink()
        if stat.S_ISDIR(about.st_mode):
            names = {}
            for entry in os.scandir(path):
                copy = shadow / "files" / str(entry.inode())
                # An inode may be another file's by now: then it has not been synced.
                same = copy.exists() and entry.is_file() and Path(entry).read_bytes().startswith(copy.read_bytes())
                names[entry.name] = [entry.inode(), "folder" if entry.is_dir() else "synced" if same else "file"]
            target = shadow / "folders" / f"{about.st_ino}.json"
            aside = target.with_suffix(".new")
            aside.write_text(json.dumps({"path": str(path), "names": names}))
            aside.rename(target)
        elif stat.S_ISREG(about.st_mode):
            aside = shadow / "files" / f"{about.st_ino}.new"
            shutil.copyfile(path, aside)
            aside.rename(shadow / "files" / str(about.st_ino))

    os.fsync = fsync


def after_power_cut(shadow: Path, spool: Path, target: Path) -> None:
    """What a machine would find of `spool` when it is on again."""
    folders = {}
    for file in (shadow / "folders").glob("*.json"):
        told = json.loads(file.read_text())
        folders[told["path"]] = told["names"]

    def make(source: Path, made: Path) -> None:
        made.mkdir(mode=0o750)
        for name, (inode, kind) in folders.get(str(source), {}).items():
            if kind == "folder":
                make(source / name, made / name)
            elif kind == "synced":
                shutil.copyfile(shadow / "files" / str(inode), made / name)
            elif name not in ("lock", "control.sock"):
                (made / name).touch()

    make(spool, target)
    # Of the very first start, long ago.
    shutil.copyfile(spool / "format", target / "format")


if __name__ == "__main__":
    arm(Path(sys.argv[1]))
    from bridge.cli.main import main

    sys.argv = ["syslog-bridge", *sys.argv[2:]]
    main()
