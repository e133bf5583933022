"""Tests `packaging/release`: what it refuses, what it makes, and the installation from its apt repository."""

from __future__ import annotations

import filecmp
import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from bridge import __version__
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.package.conftest import CHECKOUT, fresh_debian
from tests.package.manager import UnitManager, free_low_port
from tests.package.test_life import KEY, configure, texts
from tests.peers import rsyslog
from tests.peers.client import Forwarding

SIGNER = "release@syslog-bridge.invalid"
SIGNATURES = {"InRelease", "Release.gpg", "SHA256SUMS.asc"}
SOURCES = """Types: deb
URIs: file:/srv/apt
Suites: {release}
Components: main
Signed-By: /usr/share/keyrings/syslog-bridge-archive-keyring.gpg
"""


class Repository:
    """A clone of this checkout with its working tree committed as a release; `release()` runs the script in it."""

    def __init__(self, folder: Path, gnupg: Path) -> None:
        self.path = folder
        self.gnupg = gnupg
        self._environment = {**os.environ, "GNUPGHOME": str(gnupg), "TMPDIR": str(folder.parent)}
        subprocess.run(["git", "clone", "--quiet", "--shared", str(CHECKOUT), str(folder)], check=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.split("\0")
        for name in filter(None, names):
            (folder / name).unlink(missing_ok=True)
            if (CHECKOUT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, folder / name)
        changelog = folder / "CHANGELOG.md"
        changelog.write_text(changelog.read_text().replace("[Unreleased]", f"[{__version__}] - 2026-01-31", 1))
        when = {"GIT_AUTHOR_DATE": "2026-01-31T12:00:00Z", "GIT_COMMITTER_DATE": "2026-01-31T12:00:00Z"}
        author = ["-c", "user.name=release", "-c", f"user.email={SIGNER}", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
        subprocess.run(
            ["git", *author, "commit", "--quiet", "--message=release"],
            cwd=folder, check=True, env={**os.environ, **when},
        )  # fmt: skip
        # What this checkout has fetched already. The build of another release cannot follow a link out of the clone.
        (folder / ".cache").mkdir()
        for name in ("roots", "wheels"):
            (CHECKOUT / ".cache" / name).mkdir(parents=True, exist_ok=True)
        (folder / ".cache/roots").symlink_to(CHECKOUT / ".cache/roots")
        shutil.copytree(CHECKOUT / ".cache/wheels", folder / ".cache/wheels", copy_function=os.link)
        for docs in (CHECKOUT / ".cache").glob("docs-*"):
            (folder / ".cache" / docs.name).symlink_to(docs)

    def release(self, version: str, *options: str, key: str = SIGNER) -> subprocess.CompletedProcess[str]:
        """Runs packaging/release."""
        argv = ["sh", "packaging/release", version, "--key", key, *options]
        return subprocess.run(argv, cwd=self.path, capture_output=True, text=True, env=self._environment)

    def gpg(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs gpg with the key of the release."""
        return subprocess.run(["gpg", "--batch", *argv], capture_output=True, text=True, env=self._environment)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("a release needs a Git checkout")
    gnupg = tmp_path_factory.mktemp("gnupg")
    gnupg.chmod(0o700)
    made = Repository(tmp_path_factory.mktemp("repository") / "checkout", gnupg)
    key = made.gpg("--passphrase", "", "--quick-generate-key", SIGNER, "rsa3072", "sign", "never")
    assert key.returncode == 0, key.stderr
    return made


@pytest.fixture(scope="module")
def release(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a release and returns its folder."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or shutil.which("apt-ftparchive") is None:
        pytest.skip("a release needs root, debootstrap and apt-ftparchive")
    output = tmp_path_factory.mktemp("release") / "made"
    began = time.monotonic()
    done = repository.release(__version__, "--output", str(output))
    assert done.returncode == 0, done.stderr
    print(f"release: {time.monotonic() - began:.0f} s\n{done.stderr}")
    return output


def test_release_is_refused_before_anything_is_built(repository, tmp_path):
    output = ("--output", str(tmp_path / "made"))
    done = repository.release("9.9.9", *output)
    assert done.returncode == 1
    assert f'bridge/__init__.py: __version__ is {__version__}. Set it to "9.9.9"' in done.stderr
    assert "CHANGELOG.md: the newest version is" in done.stderr
    done = repository.release(__version__, *output, key="nobody@syslog-bridge.invalid")
    assert (done.returncode, 'no secret key "nobody@syslog-bridge.invalid"' in done.stderr) == (1, True)
    done = repository.release(__version__, "--output", str(tmp_path))
    assert (done.returncode, f"{tmp_path} exists" in done.stderr) == (1, True)
    stray = repository.path / "stray.py"
    stray.touch()
    try:
        done = repository.release(__version__, *output)
    finally:
        stray.unlink()
    assert (done.returncode, "?? stray.py" in done.stderr) == (1, True)
    assert not (tmp_path / "made").exists()


def test_release_is_complete_and_signed(repository, release):
    names = {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()}
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
    expected = {
        "RELEASE_NOTES.md", "SHA256SUMS", "SHA256SUMS.asc", "apt/syslog-bridge-archive-keyring.gpg",
        f"syslog_bridge-{__version__}-py3-none-any.whl", f"syslog_bridge-{__version__}.tar.gz",
        f"syslog-bridge-{__version__}-docs.tar.gz",
    }  # fmt: skip
    for number, suite in (("12", "bookworm"), ("13", "trixie")):
        package = f"syslog-bridge_{__version__}+deb{number}_{architecture}.deb"
        expected |= {package, f"apt/pool/{suite}/{package}", f"syslog-bridge-{__version__}-deb{number}.cdx.json"}
        expected |= {f"apt/dists/{suite}/{name}" for name in ("InRelease", "Release", "Release.gpg")}
        lists = f"apt/dists/{suite}/main/binary-{architecture}/Packages"
        expected |= {lists, f"{lists}.gz"}
        assert f"Version: {__version__}+deb{number}\n" in (release / lists).read_text()
        assert gzip.decompress((release / f"{lists}.gz").read_bytes()) == (release / lists).read_bytes()
        bill = json.loads((release / f"syslog-bridge-{__version__}-deb{number}.cdx.json").read_text())
        assert bill["metadata"]["component"]["version"] == __version__
        assert repository.gpg("--verify", str(release / f"apt/dists/{suite}/InRelease")).returncode == 0
    image = f"syslog-bridge-{__version__}-{architecture}.oci.tar"
    notes = (release / "RELEASE_NOTES.md").read_text()
    assert (image in names) == (f"`{image}` was built with" in notes)
    assert names - {image} == expected
    assert "### Upgrade notes" in notes
    signed = repository.gpg("--verify", str(release / "SHA256SUMS.asc"), str(release / "SHA256SUMS"))
    assert signed.returncode == 0, signed.stderr
    listed = (release / "SHA256SUMS").read_text()
    assert {line[66:] for line in listed.splitlines()} == {
        name for name in names if Path(name).name not in SIGNATURES | {"SHA256SUMS"}
    }
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release).returncode == 0
    with zipfile.ZipFile(release / f"syslog_bridge-{__version__}-py3-none-any.whl") as wheel:
        assert f"Version: {__version__}\n" in wheel.read(f"syslog_bridge-{__version__}.dist-info/METADATA").decode()
    with tarfile.open(release / f"syslog-bridge-{__version__}-docs.tar.gz") as docs:
        assert {"html/index.html", "html/install/debian.html"} <= set(docs.getnames())
        page = docs.extractfile("man/syslog-bridge.1")
        assert page is not None
        assert f"syslog-bridge {__version__}" in page.read().decode()


def test_second_run_gives_equal_bytes(repository, release, tmp_path):
    # In another directory; the package for Debian 13 and the image would take another two minutes.
    again = Repository(tmp_path / "another" / "folder", repository.gnupg)
    done = again.release(__version__, "--output", str(tmp_path / "made"), "--releases", "bookworm", "--no-image")
    assert done.returncode == 0, done.stderr
    made = tmp_path / "made"
    names = [str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()]
    compared = [n for n in names if Path(n).name not in SIGNATURES | {"SHA256SUMS", "RELEASE_NOTES.md"}]
    assert len(compared) >= 8
    assert filecmp.cmpfiles(release, made, compared, shallow=False)[1:] == ([], [])


@pytest.mark.parametrize("debian", ["bookworm", "trixie"])
def test_fresh_debian_installs_from_the_repository_and_delivers(release, debian, tmp_path):
    collector = Collector(tmp_path / "collector", keys=(KEY,))
    collector.start()
    took: list[str] = []
    began = time.monotonic()

    def note(step: str) -> None:
        took.append(f"{step} {time.monotonic() - began:.1f} s")

    try:
        with fresh_debian(debian, tmp_path) as machine:
            # No other source: what the package needs is in a minimal Debian.
            for path in (machine.root / "etc/apt").glob("sources.list*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            (machine.root / "etc/apt/sources.list.d").mkdir()
            shutil.copytree(release / "apt", machine.root / "srv/apt")
            keyring = machine.root / "usr/share/keyrings/syslog-bridge-archive-keyring.gpg"
            shutil.copy(machine.root / "srv/apt" / keyring.name, keyring)
            (machine.root / "etc/apt/sources.list.d/syslog-bridge.sources").write_text(SOURCES.format(release=debian))
            began = time.monotonic()
            machine.run("apt-get", "update")
            output = machine.run("apt-get", "install", "--yes", "--no-install-recommends", "syslog-bridge")
            assert "sudo syslog-bridge setup" in output
            note("apt install:")
            port = free_low_port()
            configure(machine, collector, udp=port, tcp=port)
            note("setup:")
            manager = UnitManager(machine)
            try:
                manager.start()
                note("start:")
                client = rsyslog.start(Forwarding(port, "udp", "rfc3164"), directory=tmp_path / "rsyslog")
                client.feed(["<13>Nov 25 10:00:00 host app: from rsyslog"])
                until(lambda: "from rsyslog" in "\n".join(texts(collector)), lambda: manager.journal)
                note("event in the collector:")
                client.stop()
                version = re.escape(__version__)
                assert re.search(rf"\b{version}\b", machine.run("syslog-bridge", "--version"))
                assert manager.stop() == 0
            finally:
                manager.close()
    finally:
        collector.kill()
    print(f"Debian {debian}: {', '.join(took)}")
