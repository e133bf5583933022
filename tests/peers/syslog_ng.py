"""Starts Debian's syslog-ng as a client of the bridge."""

from __future__ import annotations

from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.peers.client import Client, Forwarding
from tests.peers.unpacked import Unpacked


def start(forwarding: Forwarding, *, directory: Path) -> Client:
    """Starts `syslog-ng`, which reads RFC 5424 lines and forwards them. Raises PeerMissing."""
    input_port = free_port()
    process = launch(_configuration(forwarding, input_port), directory=directory)
    client = Client(process, input_port)
    client.wait_ready()
    return client


def launch(configuration: str, *, directory: Path) -> Process:
    """Starts `syslog-ng` in the foreground with this configuration. Raises PeerMissing."""
    unpacked = Unpacked.find("syslog-ng")
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "syslog-ng.conf"
    file.write_text(configuration)
    argv = [unpacked.program("syslog-ng"), "-F", "--no-caps", "-f", str(file)]
    argv += [f"--module-path={unpacked.library('syslog-ng/[0-9]*')}"]
    # Every path that would otherwise be below /var.
    argv += ["-R", str(directory / "persist"), "-p", str(directory / "pid"), "-c", str(directory / "control")]
    return Process(argv, directory=directory, name="syslog-ng", env=unpacked.environment)


def _configuration(forwarding: Forwarding, input_port: int) -> str:
    return f"""@version: 3.38
options {{ keep-hostname(yes); use-dns(no); stats-freq(0); frac-digits(3); ts-format(bsd); }};
source fed {{ network(transport("tcp") ip("127.0.0.1") port({input_port}) flags(syslog-protocol)); }};
destination bridge {{ {_destination(forwarding)} }};
log {{ source(fed); destination(bridge); }};
"""


def _destination(forwarding: Forwarding) -> str:
    """Builds the destination: `syslog()` over TCP counts octets, `network()` sends lines, in RFC 5424 with a flag."""
    where = f'"{forwarding.host}" port({forwarding.port}) transport("{forwarding.transport}")'
    if security := forwarding.security:
        files = f'ca-file("{security.ca}")'
        if security.own is not None:
            files += f' cert-file("{security.own.certificate}") key-file("{security.own.private_key}")'
        where += f" tls({files} peer-verify(required-trusted))"
    if forwarding.octet_counted:
        assert forwarding.format == "rfc5424", "syslog-ng counts octets only in RFC 5424"
        return f"syslog({where});"
    flags = " flags(syslog-protocol)" if forwarding.format == "rfc5424" else ""
    return f"network({where}{flags});"
