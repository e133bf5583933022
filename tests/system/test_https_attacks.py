"""Tests that no client of an HTTPS listener can stop the gateway: neighbours lose nothing, memory stays bounded."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.background import BackgroundSender
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.stall_probe import LONGEST_STALL
from tests.system.test_https_listener import add_https_listener

RATE = 5000
MEMORY = 150 << 20
LINE = b"<13>Nov 28 18:00:00 host app: an event of ordinary length, number %06d ............\n"

Answer = tuple[int, dict[str, str], Any]


class Neighbour(BackgroundSender):
    """Sends datagrams at a steady rate."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def _run(self) -> None:
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.3.3", 0))
            while not self._stop.wait(0.005):
                while self.sent < (time.monotonic() - began) * RATE:
                    sender.sendto(b"<14>1 - near udp - - - number %d" % self.sent, ("127.0.0.1", self._port))
                    self.sent += 1


@dataclass
class Attacked:
    """A gateway under attack, and what its neighbour and the operator see of it."""

    bridge: Bridge
    collector: Collector
    port: int
    ca: Path
    pool: ThreadPoolExecutor
    idle: int
    neighbour: Neighbour

    def memory(self) -> int:
        """Returns the most memory that the gateway has used, in bytes."""
        assert self.bridge.process is not None
        text = Path(f"/proc/{self.bridge.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) << 10

    def metrics(self) -> dict[str, float]:
        text = self.bridge.get("/metrics")[1].decode()
        return {name: float(value) for name, value in re.findall(r"^syslog_bridge_(\S+) (\S+)$", text, re.M)}

    def counted(self) -> float:
        """Returns the datagrams that were received, or dropped by the kernel."""
        metrics = self.metrics()
        dropped = metrics['udp_receive_buffer_drops_total{listener="udp"}']
        return metrics['events_received_total{listener="udp"}'] + dropped

    def refused(self, reason: str) -> float:
        return self.metrics().get(f'connections_refused_total{{listener="post",reason="{reason}"}}', 0)

    def post(self, path: str, body: bytes, source: str = "127.0.4.4", **headers: str) -> Future[Answer]:
        """Starts a request from an address, on a connection of its own."""

        def run() -> Answer:
            agent = Agent(self.port, self.ca, source=source)
            try:
                return agent.post(path, body, **headers)
            finally:
                agent.close()

        return self.pool.submit(run)

    def connect(self, source: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0))
        return ssl.create_default_context(cafile=str(self.ca)).wrap_socket(plain, server_hostname="localhost")

    def assert_unharmed(self) -> None:
        """Asserts the bounds, and that each of the neighbour's datagrams has arrived or is counted as dropped."""
        self.neighbour.__exit__()
        sent = self.neighbour.sent
        assert sent > RATE // 2
        # A machine that is busy for seconds lets the kernel drop some.
        until(lambda: self.counted() == sent, lambda: f"{sent} datagrams are received or dropped: {self.counted()}")
        assert self.metrics()["reactor_stall_seconds"] < LONGEST_STALL
        assert self.memory() - self.idle < MEMORY


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    authority = Authority(tmp_path / "pki")
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url) as bridge,
        ThreadPoolExecutor(16) as pool,
        ExitStack() as ending,
    ):
        port = add_https_listener(bridge, authority)
        bridge.start()
        neighbour = Neighbour(bridge.udp)
        attacked = Attacked(bridge, collector, port, authority.ca, pool, 0, neighbour)
        neighbour.__enter__()
        ending.callback(neighbour.__exit__)
        until(lambda: neighbour.sent > RATE // 2, "datagrams are sent")
        attacked.idle = attacked.memory()
        yield attacked


BOMBS = {
    "short lines": ("/plain/batch", b"abc\n" * 2_600_000),
    "lines with gaps": ("/plain/batch", b"a\n\n" * 3_400_000),
    "short strings": ("/jsons", b"[" + b'"ab",' * 2_000_000 + b'"a"]'),
    "empty objects": ("/array", b"[" + b"{}," * 3_400_000 + b"{}]"),
    "one object of empty lists": ("/jsons", b'[{"a":[' + b"[]," * 3_400_000 + b"[]]}]"),
    "strings beside the events": ("/batch", b'{"x":[' + b'"ab",' * 2_000_000 + b'"a"],"jsons":["a"]}'),
    "names beside the events": ("/batch", b"{" + b'"a":1,' * 1_740_000 + b'"a":1}'),
    "names beside the path": ("/jsons?path=$.x", b"{" + b'"a":1,' * 1_740_000 + b'"a":1}'),
    "blanks": ("/jsons", b"[" + b" " * 10_400_000 + b'"a",1]'),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_request_that_inflates_to_millions_of_events_is_refused(attacked: Attacked, name: str) -> None:
    path, body = BOMBS[name]
    small = gzip.compress(body)
    assert len(small) < 20_000
    for answer in [attacked.post(path, small, Content_Encoding="gzip") for _ in range(5)]:
        assert answer.result(180)[0] in (400, 413)
    attacked.assert_unharmed()
    assert attacked.metrics().get('events_received_total{listener="post"}', 0) == 0


def test_largest_requests_of_one_address_do_not_keep_others_waiting(attacked: Attacked) -> None:
    """Each request is as large as may be, and each is stored. Other agents are served between them."""
    large = gzip.compress(b"".join(LINE % number for number in range(100_000)))
    flood = [attacked.post("/plain/batch", large, Content_Encoding="gzip") for _ in range(8)]
    # By then the others wait for their turn.
    until(lambda: any(answer.done() for answer in flood), "a large request is answered")
    small = 0
    waiting_after: list[int] = []
    while not all(answer.done() for answer in flood):
        answer = attacked.post("/plain", b"an honest event", "127.0.5.5", X_SEKOIAIO_INTAKE_KEY=key_of("all"))
        assert answer.result(180)[0] == 200
        small += 1
        waiting_after.append(sum(not answer.done() for answer in flood))
    statuses = Counter(answer.result()[0] for answer in flood)
    assert statuses == {200: 8}
    # In order of arrival it would be one of the last. How many honest requests fit in between depends on the machine.
    assert waiting_after[0] >= 3, f"large requests that waited when an honest one was answered: {waiting_after}"
    assert len(flood[0].result()[2]["event_ids"]) == 100_000
    attacked.assert_unharmed()
    assert attacked.metrics()['events_received_total{listener="post"}'] == 800_000 + small


def test_unfinished_bodies_fill_the_buffer_only_up_to_its_limit(attacked: Attacked) -> None:
    head = b"POST /plain/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    with ExitStack() as stack:
        for source in ("127.0.4.1", "127.0.4.2", "127.0.4.3"):
            for _ in range(8):
                connection = stack.enter_context(attacked.connect(source))
                with suppress(OSError):  # a refused request is not read to its end
                    connection.sendall(head + b"x" * 9_900_000)
        until(lambda: attacked.refused("request_buffer") >= 8, "requests are refused")
        for _ in range(5):
            answer = attacked.post("/plain/batch", b"honest\n" * 100_000, "127.0.5.5")
            assert answer.result(180)[0] == 200
        attacked.assert_unharmed()
    process = attacked.bridge.process
    assert process is not None
    assert "listener post: request from 127.0.4.1 refused: 503, " in process.stderr


def test_wrong_keys_are_refused_before_the_body_counted_and_logged_at_a_limited_rate(attacked: Attacked) -> None:
    for number in range(60):
        with attacked.connect("127.0.4.4") as connection:
            connection.sendall(
                b"POST /plain/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-%d\r\n"
                b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n" % number
            )
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 401
            assert "Authorization must be Basic" in json.loads(response.read())["error"]
    assert attacked.refused("intake_key") == 60
    process = attacked.bridge.process
    assert process is not None
    lines = [line for line in process.stderr.splitlines() if "request from 127.0.4.4 refused: 401" in line]
    assert 1 <= len(lines) < 30
    assert "secret" not in process.stderr
    attacked.assert_unharmed()


def test_reload_while_a_request_is_processed_loses_and_repeats_nothing(attacked: Attacked) -> None:
    body = gzip.compress(b"".join(LINE % number for number in range(100_000)))
    answers = [attacked.post("/plain/batch", body, Content_Encoding="gzip") for _ in range(3)]
    process = attacked.bridge.process
    assert process is not None
    for _ in range(6):
        before = process.stderr.count("reload: ")
        process.signal(1)
        until(lambda: process.stderr.count("reload: ") > before, "the gateway reloads")  # noqa: B023
    assert [answer.result()[0] for answer in answers] == [200, 200, 200], [answer.result()[2] for answer in answers]
    assert attacked.metrics()['events_received_total{listener="post"}'] == 300_000
    assert attacked.bridge.ledger()["dropped"] == {}


def test_stop_while_requests_are_processed_keeps_each_whole_or_not_at_all(tmp_path: Path) -> None:
    """A request that was answered with 200 is in the spool. Of the others, none is there in part."""
    authority = Authority(tmp_path / "pki")
    count = 60_000
    with bridging(tmp_path, "http://127.0.0.1:9") as bridge, ThreadPoolExecutor(6) as pool:
        port = add_https_listener(bridge, authority)
        bridge.start()
        started = threading.Barrier(7)

        def send(number: int) -> int:
            agent = Agent(port, authority.ca)
            started.wait(60)
            body = gzip.compress(b"".join(b"<13>request %d event %d\n" % (number, event) for event in range(count)))
            try:
                status: int = agent.post("/plain/batch", body, Content_Encoding="gzip")[0]
            except (OSError, http.client.HTTPException):
                return 0
            return status

        answers = [pool.submit(send, number) for number in range(6)]
        started.wait(60)
        until(lambda: bridge.ledger()["received"] >= count, "the first request is stored")
        bridge.stop()
        statuses = [answer.result(180) for answer in answers]
        stored: Counter[int] = Counter()
        for file in (bridge.spool / "all").iterdir():
            stored.update(int(found) for found in re.findall(rb"request (\d) event", file.read_bytes()))
        assert set(stored.values()) == {count}, stored
        assert {number for number, status in enumerate(statuses) if status == 200} <= set(stored)
