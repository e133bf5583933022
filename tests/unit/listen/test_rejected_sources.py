"""Tests which rejected senders a listener remembers: why, how often, when, and that attackers cannot use up memory."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bridge.config import Listener
from bridge.listen import rejected_sources
from bridge.listen.listener import ListenerContext
from bridge.listen.rejected_sources import MOST, MOST_TEXT, RejectedSources
from bridge.listen.udp import UdpListener
from tests.unit.ingest.test_pipeline import Bridge, Reactor, Route, Tcp

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
FRAME = b"<13>Nov 23 12:00:00 gw app: one\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rejections_are_counted_by_address_and_reason_with_first_and_last_time() -> None:
    clock = Clock()
    rejected = RejectedSources(clock)
    rejected.note("secure", "192.0.2.7", "plain_text", "first")
    clock.now = 5.0
    rejected.note("secure", "::ffff:192.0.2.7", "plain_text", "second")
    rejected.note("secure", "192.0.2.8", "plain_text", "x")
    clock.now = 6.0
    rejected.note("secure", "192.0.2.7", "tls_version", "old")
    newest, older = rejected.of("192.0.2.7")
    assert (newest.reason, newest.count, newest.first, newest.last) == ("tls_version", 1, 6.0, 6.0)
    assert (older.reason, older.count, older.first, older.last, older.text) == ("plain_text", 2, 0.0, 5.0, "second")
    assert [each.address for each in rejected.all()] == ["192.0.2.7", "192.0.2.7", "192.0.2.8"]


def test_accepted_sender_is_fixed_until_it_is_rejected_again() -> None:
    clock = Clock()
    rejected = RejectedSources(clock)
    rejected.note("secure", "192.0.2.7", "plain_text", "text")
    clock.now = 3.0
    rejected.note_accepted("secure", "192.0.2.8")
    rejected.note_accepted("other", "192.0.2.7")
    (found,) = rejected.of("192.0.2.7")
    assert found.accepted is None
    rejected.note_accepted("secure", "192.0.2.7")
    clock.now = 4.0
    rejected.note_accepted("secure", "192.0.2.7")
    assert found.accepted == 3.0, "the first time counts"
    rejected.note("secure", "192.0.2.7", "plain_text", "text")
    assert (found.accepted, found.count) == (None, 2)


def test_forged_addresses_do_not_push_out_a_persistent_sender(monkeypatch: Any) -> None:
    monkeypatch.setattr(rejected_sources, "MOST", 50)
    clock = Clock()
    rejected = RejectedSources(clock)
    for _ in range(3):
        rejected.note("udp", "192.0.2.7", "not_in_allow", "x")
    for number in range(1000):
        clock.now += 1
        rejected.note("udp", f"2001:db8::{number:x}", "not_in_allow", "x")
    found = {each.address for each in rejected.all()}
    assert len(found) <= 50 < MOST
    assert {"192.0.2.7", "2001:db8::3e7"} <= found


def test_text_of_a_certificate_is_cut() -> None:
    rejected = RejectedSources(Clock())
    assert len(rejected.note("secure", "192.0.2.7", "client_name", "n" * 100_000).text) == MOST_TEXT


def test_reload_renames_and_forgets_listeners() -> None:
    rejected = RejectedSources(Clock())
    rejected.note("a", "192.0.2.7", "plain_text", "x")
    rejected.note("gone", "192.0.2.8", "plain_text", "x")
    rejected.rename("a", "b")
    rejected.keep(["b"])
    assert [(each.listener, each.address) for each in rejected.all()] == [("b", "192.0.2.7")]


def test_sender_that_changes_its_transport_is_accepted(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "spool", [Route("all", "a")])
    tcp = Tcp(bridge)
    tcp.connect().dataReceived(HELLO)
    sources = tcp.factory.connections.rejections.sources
    (found,) = sources.of("192.0.2.7")
    tcp.connect("192.0.2.8").dataReceived(FRAME)
    assert (found.reason, found.count, found.accepted) == ("tls_on_plain_port", 1, None)
    connection = tcp.connect()
    assert found.accepted is None, "a connection without data proves nothing"
    connection.dataReceived(FRAME)
    assert found.accepted is not None


def test_datagrams_are_counted_by_sender_until_a_reload_allows_it(tmp_path: Path, caplog: Any) -> None:
    bridge = Bridge(tmp_path / "spool", [Route("all", "a")])
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    bound.setblocking(False)
    rejected = RejectedSources(Clock())
    context = ListenerContext(Reactor(), bridge.pipeline, bridge.peers.get, 250 * 1024, rejected=rejected)  # type: ignore[arg-type]
    options = {"name": "udp", "receive_buffer": 4096}
    udp = UdpListener(Listener.model_construct(**options, allow=(ip_network("192.0.2.0/24"),)), bound, context)

    def send(count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(b"<13>Nov 23 12:00:00 gw app: x", bound.getsockname())
        assert udp.drain_once() == count

    try:
        send(3)
        send(2)
        (found,) = rejected.of("127.0.0.1")
        assert (found.reason, found.count, udp.refused) == ("not_in_allow", 5, {"not_in_allow": 5})
        bridge.check()
        udp.prepare_change(Listener.model_construct(**options, allow=(ip_network("127.0.0.0/8"),)), context)()
        assert found.accepted is None
        send(1)
        bridge.check(received=1, spooled=1)
        assert (found.accepted, found.count) == (0.0, 5)
    finally:
        udp.close(shared=False)
