"""Tests the broker connection, and that pika is needed only with a shared backlog."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock

from bridge.cluster.broker import BrokerError
from bridge.cluster.broker_connection import BrokerConnection
from bridge.config import ConfigurationError, checks, load
from tests.harness.memory_broker import MemoryBroker

URLS = ["amqp://one", "amqp://two", "amqp://three"]


class World:
    """Three broker addresses, some of which answer."""

    def __init__(self, *answering):
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock)
        self.answering = set(answering)
        self.tried = []
        self.connection = BrokerConnection("test", URLS, connect=self.connect, clock=self.clock)

    def connect(self, url):
        self.tried.append(url)
        if url not in self.answering:
            return defer.fail(BrokerError(f"{url} refuses"))
        return self.broker.connect(url)

    def pass_time(self, seconds):
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)


def test_addresses_are_tried_in_turn_without_a_wait():
    world = World("amqp://two")
    world.connection.start()
    assert world.connection.state == "up" and world.connection.broker == "amqp://two"
    assert world.connection.description == "connected to amqp://two"
    assert len(world.tried) == len(set(world.tried))


def test_all_addresses_are_tried_again_after_a_wait():
    world = World()
    world.connection.start()
    assert sorted(world.tried) == sorted(URLS)
    assert world.connection.state == "connecting" and "refuses" in world.connection.description
    world.pass_time(60)
    rounds = len(world.tried) / 3
    assert 8 <= rounds <= 30
    world.answering.add("amqp://three")
    world.pass_time(8)
    assert world.connection.broker == "amqp://three" and world.connection.unavailable_for == 0


def test_nodes_start_with_different_brokers():
    begun = set()
    for _ in range(60):
        world = World(*URLS)
        world.connection.start()
        begun.add(world.connection.broker)
    assert begun == set(URLS)


def test_a_lost_session_is_replaced_at_the_next_address():
    world = World(*URLS)
    world.connection.start()
    first, opened = world.connection.broker, []
    world.connection.on_connected.append(lambda: opened.append(world.connection.broker))
    world.broker.lose("the broker died")
    assert not world.connection.is_connected and "the broker died" in world.connection.description
    world.pass_time(1)
    assert opened == [world.connection.broker] and world.connection.broker != first


def test_a_blocked_connection_is_unavailable_since_the_block():
    world = World(*URLS)
    world.connection.start()
    world.pass_time(5)
    assert world.connection.unavailable_for == 0
    world.broker.block("low on memory")
    world.pass_time(3)
    assert world.connection.state == "blocked" and "low on memory" in world.connection.description
    assert world.connection.unavailable_for == pytest.approx(3)
    world.answering.clear()
    world.broker.lose()
    world.pass_time(3)
    assert world.connection.unavailable_for == pytest.approx(6)


def test_no_address_is_tried_after_stop():
    world = World()
    world.connection.start()
    defer.ensureDeferred(world.connection.stop())
    tried = len(world.tried)
    world.pass_time(60)
    assert len(world.tried) == tried and world.connection.state == "stopped"


def test_a_channel_without_a_session_fails():
    world = World()
    failed = []
    world.connection.channel().addErrback(failed.append)
    assert failed and failed[0].check(BrokerError)


# --- pika -------------------------------------------------------------------------------------------------------------


def test_a_shared_backlog_without_pika_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    text = (Path(__file__).parents[3] / "conf" / "site-fleet.yaml").read_text()
    file = tmp_path / "bridge.yaml"
    file.write_text(re.sub(r"\{file: keys/\w+\}", "a-secret-of-16-letters", text))
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    (fault,) = raised.value.faults
    assert fault.message.endswith("Run pip install 'syslog-bridge[fleet]'.") and fault.line > 10


def test_a_gateway_without_a_shared_backlog_does_not_import_pika():
    code = "import sys, bridge.app.run, bridge.cli.main; sys.exit('pika' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
