"""Sends messages with util-linux's `logger`, one process per message."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from tests.peers.unpacked import PeerMissing


def log(message: str, *, port: int, options: Sequence[str], tag: str = "logger-test", host: str = "127.0.0.1") -> None:
    """Sends one message; `options` are logger's own (`--udp --rfc5424`, `--tcp --octet-count` ...)."""
    program = shutil.which("logger")
    if program is None:
        raise PeerMissing("logger is not installed (Debian: bsdutils)")
    argv = [program, "--server", host, "--port", str(port), "--priority", "local3.notice", "--tag", tag]
    # UTC: logger writes RFC 3164 times in local time, without a zone.
    subprocess.run([*argv, *options, "--", message], check=True, timeout=60, env={"TZ": "UTC", "LC_ALL": "C"})
