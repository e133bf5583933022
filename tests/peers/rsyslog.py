"""Starts Debian's rsyslogd as a client of the bridge."""

from __future__ import annotations

from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.peers.client import Client, Forwarding
from tests.peers.unpacked import Unpacked

# rsyslog's template names for its default format and for RFC 5424.
_TEMPLATES = {
    "rfc3164": "RSYSLOG_TraditionalForwardFormat",
    "rfc5424": "RSYSLOG_SyslogProtocol23Format",
}


def start(forwarding: Forwarding, *, directory: Path) -> Client:
    """Starts `rsyslogd`, which reads RFC 3164 or 5424 lines and forwards them. Raises PeerMissing."""
    input_port = free_port()
    process = launch(_configuration(forwarding, input_port, directory), directory=directory)
    client = Client(process, input_port)
    client.wait_ready()
    return client


def launch(configuration: str, *, directory: Path) -> Process:
    """Starts `rsyslogd` in the foreground with this configuration. Raises PeerMissing."""
    unpacked = Unpacked.find("rsyslog")
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "rsyslog.conf"
    file.write_text(configuration)
    return Process(
        [unpacked.program("rsyslogd"), "-n", "-f", str(file), "-i", str(directory / "rsyslog.pid")],
        directory=directory,
        name="rsyslogd",
        env={**unpacked.environment, "RSYSLOG_MODDIR": unpacked.library("*/rsyslog")},
    )


def _configuration(forwarding: Forwarding, input_port: int, directory: Path) -> str:
    if forwarding.transport == "relp":
        return _relp(forwarding, input_port, directory)
    framing = "octet-counted" if forwarding.octet_counted else "traditional"
    files, driver, protocol = "", "", forwarding.transport
    if security := forwarding.security:
        files = f'defaultNetstreamDriverCAFile="{security.ca}"'
        if security.own is not None:
            files += f' defaultNetstreamDriverCertFile="{security.own.certificate}"'
            files += f' defaultNetstreamDriverKeyFile="{security.own.private_key}"'
        driver = 'StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name"'
        driver += f' StreamDriverPermittedPeers="{security.name}"'
        protocol = "tcp"
    return f"""
global(workDirectory="{directory}" {files})
module(load="imptcp")
input(type="imptcp" address="127.0.0.1" port="{input_port}")
action(type="omfwd" target="{forwarding.host}" port="{forwarding.port}" protocol="{protocol}" {driver}
       TCP_Framing="{framing}" template="{_TEMPLATES[forwarding.format]}" action.resumeRetryCount="-1")
"""


def _relp(forwarding: Forwarding, input_port: int, directory: Path) -> str:
    tls = ""
    if security := forwarding.security:
        tls = f'tls="on" tls.caCert="{security.ca}" tls.authMode="name" tls.permittedPeer="{security.name}"'
        if security.own is not None:
            tls += f' tls.myCert="{security.own.certificate}" tls.myPrivKey="{security.own.private_key}"'
    return f"""
global(workDirectory="{directory}")
module(load="imptcp")
module(load="omrelp" tls.tlslib="{forwarding.library}")
input(type="imptcp" address="127.0.0.1" port="{input_port}")
action(type="omrelp" target="{forwarding.host}" port="{forwarding.port}" {tls}
       template="{_TEMPLATES[forwarding.format]}" action.resumeRetryCount="-1" action.resumeInterval="1")
"""
