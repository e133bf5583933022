"""Runs commands in the test process; starting a process for each call would take most of a test's time."""

from __future__ import annotations

import subprocess
from typing import NamedTuple

from click.testing import CliRunner

from bridge.cli.main import main
from tests.harness.bridge import Bridge
from tests.harness.process import SYSLOG_BRIDGE


class Output(NamedTuple):
    """The output of a command."""

    stdout: str
    stderr: str


def cli(bridge: Bridge, *words: str, stdin: str = "", code: int = 0) -> Output:
    """Runs `syslog-bridge WORDS -c FILE` with `stdin` as standard input; asserts the exit code."""
    bridge.write_configuration()
    result = CliRunner().invoke(main, [*words, "-c", str(bridge.file)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    output = Output(result.stdout, result.stderr)
    assert result.exit_code == code, f"{words}: exit code {result.exit_code}\n{output.stdout}\n{output.stderr}"
    return output


def cli_process(bridge: Bridge, *words: str, code: int = 0, seconds: float = 120) -> Output:
    """Runs a command in a process of its own, for commands that need a reactor."""
    bridge.write_configuration()
    done = subprocess.run(
        [SYSLOG_BRIDGE, *words, "-c", str(bridge.file)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Output(done.stdout, done.stderr)
