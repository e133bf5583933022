"""Tests `mirror_to`, `rate_limit` and `alert_if_silent_for` in a running bridge."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same
from tests.harness.messages import rfc5424
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_copies_reach_tcp_and_udp_targets_and_dead_targets_only_drop(
    tmp_path: Path, family: socket.AddressFamily, host: str
) -> None:
    sent = [rfc5424(number, datetime.now(UTC)) for number in range(100)]
    closed_port = free_port()
    with (
        collecting(tmp_path) as collector,
        socket.create_server((host, 0), family=family) as stream,
        socket.socket(family, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind((host, 0))
        literal = f"[{host}]" if ":" in host else host
        targets = [
            f"tcp://{literal}:{stream.getsockname()[1]}",
            f"udp://{literal}:{datagrams.getsockname()[1]}",
            f"tcp://127.0.0.1:{closed_port}",
        ]
        routes = [{"name": "all", "intake": "all", "source": "127.0.0.1", "mirror_to": targets}]
        with bridging(tmp_path, collector.url, routes=routes) as bridge:
            bridge.start()
            stream.settimeout(180)
            connection, _ = stream.accept()
            datagrams.settimeout(180)
            connection.settimeout(180)
            mirror = lambda: bridge.status()["copies"]  # noqa: E731
            with connection:
                tries = 0

                def both_open() -> bool:
                    nonlocal tries
                    tries += 1
                    send_lines(bridge.tcp, [b"<13>tries"])
                    bridge.wait_received(tries)
                    return all(mirror()[target]["sent"] for target in targets[:2])

                until(both_open, lambda: str(mirror()))
                send_lines(bridge.tcp, (message.frame for message in sent))
                got_datagrams = []
                while len(got_datagrams) < len(sent):
                    frame = datagrams.recv(65536)
                    got_datagrams += [frame] if b"number" in frame else []
                data = b""
                while data.count(b"number ") < len(sent) or not data.endswith(b"\n"):
                    data += connection.recv(65536)
            frames = [message.frame for message in sent]
            assert got_datagrams == frames
            assert [line for line in data.split(b"\n") if b"number" in line] == frames
            collector.wait_for(len(sent) + tries)
            assert_same((text for text in collector.texts() if "number" in text), (message.text for message in sent))
            dead = mirror()[targets[2]]
            assert dead == {"sent": 0, "dropped": len(sent) + tries}
            assert not bridge.ledger()["dropped"], "copies do not count as events"
            metrics = bridge.get("/metrics")[1].decode()
            assert f'syslog_bridge_copies_dropped_total{{target="{targets[2]}"}} {dead["dropped"]}.0' in metrics
            process = bridge.process
            assert process is not None
            text = f"mirror_to {targets[2]}: no connection, copies are dropped"
            until(lambda: text in process.stderr, lambda: process.stderr)
            assert process.stderr.count(text) == 1


def test_source_limit_drops_events_and_expect_reports_a_silent_source(tmp_path: Path) -> None:
    sources = [
        {"source": "127.0.0.2", "rate_limit": "10/s"},
        {"source": "127.0.0.3", "name": "fw-lyon", "alert_if_silent_for": "1s"},
    ]
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, sources=sources) as bridge:
        bridge.start()
        send_lines(bridge.tcp, [b"<13>many"] * 5000, source="127.0.0.2")
        send_lines(bridge.tcp, [b"<13>another"] * 500)
        bridge.wait_received(5500)
        bridge.wait_drained()
        ledger = bridge.ledger()
        assert ledger["dropped"]["source_limit"] + ledger["delivered"] == 5500
        assert 510 <= ledger["delivered"] < 1000
        limited = {row["address"]: row["limited"] for row in bridge.status()["sources"]}
        assert limited == {"127.0.0.1": 0, "127.0.0.2": ledger["dropped"]["source_limit"]}

        def silent() -> bool:
            return "127.0.0.3" in bridge.status()["silent_sources"]

        until(silent, lambda: str(bridge.status()["alarms"]))
        assert any("fw-lyon (127.0.0.3) has been silent" in alarm["text"] for alarm in bridge.status()["alarms"])
        assert "syslog_bridge_sources_silent 1.0" in bridge.get("/metrics")[1].decode()
