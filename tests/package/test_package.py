"""Tests the contents of the package, also with Debian's and systemd's own tools."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess

import pytest

from tests.package.conftest import CHECKOUT, build_package

UNIT = CHECKOUT / "packaging/syslog-bridge.service"


def find_program(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_two_builds_are_equal_byte_for_byte(package, tmp_path, monkeypatch):
    # In another directory, at another time, in another time zone.
    checkout = tmp_path / "another" / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".git", ".mypy_cache", "venv-*", "roots", "peers", "dist")
    shutil.copytree(CHECKOUT, checkout, ignore=ignored)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    # The copy has no commit to take the time from.
    date = subprocess.run(["sh", str(CHECKOUT / "packaging/source-date")], capture_output=True, text=True, check=True)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date.stdout.strip())
    second = build_package(tmp_path / "second", checkout=checkout)
    assert hashlib.sha256(second.read_bytes()).hexdigest() == hashlib.sha256(package.read_bytes()).hexdigest()


def test_lintian_reports_nothing(package):
    done = subprocess.run([find_program("lintian"), "--allow-root", str(package)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_unit_passes_the_hardening_threshold():
    done = subprocess.run(
        [find_program("systemd-analyze"), "security", "--offline=true", "--threshold=15", str(UNIT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_systemd_verifies_the_unit_without_warnings(package, tmp_path):
    # The package is not installed on this machine, so its programs are in the unpacked package.
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path / "root")], check=True)
    text = (tmp_path / "root/lib/systemd/system/syslog-bridge.service").read_text()
    unit = tmp_path / "syslog-bridge.service"
    unit.write_text(text.replace("/usr/bin/syslog-bridge", f"{tmp_path}/root/usr/bin/syslog-bridge"))
    done = subprocess.run(
        [find_program("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bill_of_materials_matches_the_lock_file(package, tmp_path):
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    document = json.loads((tmp_path / "usr/share/doc/syslog-bridge/sbom.cdx.json").read_text())
    named = {part["name"]: part for part in document["components"]}
    lock = (CHECKOUT / "packaging/requirements.lock").read_text()
    pinned = dict(line.split(" ")[0].split("==") for line in lock.splitlines() if "==" in line and line[0].isalpha())
    assert {name: part["version"] for name, part in named.items()} == pinned
    assert all(part["licenses"] for part in named.values()), [n for n, part in named.items() if not part["licenses"]]
    for part in named.values():
        assert part["hashes"][0]["content"] in lock
    assert document["metadata"]["component"]["name"] == "syslog-bridge"
    installed = tmp_path / "usr/lib/syslog-bridge/lib"
    assert len(list(installed.glob("python3*/site-packages/*.dist-info"))) == len(pinned) + 1


def test_package_does_not_contain_the_build_path(package, tmp_path):
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    found = subprocess.run(["grep", "-rlF", str(CHECKOUT), str(tmp_path)], capture_output=True, text=True)
    assert found.stdout == ""
