"""Provides a machine to install on: a fresh Debian in a directory, entered with chroot and removed afterwards.

It is an overlay mount over the base, or a copy if the kernel does not allow that. It shares the network and process
namespaces of the host, so its listeners can be reached at 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self


class Machine:
    """`with Machine(base, work) as machine: machine.run("dpkg", "-i", ...)`."""

    def __init__(self, base: Path, work: Path) -> None:
        self._base = base
        self._work = work
        self._ending = ExitStack()
        self.root = work / "root"

    def __enter__(self) -> Self:
        upper, scratch = self._work / "upper", self._work / "scratch"
        for folder in (self.root, upper, scratch):
            folder.mkdir(parents=True)
        layers = f"lowerdir={self._base},upperdir={upper},workdir={scratch}"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], capture_output=True
        )
        if mounted.returncode == 0:
            self._ending.callback(subprocess.run, ["umount", str(self.root)], check=True)
        else:
            self.root.rmdir()
            shutil.copytree(self._base, self.root, symlinks=True)
        # Its own devices, not a mount of the host's /dev: leftovers of a killed test can then be removed safely.
        for name, number in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
            device = self.root / "dev" / name
            if not device.exists():
                os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, number))
                device.chmod(0o666)
        for name in ("proc", "proc/sys"):
            subprocess.run(["mount", "--bind", f"/{name}", str(self.root / name)], check=True)
            self._ending.callback(subprocess.run, ["umount", str(self.root / name)], check=True)
        # The kernel is the host's, so an installation here must not change its settings.
        subprocess.run(["mount", "-o", "remount,bind,ro", str(self.root / "proc/sys")], check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def run(self, *argv: str, stdin: str | None = None, code: int | None = 0) -> str:
        """Runs a command in it and returns its output; asserts the exit code, unless `code` is None."""
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            ["chroot", str(self.root), *argv], input=stdin, capture_output=True, text=True, env=environment
        )
        assert code is None or done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def install(self, package: Path, code: int = 0) -> str:
        """Installs a package with `dpkg -i`; its dependencies are already installed."""
        shutil.copy(package, self.root / "tmp" / package.name)
        return self.run("dpkg", "-i", f"/tmp/{package.name}", code=code)

    def files(self) -> set[str]:
        """Returns all paths on its disk except logs, caches and dpkg's own files."""
        skip = ("/proc", "/dev", "/tmp", "/run", "/var/lib/dpkg", "/var/log", "/var/cache", "/etc/.pwd.lock")
        found = self.run("find", "/", "-xdev").splitlines()
        return {path for path in found if not path.startswith(skip) and not path.endswith("-")}
