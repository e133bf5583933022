"""Provides the package built from this checkout, and a fresh Debian to install it on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]


def build_package(output: Path, *options: str, checkout: Path = CHECKOUT) -> Path:
    """Runs packaging/build and returns the package."""
    argv = ["sh", str(checkout / "packaging/build"), "--output", str(output), *options]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def version_of(package: Path) -> str:
    """Returns the version in a package's file name."""
    return package.name.split("_")[1]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def newer_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the same package with a higher version: dpkg, the scripts and the unit then do an upgrade."""
    work = tmp_path_factory.mktemp("newer")
    subprocess.run(["dpkg-deb", "-R", str(package), str(work / "content")], check=True)
    control = work / "content/DEBIAN/control"
    version = version_of(package).partition("+")[0] + "+newer"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    newer = work / f"syslog-bridge_{version}_all.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", str(work / "content"), str(newer)], check=True, capture_output=True)
    return newer


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Provides a fresh Debian 12: a layer over a base that debootstrap creates once."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("a fresh Debian needs root and debootstrap")
    base = CHECKOUT / ".cache/roots/bookworm"
    base.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        ["sh", str(CHECKOUT / "packaging/root"), "bookworm", str(base)], capture_output=True, text=True
    )
    if result.returncode:
        pytest.skip(f"no fresh Debian: {result.stderr.strip()}")
    with Machine(base, tmp_path / "machine") as one:
        yield one
