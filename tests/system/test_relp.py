"""Tests RELP: an acknowledged message survives a kill of the bridge and a power cut."""

from __future__ import annotations

import shutil
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness import power
from tests.harness.agent import Agent
from tests.harness.bridge import Bridge, key_of
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.relp import RelpClient
from tests.harness.running import bridging, collecting, running
from tests.peers import rsyslog
from tests.peers.client import Forwarding, Security
from tests.peers.unpacked import PeerMissing

POWER = Path(power.__file__)


def add_relp_listener(bridge: Bridge, **options: Any) -> int:
    port = free_port()
    bridge.configuration["listeners"].append({"name": "relp", "relp": f"127.0.0.1:{port}", **options})
    return port


@pytest.mark.parametrize("library", [None, "openssl", "gnutls"])
def test_rsyslog_messages_over_relp_arrive_once(tmp_path: Path, library: str | None) -> None:
    """Every message arrives exactly once."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        security = None
        if library is not None:
            authority = Authority(tmp_path / "pki")
            issued = authority.issue("gateway.example")
            own = authority.issue("client.example")
            port = add_relp_listener(bridge, cert_file=str(issued.certificate), key_file=str(issued.private_key),
                             client_ca_file=str(authority.ca))  # fmt: skip
            security = Security(authority.ca, own, "gateway.example")
        else:
            port = add_relp_listener(bridge)
        bridge.start()
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        sent = [rfc5424(i, start + timedelta(milliseconds=10 * i)) for i in range(500)]
        try:
            to = Forwarding(port, "relp", "rfc5424", security=security, library=library or "openssl")
            client = rsyslog.start(to, directory=tmp_path / "peer")
        except PeerMissing as missing:
            pytest.skip(str(missing))
        try:
            client.feed(message.frame.decode() for message in sent)
            bridge.wait_received(len(sent))
            bridge.wait_drained()
            assert Counter(event.text for event in collector.wait_for(500)) == Counter(one.text for one in sent)
        finally:
            client.stop()
        assert bridge.status()["sources"][0]["listener"] == "relp"


def test_filtered_unrouted_and_oversize_frames_are_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path, intakes={"all": {}}, max_frame_size="1KiB",
                 routes=[{"name": "noise", "drop": True, "message": {"contains": ["noise"]}},
                         {"intake": "all", "message": {"contains": ["good"]}}],
                 unrouted="hold") as (collector, bridge):  # fmt: skip
        bridge.stop()
        port = add_relp_listener(bridge)
        bridge.start()
        client = RelpClient(port)
        frames = [b"<13>good", b"<13>noise", b"<13>strange", b"<13>" + b"x" * 5000, b"<13>two\nlines, good"]
        client.send(frames)
        client.wait_acknowledged(5)
        ledger = bridge.ledger()
        assert (ledger["received"], ledger["filtered"], ledger["quarantined"]) == (5, 1, 2)
        assert client.command(b"no", b"such").startswith(b"500")
        client.command(b"close")
        with pytest.raises(ConnectionError):
            client.read()
        assert client.rest == b"0 serverclose 0\n"
        assert sorted(event.text for event in collector.wait_for(2)) == ["good", "two#012lines, good"]
        plain_client = RelpClient(port, open_=False)
        plain_client._socket.sendall(b"<13>plain syslog\n")
        with pytest.raises(ConnectionError):
            plain_client.read()
        process = bridge.process
        assert process is not None
        until(
            lambda: "the received data is not RELP: is it a RELP client" in process.stderr, "protocol error is logged"
        )


class RelpLoad:
    """Runs clients that send as fast as they are acknowledged, until the bridge ends."""

    def __init__(self, port: int, run: int, clients: int = 3) -> None:
        self.acknowledged: list[bytes] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(port, f"{run}-{n}")) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, port: int, name: str) -> None:
        number, client = 0, None
        try:
            client = RelpClient(port)
            while number < 20_000:
                client.send(b"<13>event %b-%d" % (name.encode(), n) for n in range(number, number + 20))
                number += 20
                client.wait_acknowledged(number)
        except (OSError, ConnectionError, AssertionError):
            pass
        if client is not None:
            with self._lock:
                self.acknowledged += client.acknowledged
            client.close()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


def texts(acknowledged: list[bytes]) -> set[str]:
    return {frame.removeprefix(b"<13>").decode() for frame in acknowledged}


def test_kill_loses_no_acknowledged_message(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        port = add_relp_listener(bridge)
        acknowledged: list[bytes] = []
        for run in range(3):
            bridge.start()
            load = RelpLoad(port, run)
            until(lambda: bridge.ledger()["received"] > 300, "load is received")
            bridge.kill()
            load.wait()
            assert load.acknowledged
            acknowledged += load.acknowledged
        bridge.start()
        bridge.wait_drained()
        assert texts(acknowledged) <= {event.text for event in collector.refresh()}


def test_power_cut_loses_no_acknowledged_message(tmp_path: Path) -> None:
    """With RELP, HTTPS and `fsync: never`; the collector is unreachable, so all events must come from the disk."""
    with collecting(tmp_path) as collector, bridging(tmp_path, "http://127.0.0.1:9") as bridge:
        port = add_relp_listener(bridge)
        bridge.configuration["spool"]["fsync"] = "never"
        bridge.configuration["routes"] = [{"intake": "all", "message": {"contains": ["event"]}}]
        bridge.configuration["unrouted"] = "hold"
        authority = Authority(tmp_path / "pki")
        issued = authority.issue("localhost")
        https = free_port()
        bridge.configuration["listeners"].append(
            {"name": "post", "https": f"127.0.0.1:{https}", "cert_file": str(issued.certificate),
             "key_file": str(issued.private_key)}
        )  # fmt: skip
        shadow = tmp_path / "shadow"
        argv = [sys.executable, "-P", str(POWER), str(shadow), "run", "-c", str(bridge.write_configuration())]
        bridge.process = Process(argv, directory=bridge.directory, name="bridge")
        bridge.process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "/readyz answers 200")
        unrouted_client = RelpClient(port)
        unrouted_client.send([b"<13>nobody routes this %d" % i for i in range(3)])
        unrouted_client.wait_acknowledged(3)
        load = RelpLoad(port, 0, clients=2)
        posted = set()
        agent = Agent(https, authority.ca)
        until(lambda: bridge.ledger()["received"] > 500, "load is received")
        for number in range(5):
            status, *_ = agent.post(
                "/plain", b"posted event %d" % number, X_SEKOIAIO_INTAKE_KEY=key_of("all")
            )  # fmt: skip
            assert status == 200
            posted.add(f"posted event {number}")
        bridge.kill()
        load.wait()
        found = tmp_path / "found"
        power.after_power_cut(shadow, bridge.spool, found)
        shutil.rmtree(bridge.spool)
        found.rename(bridge.spool)
        bridge.configuration["collector"]["url"] = collector.url
        bridge.start()
        bridge.wait_drained()
        assert load.acknowledged
        assert texts(load.acknowledged) | posted <= {event.text for event in collector.refresh()}
        assert bridge.ledger()["quarantined"] == 3
