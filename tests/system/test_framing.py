"""Tests how frames are cut from a stream (RFC 6587 as devices use it), and on which addresses listeners accept."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.ports import has_ipv6
from tests.harness.running import running
from tests.harness.send import send_lines, tcp, udp


class FramingFixture:
    def __init__(self, collector: Collector, bridge: Bridge) -> None:
        self.collector, self.bridge = collector, bridge

    def arrived(self, count: int, since: int) -> list[str]:
        """Waits for `count` events after the first `since`, and returns the texts of all events after it."""
        until(lambda: len(self.collector.refresh()) >= since + count, lambda: f"{count} events: {self.describe(since)}")
        self.bridge.wait_drained()
        return [event.text for event in self.collector.refresh()[since:]]

    def describe(self, since: int) -> str:
        return f"{self.collector.arrived[since:]}\n{self.bridge.status()}"


# The event is the frame itself, so that a wrong cut is visible.
RAW = {"payload": "raw"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FramingFixture]:
    with running(tmp_path_factory.mktemp("framing"), intakes={"all": RAW}, batch={"max_age": "50ms"}) as running_system:
        yield FramingFixture(*running_system)


def counted(frame: bytes) -> bytes:
    return b"%d %b" % (len(frame), frame)


A, B, C = b"<30>one: first", b"<31>two: second, longer", b"<32>three: third"

STREAMS = {
    "lf": (A + b"\n" + B + b"\n", [A, B]),
    "crlf": (A + b"\r\n" + B + b"\r\n", [A, B]),
    "nul": (A + b"\0" + B + b"\0", [A, B]),
    "lf tail at close": (A + b"\n" + B, [A, B]),
    "blank lines are no events": (b"\n\r\n" + A + b"\n\n\n" + B + b"\n", [A, B]),
    "counted": (counted(A) + counted(B) + counted(C), [A, B, C]),
    "counted, LF inside": (counted(A + b"\n" + B) + counted(C), [A + b"#012" + B, C]),
    "counted, LF at the end of each": (counted(A + b"\n") + counted(B + b"\n"), [A, B]),
    "counted, then a line each": (counted(A) + B + b"\n" + C + b"\n", [A, B, C]),
    "counted, a line, counted": (counted(A) + B + b"\n" + counted(C), [A, B, C]),
    "digits that are text": (b"2024 Aug 27 21:40:50 text\n<30>two\n", [b"2024 Aug 27 21:40:50 text", b"<30>two"]),
    "digits that are text, later": (A + b"\n16 bit words\n", [A, b"16 bit words"]),
    "a line far longer than a read": (b"<30>" + b"x" * 200_000 + b"\n" + A + b"\n", [b"<30>" + b"x" * 200_000, A]),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("step", [None, 1], ids=["whole", "byte by byte"])
def test_stream_is_cut_into_its_frames(system: FramingFixture, name: str, step: int | None) -> None:
    stream, frames = STREAMS[name]
    if step and len(stream) > 1000:
        step = 999  # about as many writes as a short stream has bytes
    since = len(system.collector.refresh())
    with tcp(system.bridge.tcp) as connection:
        # Each write becomes a segment of its own.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), step or len(stream)):
            connection.sendall(stream[start : start + (step or len(stream))])
    assert system.arrived(len(frames), since) == [frame.decode() for frame in frames]


def test_unfinished_counted_frame_is_quarantined(system: FramingFixture) -> None:
    since, held = len(system.collector.refresh()), system.bridge.ledger()["quarantined"]
    with tcp(system.bridge.tcp) as connection:
        connection.sendall(counted(A) + b"100 <30>cut off")
    assert system.arrived(1, since) == [A.decode()]
    until(lambda: system.bridge.ledger()["quarantined"] == held + 1, lambda: system.describe(since))


def test_frames_of_two_connections_do_not_mix(system: FramingFixture) -> None:
    """The pieces of two connections alternate; one closes in the middle of its line."""
    since = len(system.collector.refresh())
    with tcp(system.bridge.tcp) as one, tcp(system.bridge.tcp) as two:
        for connection in (one, two):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for left, right in zip(A, C, strict=False):
            one.sendall(bytes([left]))
            two.sendall(bytes([right]))
        two.sendall(C[len(A) :] + b"\n")
        assert system.arrived(1, since) == [C.decode()]
    assert system.arrived(2, since) == [C.decode(), A.decode()]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("address", ["[::1]", "*"])
def test_listener_accepts_ipv4_and_ipv6_as_configured(tmp_path_factory: pytest.TempPathFactory, address: str) -> None:
    """`*` accepts both families on one port, and routes see an IPv4 peer as an IPv4 address; `[::1]` accepts IPv6."""
    with running(
        tmp_path_factory.mktemp("families"),
        intakes={"other": RAW, "four": RAW, "six": RAW},
        routes=[{"intake": "four", "source": "127.0.0.1"}, {"intake": "six", "source": "::1"}],
    ) as (collector, bridge):
        bridge.stop()
        bridge.configuration["listeners"] = [{"udp": f"{address}:{bridge.udp}"}, {"tcp": f"{address}:{bridge.tcp}"}]
        bridge.start()
        hosts = ["127.0.0.1", "::1"] if address == "*" else ["::1"]
        for host in hosts:
            send_lines(bridge.tcp, [f"<30>tcp {host}".encode()], host=host)
            with udp(source=host) as origin:
                origin.sendto(f"<30>udp {host}".encode(), (host, bridge.udp))
        bridge.wait_received(2 * len(hosts))
        collector.wait_for(2 * len(hosts))
        bridge.wait_drained()
        keys = {"127.0.0.1": key_of("four"), "::1": key_of("six")}
        wanted = {(keys[host], f"<30>{kind} {host}") for host in hosts for kind in ("udp", "tcp")}
        assert {(event.key, event.text) for event in collector.refresh()} == wanted
        assert len(collector.arrived) == len(wanted)
