"""Provides the package built from this checkout, and a fresh Debian to install it on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge import __version__
from tests.package.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]


PREVIOUS = "e951776c6c0b1469b7d45ba4be368f7ed9a296e7"
"The commit that stands for the version before until a version is tagged: the last one before keys were renamed."


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
def previous_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the version before from its tag, or from PREVIOUS."""
    work = tmp_path_factory.mktemp("previous")
    tags = _git("tag", "--list", "v[0-9]*", "--sort=-version:refname").splitlines()
    earlier = [tag for tag in tags if tag != f"v{__version__}"]
    commit, options = (earlier[0], ()) if earlier else (PREVIOUS, ("--version", f"{__version__}~before"))
    try:
        _git("archive", f"--output={work}/source.tar", commit)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the version before is not in this clone: {error.stderr.strip()}")
    checkout = work / "checkout"
    checkout.mkdir()
    subprocess.run(["tar", "-xf", str(work / "source.tar"), "-C", str(checkout)], check=True)
    (checkout / ".cache").symlink_to(CHECKOUT / ".cache")
    return build_package(work, *options, checkout=checkout)


def _git(*argv: str) -> str:
    return subprocess.run(["git", *argv], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout


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


@contextmanager
def fresh_debian(release: str, work: Path) -> Iterator[Machine]:
    """Provides a fresh Debian: a layer over a base that debootstrap creates once. Skips the test if it cannot."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("a fresh Debian needs root and debootstrap")
    base = CHECKOUT / ".cache/roots" / release
    base.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        ["sh", str(CHECKOUT / "packaging/root"), release, str(base)], capture_output=True, text=True
    )
    if result.returncode:
        pytest.skip(f"no fresh Debian: {result.stderr.strip()}")
    with Machine(base, work / "machine") as one:
        yield one


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Provides a fresh Debian 12."""
    with fresh_debian("bookworm", tmp_path) as one:
        yield one
