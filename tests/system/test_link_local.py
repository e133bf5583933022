"""Tests link-local IPv6 senders, whose address carries a zone, from another network namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cli import cli
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import running

SEND = """
import socket, ssl, sys
kind, zone, port = sys.argv[1:]
address = socket.getaddrinfo(f"fe80::1%{zone}", int(port), socket.AF_INET6)[0][4]
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as sender:
    sender.connect(address)
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sender = context.wrap_socket(sender)
    sender.sendall(f"<13>by {kind}\\n".encode())
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture
def namespace() -> Iterator[tuple[str, str, str]]:
    """Yields a namespace with `fe80::2`, its interface, and the interface of this side, which has `fe80::1`."""
    name = f"bridge-{os.getpid()}"
    ours, theirs = f"vo{os.getpid()}", f"vt{os.getpid()}"
    if shutil.which("ip") is None:
        pytest.skip("no ip command (Debian: iproute2)")
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not permit network namespaces: {error.stderr.decode().strip()}")
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("addr", "add", "fe80::1/64", "dev", ours, "nodad")
        ip("link", "set", ours, "up")
        # The kernel would add an address of its own, and send from that one as soon as no other host has it.
        ip("-n", name, "link", "set", theirs, "addrgenmode", "none")
        ip("-n", name, "addr", "add", "fe80::2/64", "dev", theirs, "nodad")
        ip("-n", name, "link", "set", theirs, "up")
        yield name, theirs, ours
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not permit virtual interfaces: {error.stderr.decode().strip()}")
    finally:
        subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
        ip("netns", "del", name)


def test_link_local_senders_are_routed_and_listed_by_their_address(
    tmp_path: Path, namespace: tuple[str, str, str]
) -> None:
    """`source:` and `allow:` match the address. It is found with and without its zone."""
    name, theirs, ours = namespace
    with running(tmp_path, intakes={"local": {}, "other": {}}) as (collector, bridge):
        bridge.stop()
        bridge.configuration["routes"] = [{"intake": "local", "source": "fe80::/10"}]
        bridge.configuration["unrouted"] = "hold"
        ports = {"udp": bridge.udp, "tcp": bridge.tcp, "tls": free_port()}
        issued = Authority(tmp_path / "pki").issue("gateway")
        secure = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
        bridge.configuration["listeners"].append({"name": "tls", **secure})
        for listener in bridge.configuration["listeners"]:
            kind = listener["name"]
            listener |= {kind: f"*:{ports[kind]}", "allow": ["fe80::/10"]}
        bridge.start()

        def send(kind: str) -> None:
            argv = ["ip", "netns", "exec", name, sys.executable, "-c", SEND, kind, theirs, str(ports[kind])]
            subprocess.run(argv, check=True, timeout=60)

        for count, kind in enumerate(ports, 1):
            send(kind)
            bridge.wait_received(count)
        texts = sorted(event.text for event in collector.wait_for(3))
        assert texts == ["by tcp", "by tls", "by udp"]
        until(lambda: bridge.ledger()["delivered"] == 3, lambda: str(bridge.ledger()))
        listed = bridge.status()["sources"]
        addresses = {(row["listener"], row["address"], row["intake"]) for row in listed}
        assert len(listed) == len(addresses) == 3
        ((address, intake),) = {(row["address"], row["intake"]) for row in listed}
        assert (address, intake) == ("fe80::2", "local")
        for asked in (address, f"{address}%{ours}"):
            seen = json.loads(cli(bridge, "why", asked, "--json").stdout)["seen"]
            assert {row["listener"] for row in seen} == set(ports)
            assert "stops at" not in cli(bridge, "why", asked).stdout
        assert bridge.process is not None
        assert "critical" not in bridge.process.stderr
