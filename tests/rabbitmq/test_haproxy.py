"""Tests two gateways with separate spools behind a real HAProxy: the first layout of the page on clusters."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process
from tests.rabbitmq.cluster import report

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy here (Debian: haproxy)")

# As in the documentation, with free ports and fast health checks. A gateway that pauses is not dead: without a timeout
# of their own the checks fail after 200 ms, and HAProxy ends connections whose messages nobody would send again.
_CONFIGURATION = """\
defaults
    mode tcp
    timeout connect 5s
    timeout check 30s
    timeout client 1h
    timeout server 1h
    option redispatch
    retries 3

{frontends}
"""
_FRONTEND = """\
listen syslog-{kind}
    bind 127.0.0.1:{front}
    balance leastconn
    option httpchk GET /readyz
    default-server send-proxy-v2 check inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[tuple[Collector, list[Bridge], dict[str, int], Authority]]:
    authority = Authority(tmp_path / "pki")
    own = authority.issue("localhost")
    collector = Collector(tmp_path)
    collector.start()
    bridges: list[Bridge] = []
    ports: list[dict[str, int]] = []
    for number in range(2):
        bridge = Bridge(
            tmp_path / f"gateway{number}", collector_url=collector.url, intakes={"devices": {}, "nobody": {}}
        )
        ports.append({"tcp": free_port(), "tls": free_port()})
        for kind, port in ports[-1].items():
            listener: dict[str, object] = {"name": f"b-{kind}", kind: f"127.0.0.1:{port}"}
            listener["trusted_proxies"] = ["127.0.0.1"]
            if kind == "tls":
                listener |= {"cert_file": str(own.certificate), "key_file": str(own.private_key)}
            bridge.configuration["listeners"].append(listener)
        # The address in HAProxy's PROXY header decides, not HAProxy's own.
        bridge.configuration["routes"] = [{"intake": "devices", "source": "127.0.9.7"}]
        bridge.configuration["unrouted"] = {"intake": "nobody"}
        bridge.start()
        bridges.append(bridge)
    fronts = {kind: free_port() for kind in ("tcp", "tls")}
    frontends = "\n".join(
        _FRONTEND.format(
            kind=kind,
            front=front,
            servers="\n".join(
                f"    server gateway{number} 127.0.0.1:{ports[number][kind]} port {bridge.admin}"
                for number, bridge in enumerate(bridges)
            ),
        )
        for kind, front in fronts.items()
    )
    file = tmp_path / "haproxy.cfg"
    file.write_text(_CONFIGURATION.format(frontends=frontends))
    haproxy = Process(["haproxy", "-db", "-f", str(file)], directory=tmp_path, name="haproxy")
    try:
        haproxy.wait_until(lambda: all(map(accepts, fronts.values())), "listening")
        yield collector, bridges, fronts, authority
    finally:
        haproxy.kill()
        for bridge in bridges:
            bridge.kill()
        collector.stop()


class Device:
    """Sends over one connection at a time, and reconnects after it is cut."""

    def __init__(self, front: int, context: ssl.SSLContext | None) -> None:
        self._front = front
        self._context = context
        self._connection: socket.socket | None = None

    def send(self, data: bytes) -> None:
        if self._connection is None:
            raw = socket.create_connection(("127.0.0.1", self._front), timeout=30, source_address=("127.0.9.7", 0))
            context = self._context
            self._connection = context.wrap_socket(raw, server_hostname="localhost") if context else raw
        self._connection.sendall(data)

    def cut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_gateway_killed_behind_the_balancer_loses_no_event(
    layout: tuple[Collector, list[Bridge], dict[str, int], Authority], kind: str
) -> None:
    collector, bridges, fronts, authority = layout
    context = ssl.create_default_context(cafile=str(authority.ca)) if kind == "tls" else None
    devices = [Device(fronts[kind], context) for _ in range(4)]
    now = datetime.now(UTC)
    sent = []

    def send_from_all(first: int) -> None:
        for number, device in enumerate(devices):
            block = [rfc5424(first + 100 * number + i, now) for i in range(100)]
            device.send(b"".join(each.frame + b"\n" for each in block))
            sent.extend(each.text for each in block)

    send_from_all(0)
    collector.wait_for(400)
    shares = [bridge.ledger()["received"] for bridge in bridges]
    assert min(shares) >= 100, shares
    bridges[0].kill()
    # A device notices that its connection is cut at its next write, or the one after.
    for device in devices:
        device.cut()

    def reach() -> bool:
        try:
            devices[0].send(b"<13>1 - h probe - - - are you there\n")
        except OSError:
            devices[0].cut()
            return False
        return True

    until(reach, "balancer uses the other gateway", every_seconds=0.2)
    for first in (10_000, 20_000):
        send_from_all(first)
    until(
        lambda: set(sent) <= set(collector.texts()) if collector.refresh() else False,
        "all events arrive through the other gateway",
    )
    bridges[0].start()
    collector.refresh()
    key = key_of("devices")
    assert {event.key for event in collector.arrived if event.text in set(sent)} == {key}, (
        "routed by another address than the device's"
    )
    report(f"two gateways behind HAProxy, {kind}: {shares[0]} and {shares[1]} events before one died; all arrived")
