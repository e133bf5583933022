"""Tests senders that try to stop the gateway over streams: tiny frames, and answers that are not read."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.relp import RelpClient
from tests.harness.running import running
from tests.harness.send import tcp, udp
from tests.harness.stall_probe import LONGEST_STALL

MIB = 1 << 20
ATTACKER, NEIGHBOUR = "127.0.9.9", "127.0.5.5"
OPEN = b"1 open 49 relp_version=0\nrelp_software=test\ncommands=syslog\n"


def resident(bridge: Bridge, what: str = "VmRSS") -> int:
    assert bridge.process is not None
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{bridge.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def metric(bridge: Bridge, name: str) -> float:
    text = bridge.get("/metrics")[1].decode()
    found = re.findall(rf"^syslog_bridge_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


@contextlib.contextmanager
def attacking(
    port: int, *, connections: int, frame: bytes, begins: bytes = b"", total: int = sys.maxsize
) -> Iterator[None]:
    """Sends over many connections of one address, as fast as they are read, and reads nothing.

    It ends after ``total`` bytes, at the latest with the block.
    """
    ended = threading.Event()
    block = frame * (65_536 // len(frame))

    def attack() -> None:
        with contextlib.ExitStack() as stack:
            left = {}
            for _ in range(connections):
                each = stack.enter_context(
                    socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(ATTACKER, 0))
                )
                each.sendall(begins)
                each.setblocking(False)
                left[each] = (total // connections // len(frame) * len(frame), 0)
            while left and not ended.is_set():
                for each, (size, at) in list(left.items()):
                    with contextlib.suppress(BlockingIOError):
                        try:
                            sent = each.send(block[at : at + size])
                        except ConnectionError:
                            del left[each]
                            continue
                        left[each] = (size - sent, (at + sent) % len(frame))
                        if size == sent:
                            del left[each]
                time.sleep(0.001)
            ended.wait()

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def events_of(bridge: Bridge, address: str) -> int:
    return sum(row["events"] for row in bridge.status()["sources"] if row["address"] == address)


FLOODS = [pytest.param(5_000, id="small"), pytest.param(50_000, id="full", marks=pytest.mark.long)]


@pytest.mark.weight(20)
@pytest.mark.parametrize("frame", [b"<1>\n", b"abc\n"], ids=["priority", "text"])
@pytest.mark.parametrize("datagrams", FLOODS)
def test_tiny_frames_of_one_address_do_not_hold_the_reactor(tmp_path: Path, frame: bytes, datagrams: int) -> None:
    """The attack lasts until a neighbour on UDP has lost nothing at 5,000/s, and one on TCP is served."""
    # The most expensive form that new configurations use.
    with running(tmp_path, intakes={"all": {"payload": "structured"}}) as (_, bridge):
        idle = resident(bridge)
        with attacking(bridge.tcp, connections=50, frame=frame), udp(source=NEIGHBOUR) as neighbour:
            until(lambda: events_of(bridge, ATTACKER) > 0, "attack has begun")
            began = time.monotonic()
            for number in range(datagrams):
                if number % 10 == 0:
                    time.sleep(max(0.0, began + number / 5_000 - time.monotonic()))
                neighbour.sendto(b"<13>Nov 24 00:00:00 gw app: %d" % number, ("127.0.0.1", bridge.udp))
            with tcp(bridge.tcp, source=NEIGHBOUR) as connection:
                connection.sendall(b"<13>Nov 24 00:00:00 gw app: served\n" * 10)
            until(lambda: events_of(bridge, NEIGHBOUR) == datagrams + 10, lambda: f"served: {bridge.status()}")
        assert metric(bridge, "udp_receive_buffer_drops_total") == 0
        assert metric(bridge, "reactor_stall_seconds") < LONGEST_STALL
        assert resident(bridge, "VmHWM") - idle < 150 * MIB


UNREAD = [pytest.param(20, 24 * MIB, id="small"), pytest.param(50, 300 * MIB, id="full", marks=pytest.mark.long)]


@pytest.mark.weight(10)
@pytest.mark.parametrize(("connections", "size"), UNREAD)
def test_answers_that_are_not_read_take_bounded_memory(tmp_path: Path, connections: int, size: int) -> None:
    """Each 6-byte command has an answer of 25 bytes. A client that does not read them is not read."""
    port = free_port()
    with running(tmp_path, listeners=[{"name": "relp", "relp": f"127.0.0.1:{port}"}]) as (collector, bridge):
        honest = RelpClient(port)
        idle = resident(bridge)
        with attacking(port, connections=connections, frame=b"1 x 0\n", begins=OPEN, total=size):
            until(lambda: unread(port) > 0, "the attackers are not read")
            honest.send([b"<13>Nov 24 00:00:00 gw app: %d" % number for number in range(500)])
            honest.wait_acknowledged(500)
            unread_before = -1
            # Until nothing moves: all are paused.
            while (now := unread(port)) != unread_before:
                unread_before = now
                time.sleep(0.5)
            assert now > 0
        assert resident(bridge, "VmHWM") - idle < 100 * MIB
        collector.wait_for(500)
        honest.close()


def unread(port: int) -> int:
    """Returns the bytes that wait in the sockets of a listener's connections."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(int(each[4].partition(":")[2], 16) for each in fields if each[1].endswith(f":{port:04X}"))


def test_client_that_never_reads_its_answers_is_closed(tmp_path: Path) -> None:
    """Within the time that keepalive gives a silent peer: while data is unsent, there are no probes."""
    port = free_port()
    listener = {"name": "relp", "relp": f"127.0.0.1:{port}", "keepalive": "1s"}
    with running(tmp_path, listeners=[listener]) as (_, bridge):
        with attacking(port, connections=2, frame=b"1 x 0\n", begins=OPEN, total=200 * MIB):
            until(
                lambda: bridge.status()["refusals"] == {"relp": {"answers_not_read": 2}},
                lambda: f"closed: {bridge.status()['refusals']}",
            )
        assert bridge.process is not None
        assert "is its RELP client stuck" in bridge.process.stderr


def test_unfinished_frames_of_many_connections_take_bounded_memory(tmp_path: Path) -> None:
    """400 connections hold 200 KB each. Those of the address with the most are closed, and an honest one is not."""
    with running(tmp_path) as (_, bridge), contextlib.ExitStack() as stack:
        honest = stack.enter_context(socket.create_connection(("127.0.0.1", bridge.tcp), source_address=(NEIGHBOUR, 0)))
        honest.sendall(b"<13>first half of a long line " + b"b" * 100_000)
        before = resident(bridge)
        for number in range(400):
            each = stack.enter_context(
                socket.create_connection(("127.0.0.1", bridge.tcp), source_address=(f"127.0.9.{1 + number // 40}", 0))
            )
            each.sendall(b"<13>" + b"a" * 200_000)
        until(lambda: metric(bridge, "connections_refused_total") > 200, "connections are closed")
        until(lambda: metric(bridge, "events_received_total") > 200, "what had arrived is taken")
        assert resident(bridge, "VmHWM") - before < 100 * MIB
        honest.sendall(b" second half\n")
        until(
            lambda: bridge.status()["ledger"]["received"] > 0 and _names(bridge, NEIGHBOUR), "the honest line arrives"
        )


def _names(bridge: Bridge, address: str) -> bool:
    return any(source["address"] == address for source in bridge.status()["sources"])
