"""A link that is kept up, and what a share needs of the machine."""

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
    """Three addresses, some of which answer."""

    def __init__(self, *answering):
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock)
        self.answering = set(answering)
        self.tried = []
        self.link = BrokerConnection("test", URLS, connect=self.connect, clock=self.clock)

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
    world.link.start()
    assert world.link.state == "up" and world.link.broker == "amqp://two"
    assert world.link.words == "connected to amqp://two"
    assert len(world.tried) == len(set(world.tried))


def test_when_none_answers_all_are_tried_again_in_a_while():
    world = World()
    world.link.start()
    assert sorted(world.tried) == sorted(URLS)
    assert world.link.state == "connecting" and "refuses" in world.link.words
    world.pass_time(60)
    rounds = len(world.tried) / 3
    assert 8 <= rounds <= 30
    world.answering.add("amqp://three")
    world.pass_time(8)
    assert world.link.broker == "amqp://three" and world.link.away_for == 0


def test_nodes_begin_with_different_brokers():
    begun = set()
    for _ in range(60):
        world = World(*URLS)
        world.link.start()
        begun.add(world.link.broker)
    assert begun == set(URLS)


def test_a_lost_session_is_replaced_at_the_next_address():
    world = World(*URLS)
    world.link.start()
    first, ups = world.link.broker, []
    world.link.on_up.append(lambda: ups.append(world.link.broker))
    world.broker.lose("the broker died")
    assert not world.link.is_up and "the broker died" in world.link.words
    world.pass_time(1)
    assert ups == [world.link.broker] and world.link.broker != first


def test_what_is_blocked_is_not_up_and_has_been_so_since_it_began():
    world = World(*URLS)
    world.link.start()
    world.pass_time(5)
    assert world.link.away_for == 0
    world.broker.block("low on memory")
    world.pass_time(3)
    assert world.link.state == "blocked" and "low on memory" in world.link.words
    assert world.link.away_for == pytest.approx(3)
    world.answering.clear()
    world.broker.lose()
    world.pass_time(3)
    assert world.link.away_for == pytest.approx(6)


def test_after_the_end_nothing_is_tried():
    world = World()
    world.link.start()
    defer.ensureDeferred(world.link.stop())
    tried = len(world.tried)
    world.pass_time(60)
    assert len(world.tried) == tried and world.link.state == "stopped"


def test_a_channel_without_a_session_fails():
    world = World()
    failed = []
    world.link.channel().addErrback(failed.append)
    assert failed and failed[0].check(BrokerError)


# --- pika -------------------------------------------------------------------------------------------------------------


def test_a_share_without_pika_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    text = (Path(__file__).parents[3] / "conf" / "site-fleet.yaml").read_text()
    file = tmp_path / "bridge.yaml"
    file.write_text(re.sub(r"\{file: keys/\w+\}", "a-secret-of-16-letters", text))
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    (fault,) = raised.value.faults
    assert fault.message.endswith("pip install 'syslog-bridge[fleet]'") and fault.line > 10


def test_a_bridge_without_a_share_does_not_import_pika():
    code = "import sys, bridge.app.run, bridge.cli.main; sys.exit('pika' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
