"""Tests that `discover --shadow` says of a forwarder what the real rsyslog and syslog-ng send."""

from __future__ import annotations

import json
import re
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from bridge.cli.discover import discover
from bridge.setup.import_kind import import_file
from tests.harness.captures import datagram, linked, packet, pcap
from tests.harness.forwarder_readings import MESSAGES, Reading
from tests.harness.ports import free_port
from tests.harness.stream_server import counted_message, serving
from tests.peers import rsyslog, syslog_ng
from tests.peers.unpacked import PeerMissing

KEYS = ("Site000000000001", "Rest000000000002", "Relay00000000003")
SITE, RELAY = 5514, 5515
TARGET = 10514
# The vendor's host is replaced by a sink before the start; --shadow reads the file as the operator has it.
GIVEN = Path(__file__).with_name("shadow_forwarders")
SERVERS = {"rsyslog": rsyslog.launch, "syslog-ng": syslog_ng.launch}


class Sent(NamedTuple):
    """What a forwarder has sent of a message."""

    key: str
    time: str
    text: str


class Sink:
    """Receives the lines or octet-counted messages of forwarders."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.port = 0

    def sent(self) -> dict[str, Sent]:
        """Returns what was sent of each message, by the sender that its text ends with."""
        found = {}
        for data in self.arrived:
            text = data.decode().strip("\n")
            key = re.search(r'intake_key="([^"]*)"\]', text)
            assert key is not None, text
            rest = text[key.end() :].strip()
            found[rest.rpartition(" ")[2]] = Sent(key[1], text.split(" ")[1], rest)
        return found


@contextmanager
def listening() -> Iterator[Sink]:
    sink = Sink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while first := self.rfile.read(1):
                if first == b"<":
                    sink.arrived.append(first + self.rfile.readline())
                elif message := counted_message(self.rfile, first):
                    sink.arrived.append(message)

    with serving(Handler) as sink.port:
        yield sink


def frames(name: str) -> list[tuple[str, int, bytes]]:
    """Returns sender, port and frame of messages that the server reads. Each ends with its sender."""
    found = []
    for number, message in enumerate(MESSAGES):
        reading: Reading | None = message.rsyslog if name == "rsyslog" else message.syslog_ng
        # rsyslog writes no header of RFC 5424 without a program, and a word alone has no text.
        if reading is not None and reading.text.strip() and message.frame.startswith(b"<"):
            for port in (SITE, RELAY):
                sender = f"127.{port - 5500}.1.{number}"
                found.append((sender, port, message.frame + f" {sender}".encode()))
    return found


@pytest.mark.parametrize("name", SERVERS)
def test_the_real_forwarder_sends_what_the_comparison_says(tmp_path: Path, name: str) -> None:
    given = (GIVEN / f"{name}.conf").read_text()
    file = tmp_path / "given.conf"
    ports = {SITE: free_port(), RELAY: free_port()}
    text = given.replace("/DIRECTORY", str(tmp_path))
    for old, new in ports.items():
        text = text.replace(str(old), str(new))
    file.write_text(text)
    messages = [(sender, ports[port], frame) for sender, port, frame in frames(name)]
    with listening() as sink:
        local = text.replace("intake.sekoia.io", "127.0.0.1").replace(str(TARGET), str(sink.port))
        try:
            server = SERVERS[name](local, directory=tmp_path / "server")
        except PeerMissing as missing:
            pytest.skip(str(missing))
        try:
            table = Path("/proc/net/udp")
            server.wait_until(
                lambda: all(f":{port:04X} " in table.read_text() for port in ports.values()), "listening"
            )  # fmt: skip
            for sender, port, frame in messages:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                    datagrams.bind((sender, 0))
                    datagrams.sendto(frame, ("127.0.0.1", port))
            server.wait_until(lambda: len(sink.arrived) >= len(messages), "sending all messages")
        finally:
            server.kill()
    sent = sink.sent()
    capture = tmp_path / "site.pcap"
    capture.write_bytes(
        pcap(linked(packet(datagram(frame, port=port), sender)) for sender, port, frame in messages)
    )  # fmt: skip
    options = ["--capture", str(capture), "--shadow", str(file), "--output", "json"]
    result = CliRunner().invoke(discover, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    keys = import_file(file, None, None, None).keys
    for row in json.loads(result.stdout)["senders"]:
        said, real = row["forwarder"], sent.pop(row["source"])
        assert (keys[said["intake"]], said["event"]) == (real.key, real.text), row
        # The capture has another time of reception.
        if real.time.startswith("2026-11-23"):
            times = (datetime.fromisoformat(said["event_timestamp"]), datetime.fromisoformat(real.time))
            assert abs(times[0] - times[1]) < timedelta(seconds=1), row
    assert sent == {}
    assert set(keys.values()) == set(KEYS)
