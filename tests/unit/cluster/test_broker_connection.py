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


class BrokerConnectionFixture:
    """A broker connection with three addresses, of which only the given ones accept connections."""

    def __init__(self, *answering):
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock)
        self.answering = set(answering)
        self.tried = []
        self.opened = []
        self.connection = BrokerConnection(
            "test", URLS, connect=self.connect, clock=self.clock,
            on_connected=lambda: self.opened.append(self.connection.broker),
        )  # fmt: skip

    def connect(self, url):
        self.tried.append(url)
        if url not in self.answering:
            return defer.fail(BrokerError(f"{url} refuses"))
        return self.broker.connect(url)

    def pass_time(self, seconds):
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)


def test_addresses_are_tried_in_turn_without_a_delay():
    fixture = BrokerConnectionFixture("amqp://two")
    fixture.connection.start()
    assert fixture.connection.state == "up" and fixture.connection.broker == "amqp://two"
    assert fixture.connection.description == "connected to amqp://two"
    assert len(fixture.tried) == len(set(fixture.tried))


def test_all_addresses_are_tried_again_after_a_delay():
    fixture = BrokerConnectionFixture()
    fixture.connection.start()
    assert sorted(fixture.tried) == sorted(URLS)
    assert fixture.connection.state == "connecting" and "refuses" in fixture.connection.description
    fixture.pass_time(60)
    attempts = len(fixture.tried) / 3
    assert 8 <= attempts <= 30
    fixture.answering.add("amqp://three")
    fixture.pass_time(8)
    assert fixture.connection.broker == "amqp://three" and fixture.connection.unavailable_for == 0


def test_nodes_start_with_different_brokers():
    used = set()
    for _ in range(60):
        fixture = BrokerConnectionFixture(*URLS)
        fixture.connection.start()
        used.add(fixture.connection.broker)
    assert used == set(URLS)


def test_lost_session_is_replaced_at_another_address():
    fixture = BrokerConnectionFixture(*URLS)
    fixture.connection.start()
    first = fixture.connection.broker
    fixture.broker.lose("the broker died")
    assert not fixture.connection.is_connected and "the broker died" in fixture.connection.description
    fixture.pass_time(1)
    assert fixture.opened == [first, fixture.connection.broker] and fixture.connection.broker != first


def test_blocked_connection_is_unavailable_since_the_block():
    fixture = BrokerConnectionFixture(*URLS)
    fixture.connection.start()
    fixture.pass_time(5)
    assert fixture.connection.unavailable_for == 0
    fixture.broker.block("low on memory")
    fixture.pass_time(3)
    assert fixture.connection.state == "blocked" and "low on memory" in fixture.connection.description
    assert fixture.connection.unavailable_for == pytest.approx(3)
    fixture.answering.clear()
    fixture.broker.lose()
    fixture.pass_time(3)
    assert fixture.connection.unavailable_for == pytest.approx(6)


def test_no_address_is_tried_after_stop():
    fixture = BrokerConnectionFixture()
    fixture.connection.start()
    defer.ensureDeferred(fixture.connection.stop())
    tried = len(fixture.tried)
    fixture.pass_time(60)
    assert len(fixture.tried) == tried and fixture.connection.state == "stopped"


def test_channel_without_a_session_fails():
    fixture = BrokerConnectionFixture()
    failed = []
    fixture.connection.channel().addErrback(failed.append)
    assert failed and failed[0].check(BrokerError)


# --- pika -------------------------------------------------------------------------------------------------------------


def test_shared_backlog_without_pika_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    text = (Path(__file__).parents[3] / "conf" / "site-fleet.yaml").read_text()
    file = tmp_path / "bridge.yaml"
    file.write_text(re.sub(r"\{file: keys/\w+\}", "a-secret-of-16-letters", text))
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    (fault,) = raised.value.faults
    assert fault.message.endswith("Run pip install 'syslog-bridge[fleet]'.") and fault.line > 10


def test_gateway_without_a_shared_backlog_does_not_import_pika():
    code = "import sys, bridge.app.run, bridge.cli.main; sys.exit('pika' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
