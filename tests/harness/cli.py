"""The installed command, run to its end."""

from __future__ import annotations

import subprocess

from tests.harness.bridge import Bridge
from tests.harness.process import SYSLOG_BRIDGE


def cli(
    bridge: Bridge, *words: str, given: str = "", code: int = 0, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """`syslog-bridge WORDS -c FILE` with `given` as its standard input; it must end with `code`."""
    bridge.write_configuration()
    done = subprocess.run(
        [SYSLOG_BRIDGE, *words, "-c", str(bridge.file)], input=given, capture_output=True, text=True, timeout=seconds,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
