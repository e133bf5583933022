"""The package: what it holds, and how Debian's and systemd's own tools judge it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess

import pytest

from tests.package.conftest import CHECKOUT, built

UNIT = CHECKOUT / "packaging/syslog-bridge.service"


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_two_builds_are_equal_byte_for_byte(package, tmp_path, monkeypatch):
    # Elsewhere, at another time, with another umask's files.
    checkout = tmp_path / "another" / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".git", ".mypy_cache", "venv-*", "roots", "peers", "dist")
    shutil.copytree(CHECKOUT, checkout, ignore=ignored)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = built(tmp_path / "second", checkout=checkout)
    assert hashlib.sha256(second.read_bytes()).hexdigest() == hashlib.sha256(package.read_bytes()).hexdigest()


def test_lintian_has_nothing_to_say(package):
    done = subprocess.run([needs("lintian"), "--allow-root", str(package)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_unit_is_hardened():
    done = subprocess.run(
        [needs("systemd-analyze"), "security", "--offline=true", "--threshold=15", str(UNIT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_systemd_finds_no_fault_with_the_unit(package, tmp_path):
    # The programs that it names are there: in the package, which is not installed on this machine.
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path / "root")], check=True)
    text = (tmp_path / "root/lib/systemd/system/syslog-bridge.service").read_text()
    unit = tmp_path / "syslog-bridge.service"
    unit.write_text(text.replace("/usr/bin/syslog-bridge", f"{tmp_path}/root/usr/bin/syslog-bridge"))
    done = subprocess.run([needs("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_bill_of_materials_names_what_is_locked(package, tmp_path):
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


def test_no_trace_of_the_build_machine(package, tmp_path):
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    found = subprocess.run(["grep", "-rlF", str(CHECKOUT), str(tmp_path)], capture_output=True, text=True)
    assert found.stdout == ""
