"""Tests the completions of bash, zsh and fish with the shells themselves. The zsh and fish tests need the shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.process import SYSLOG_BRIDGE

FOLDER = Path(__file__).parents[3] / "packaging/completions"

_BASH = """
source "$1"; shift
COMP_WORDS=(syslog-bridge "$@"); COMP_CWORD=$#
_syslog_bridge syslog-bridge
printf '%s\\n' "${COMPREPLY[@]}"
"""

# The builtins that fill the menu need an interactive shell, so they print here what they are given.
_ZSH = """
compadd() { print -l -- "${plain[@]}" }
_describe() { print -l -- "${described[@]%%:*}" }
_files() { print FILES }
file=$1; shift
words=(syslog-bridge "$@"); CURRENT=$#words
source $file || true
"""

_FISH = """
source $argv[1]
complete -C "syslog-bridge $argv[2..-1]"
"""

CASES = [
    (("sta",), ["status"]),
    (("spool", "p"), ["purge"]),
    (("status", "--ex"), ["--exit-code"]),
    (("status", "--output", ""), ["json", "nagios", "text"]),
    (("status", "--js"), []),
]


def complete(shell: str, script: str, words: tuple[str, ...], file: str) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    path = f"{Path(SYSLOG_BRIDGE).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", script, *([] if shell == "fish" else [shell]), str(FOLDER / file), *words],
        env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return sorted(line.partition("\t")[0] for line in done.stdout.splitlines() if line)


@pytest.mark.parametrize(("words", "expected"), CASES, ids=" ".join)
def test_bash(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete("bash", _BASH, words, "syslog-bridge") == expected


@pytest.mark.parametrize(("words", "expected"), CASES, ids=" ".join)
def test_zsh(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete("zsh", _ZSH, words, "_syslog-bridge") == expected


@pytest.mark.parametrize(("words", "expected"), CASES, ids=" ".join)
def test_fish(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete("fish", _FISH, words, "syslog-bridge.fish") == expected


def test_package_installs_each_where_its_shell_looks() -> None:
    lines = (FOLDER.parent / "debian/syslog-bridge.install").read_text().splitlines()
    installed = dict(line.split() for line in lines if "completions/" in line)
    assert {Path(name).name: folder for name, folder in installed.items()} == {
        "syslog-bridge": "usr/share/bash-completion/completions",
        "_syslog-bridge": "usr/share/zsh/vendor-completions",
        "syslog-bridge.fish": "usr/share/fish/vendor_completions.d",
    }
