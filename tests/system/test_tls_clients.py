"""Tests which TLS clients a running bridge refuses by name or by cipher suite, and that the operator learns of them."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.bridge import Bridge
from tests.harness.cli import cli
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import running
from tests.harness.tls_clients import s_client, tls

WEAK = "ECDHE-ECDSA-AES128-SHA"


class Fixture(NamedTuple):
    bridge: Bridge
    pki: Authority
    named: int
    "Port of a listener with client_names."
    old: int
    "Port of a listener with legacy_ciphers."


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Fixture]:
    pki = Authority(tmp_path / "pki")
    server = pki.issue("127.0.0.1", file="server")
    served = {"cert_file": str(server.certificate), "key_file": str(server.private_key)}
    named, old = free_port(), free_port()
    listeners = [
        {"name": "named", "tls": f"127.0.0.1:{named}", **served, "client_ca_file": str(pki.ca),
         "client_names": ["*.branch.example"]},
        {"name": "old", "tls": f"127.0.0.1:{old}", **served, "legacy_ciphers": True},
    ]  # fmt: skip
    with running(tmp_path, listeners=listeners) as (_, bridge):
        yield Fixture(bridge, pki, named, old)


def test_client_with_more_labels_is_refused_and_named(gateway: Fixture) -> None:
    bridge, pki = gateway.bridge, gateway.pki
    with tls(gateway.named, pki.ca, pki.issue("a.branch.example")) as connection:
        connection.sendall(b"<13>accepted\n")
    bridge.wait_received(1)
    with contextlib.suppress(OSError, ssl.SSLError), tls(
        gateway.named, pki.ca, pki.issue("a.b.branch.example")
    ) as connection:  # fmt: skip
        connection.sendall(b"<13>refused\n")
        connection.recv(1)
    with contextlib.suppress(OSError, ssl.SSLError), tls(
        gateway.named, pki.ca, pki.issue("printer.example")
    ) as connection:  # fmt: skip
        connection.recv(1)
    until(lambda: bridge.status()["refusals"].get("named") == {"client_name": 2}, "both are refused")
    (row,) = bridge.status()["clients_not_in_client_names"]
    assert (row["listener"], row["names"][0], row["address"], row["pattern"]) == (
        "named", "a.b.branch.example", "127.0.0.1", "*.*.branch.example",
    )  # fmt: skip
    assert bridge.ledger()["received"] == 1
    saved = bridge.spool / ".clients.json"
    until(lambda: saved.exists() and "a.b.branch.example" in saved.read_text(), "the clients are saved")
    bridge.stop()
    assert warnings(bridge) == ["a.b.branch.example"]
    bridge.configuration["listeners"][0]["client_names"] = ["*.*.branch.example"]
    assert warnings(bridge) == ["a.branch.example"]
    bridge.configuration["listeners"][0]["client_names"] += ["*.branch.example"]
    assert warnings(bridge) == []
    bridge.start()
    assert bridge.status()["clients_not_in_client_names"] == []
    with tls(gateway.named, pki.ca, pki.issue("a.b.branch.example")) as connection:
        connection.sendall(b"<13>accepted\n")
    bridge.wait_received(1)


def warnings(bridge: Bridge) -> list[str]:
    """Returns the clients that ``check`` warns of."""
    rows = json.loads(cli(bridge, "check", "--format", "json").stdout)
    return re.findall(r"the client (\S+) \(127\.0\.0\.1, last seen", " ".join(row["message"] for row in rows))


def test_old_cipher_suites_need_an_option(gateway: Fixture) -> None:
    bridge = gateway.bridge
    options = ("-tls1_2", "-cipher", f"{WEAK}:@SECLEVEL=0", "-CAfile", str(gateway.pki.ca))
    output = s_client(gateway.old, b"<13>from an old device\n", *options)
    assert f"Cipher is {WEAK}" in output, output
    bridge.wait_received(1)
    s_client(gateway.named, b"<13>from an old device\n", *options)
    until(lambda: bridge.status()["refusals"].get("named") == {"tls_version": 1}, "the handshake has failed")
    assert bridge.process is not None
    (line,) = [line for line in bridge.process.stderr.splitlines() if "cipher suites" in line]
    assert "listener named: connection from 127.0.0.1 closed: the client offers only cipher suites" in line
    assert f"with CBC or static RSA ({WEAK})" in line and "set legacy_ciphers: true" in line
    assert bridge.ledger()["received"] == 1
