"""The command line, in this process: a process of its own for each call would be most of a test's time."""

from __future__ import annotations

import subprocess
from typing import NamedTuple

from click.testing import CliRunner

from bridge.cli.main import main
from tests.harness.bridge import Bridge
from tests.harness.process import SYSLOG_BRIDGE


class Said(NamedTuple):
    """What a command said."""

    stdout: str
    stderr: str


def cli(bridge: Bridge, *words: str, given: str = "", code: int = 0) -> Said:
    """`syslog-bridge WORDS -c FILE` with `given` as its standard input; it must end with `code`."""
    bridge.write_configuration()
    result = CliRunner().invoke(main, [*words, "-c", str(bridge.file)], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    said = Said(result.stdout, result.stderr)
    assert result.exit_code == code, f"{words}: exit code {result.exit_code}\n{said.stdout}\n{said.stderr}"
    return said


def process(bridge: Bridge, *words: str, code: int = 0, seconds: float = 120) -> Said:
    """The same as a process, for what needs a reactor."""
    bridge.write_configuration()
    done = subprocess.run(
        [SYSLOG_BRIDGE, *words, "-c", str(bridge.file)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Said(done.stdout, done.stderr)
