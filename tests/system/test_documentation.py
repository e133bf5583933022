"""Runs the commands of the documentation against a started bridge, and has other programs check their blocks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.harness.bridge import Bridge
from tests.harness.pages import BASIC, marked, write_tls
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.running import collecting
from tests.peers.unpacked import PeerMissing, Unpacked

# The pages name no configuration: they mean the one of the system.
_PROGRAM = """#!/bin/sh
for word; do
    case $word in -c | --help | --version | formats | import | schema | send) exec {program} "$@" ;; esac
done
exec {program} "$@" -c {file}
"""
_SUDO = '#!/bin/sh\nexec "$@"\n'
_SYSTEMCTL = '#!/bin/sh\n[ "$1" != reload ] || exec syslog-bridge reload\n'


class Shell:
    """Runs blocks in a folder of their page, with paths, addresses and ports of the started bridge."""

    def __init__(self, root: Path, bridge: Bridge, tls: int) -> None:
        self._root = root
        programs = root / "programs"
        programs.mkdir()
        program = _PROGRAM.format(program=SYSLOG_BRIDGE, file=bridge.file)
        for name, text in (("sudo", _SUDO), ("systemctl", _SYSTEMCTL), ("syslog-bridge", program)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._environment = {
            **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NEW_KEY": "newkey0123456789", "HOME": str(root),
        }  # fmt: skip
        self._replaced = {
            "/etc/syslog-bridge": f"{root}/etc/syslog-bridge", "-C /etc ": f"-C {root}/etc ",
            "/var/lib/syslog-bridge": f"{root}/var/lib/syslog-bridge", "127.0.0.1:8514": f"127.0.0.1:{bridge.admin}",
            "gateway.example.org:6514": f"127.0.0.1:{tls}", "192.0.2.10 --port": "127.0.0.1 --port",
            "--port 514": f"--port {bridge.tcp}", "-o root -g syslog-bridge ": "",
        }  # fmt: skip

    def run(self, page: str, commands: str) -> str:
        """Runs the commands of a block. Returns the text of a failure, or an empty text."""
        for written, here in self._replaced.items():
            commands = commands.replace(written, here)
        folder = self._root / "pages" / page
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["sh", "-euc", commands], cwd=folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        return "" if done.returncode == 0 else f"exit code {done.returncode}:\n{commands}\n{done.stdout}"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    etc, tls = tmp_path / "etc/syslog-bridge", free_port()
    with collecting(tmp_path) as collector:
        bridge = Bridge(etc, collector_url=collector.url, intakes={"firewalls": {}, "linux": {"payload": "line"}})
        write_tls(etc / "tls", "server")
        secure = {"name": "secure", "tls": f"127.0.0.1:{tls}"}
        secure |= {"cert_file": "tls/server.pem", "key_file": "tls/server.key"}
        bridge.configuration["listeners"].append(secure)
        local = {"name": "local", "intake": "linux", "source": "127.0.0.1"}
        bridge.configuration |= {"sources": BASIC["sources"], "routes": [*BASIC["routes"], local], "unrouted": "hold"}
        bridge.configuration["spool"]["directory"] = str(tmp_path / "var/lib/syslog-bridge/spool")
        (tmp_path / "var/lib/syslog-bridge").mkdir(parents=True)
        bridge.start()
        yield Shell(tmp_path, bridge, tls)
        bridge.stop()


def test_commands_of_the_pages_succeed(shell: Shell) -> None:
    failures, done = [], set()
    for place, block in marked("run"):
        # Most pages end with the same commands; once is enough.
        if block.text in done:
            continue
        done.add(block.text)
        if failure := shell.run(place.rpartition(":")[0], block.text):
            failures.append(f"{place}: {failure}")
    assert not failures, "\n\n".join(failures)


_RSYSLOG = 'module(load="imuxsock")\n{block}\naction(type="omfile" file="/dev/null")\n'
_SYSLOG_NG = "@version: 3.38\nsource s_src { internal(); };\n"


def _check(kind: str, text: str, folder: Path) -> str:
    """Returns what the program of a kind says against a text. Raises PeerMissing."""
    file = folder / kind
    if kind == "yaml":
        yaml.safe_load(text)
        return ""
    if kind == "prometheus":
        (folder / "token").write_text("token")
        file.write_text(text.replace("/etc/prometheus/syslog-bridge-token", str(folder / "token")))
        unpacked = Unpacked.find("prometheus")
        argv = [str(unpacked.root / "usr/bin/promtool"), "check", "config", str(file)]
        environment = dict(unpacked.environment)
    elif kind == "rsyslog":
        write_tls(folder / "tls")
        text = text.replace("/etc/rsyslog.d/ca.pem", str(folder / "tls/ca.pem"))
        file.write_text(_RSYSLOG.replace("{block}", text))
        unpacked = Unpacked.find("rsyslog")
        argv = [unpacked.program("rsyslogd"), "-N1", "-f", str(file)]
        environment = {**unpacked.environment, "RSYSLOG_MODDIR": unpacked.library("*/rsyslog")}
    else:
        file.write_text(_SYSLOG_NG + text)
        unpacked = Unpacked.find("syslog-ng")
        argv = [unpacked.program("syslog-ng"), "--syntax-only", "--no-caps", "-f", str(file)]
        argv += [f"--module-path={unpacked.library('syslog-ng/[0-9]*')}", "-R", str(folder / "persist")]
        environment = dict(unpacked.environment)
    done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


CHECKED = list(marked("check"))


@pytest.mark.parametrize(("place", "block"), CHECKED, ids=[place for place, _ in CHECKED])
def test_blocks_for_other_programs_are_accepted_by_them(place, block, tmp_path):
    try:
        assert _check(block.mark.partition(": ")[2], block.text, tmp_path) == "", place
    except PeerMissing as missing:
        pytest.skip(str(missing))
