"""Starts rsyslogd with `omhttp`, as `tests/peers/build-omhttp` builds it: a contender of the benchmark."""

from __future__ import annotations

from pathlib import Path

from tests.harness.process import Process
from tests.peers.unpacked import PEERS, PeerMissing

ROOT = PEERS / "rsyslog-http"


def is_built() -> bool:
    """Returns True if `build-omhttp` has built it."""
    return (ROOT / "complete").exists()


def launch(configuration: str, *, directory: Path) -> Process:
    """Starts `rsyslogd` in the foreground with this configuration. Raises PeerMissing."""
    if not is_built():
        raise PeerMissing("rsyslog with omhttp is not in .cache/peers: run `sh tests/peers/build-omhttp`")
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "rsyslog.conf"
    file.write_text(configuration)
    argv = [str(ROOT / "sbin/rsyslogd"), "-n", "-f", str(file), "-i", str(directory / "pid")]
    return Process(argv, directory=directory, name="rsyslogd", env={"TZ": "UTC"})
