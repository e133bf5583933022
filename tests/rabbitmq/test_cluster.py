"""Tests three bridges with real senders and a real RabbitMQ cluster: every event arrives, whichever process dies.

`sh tests/cluster` runs them. Each test leaves all brokers and bridges running for the next one.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge
from tests.harness.collector import Collector
from tests.harness.messages import number_of, rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.rabbit import Cluster, installed
from tests.harness.send import send_lines
from tests.peers.unpacked import PeerMissing, Unpacked
from tests.rabbitmq.cluster import ALONE_AFTER, INTAKES, Gateways, intakes, report

_RELP_WINDOW = 128  # messages that rsyslog sends ahead of their acknowledgements

pytestmark = pytest.mark.skipif(not installed(), reason="no rabbitmq-server here (Debian: rabbitmq-server)")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Cluster]:
    own = authority.issue("localhost")
    tls = {
        "ssl_options.cacertfile": authority.ca,
        "ssl_options.certfile": own.certificate,
        "ssl_options.keyfile": own.private_key,
        "ssl_options.verify": "verify_none",
    }
    made = Cluster(tmp_path_factory.mktemp("cluster"), tls={key: str(value) for key, value in tls.items()})
    try:
        began = time.monotonic()
        made.start()
        report(f"three brokers are one cluster after {time.monotonic() - began:.0f} s")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def gateways(cluster: Cluster, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    try:
        Unpacked.find("rsyslog")
    except PeerMissing as missing:
        pytest.skip(str(missing))
    directory = tmp_path_factory.mktemp("gateways")
    made = Gateways(directory, cluster, ca=authority.ca)
    try:
        made.start(directory)
        yield made
    finally:
        made.stop()


def duplicates(gateways: Gateways, before: int) -> str:
    gateways.collector.refresh()
    return f"{gateways.duplicates() - before} events came twice"


def test_events_of_every_bridge_arrive_once(gateways: Gateways) -> None:
    with gateways.load():
        pass
    assert gateways.duplicates() == 0
    ledgers = [bridge.ledger() for bridge in gateways.bridges]
    received = sum(ledger["received"] for ledger in ledgers)
    assert sum(ledger["delivered"] for ledger in ledgers) == received
    assert sum(ledger["handed_over"] for ledger in ledgers) == sum(ledger["taken_over"] for ledger in ledgers) > 0
    assert all(ledger["delivered"] for ledger in ledgers), "a bridge did not deliver"


def test_killed_bridge_loses_no_event(gateways: Gateways) -> None:
    before = gateways.duplicates()
    with gateways.load() as load:
        gateways.bridges[0].kill()
        others = load.wait_flowing([1, 2])
        # Its spool waits for it, as without a shared backlog; what it has published does not.
        gateways.bridges[0].start()
        again = load.wait_flowing()
    gateways.wait_sharing()
    report(f"kill -9 of a bridge: the others' events flow after {others:.1f} s, its own {again:.1f} s after its start;"
           f" {duplicates(gateways, before)}")  # fmt: skip


@pytest.mark.parametrize("leader", [False, True], ids=["any", "leader"])
def test_killed_broker_loses_no_event(gateways: Gateways, leader: bool) -> None:
    before = gateways.duplicates()
    lead = gateways.cluster.leader_of(f"{gateways.prefix}.{INTAKES[0]}")
    victim = lead if leader else next(broker for broker in gateways.cluster.brokers if broker is not lead)
    with gateways.load() as load:
        victim.kill()
        took = load.wait_flowing()
        victim.start()
        gateways.cluster.wait_formed()
        load.wait_flowing()
    gateways.wait_sharing()
    which = "of a queue's leader" if leader else "of another broker"
    report(f"kill -9 {which}: events of all bridges flow after {took:.1f} s; {duplicates(gateways, before)}")


def test_partitioned_broker_loses_no_event(gateways: Gateways) -> None:
    before = gateways.duplicates()
    victim = gateways.cluster.leader_of(f"{gateways.prefix}.{INTAKES[0]}")
    with gateways.load() as load:
        gateways.cluster.partition(victim)
        took = load.wait_flowing()
        gateways.cluster.heal(victim)
        gateways.cluster.wait_formed()
        load.wait_flowing()
    gateways.wait_sharing()
    report(f"a leader is parted: events of all bridges flow after {took:.1f} s; {duplicates(gateways, before)}")


def _stop_all_brokers(gateways: Gateways, seconds: float) -> None:
    before = gateways.duplicates()
    with gateways.load() as load:
        for broker in gateways.cluster.brokers:
            broker.kill()
        alone = load.wait_flowing()
        gone = time.monotonic()
        until(lambda: time.monotonic() - gone >= seconds, "outage of the brokers", deadline_seconds=seconds + 60)
        assert all(bridge.status()["fleet"]["alone"] for bridge in gateways.bridges)
        began = time.monotonic()
        for broker in gateways.cluster.brokers:
            broker.launch()
        for broker in gateways.cluster.brokers:
            broker.wait_started()
        gateways.cluster.wait_formed()
        up = time.monotonic() - began
        shared = load.wait_for(
            lambda: not any(bridge.status()["fleet"]["alone"] for bridge in gateways.bridges), "all bridges share again"
        )
        load.wait_flowing()
    gateways.wait_sharing()
    report(f"all brokers gone for {seconds + up:.0f} s: each bridge delivers by itself after {alone:.1f} s"
           f" (fallback_after: {ALONE_AFTER} s); shared again {shared:.1f} s after the cluster's start;"
           f" {duplicates(gateways, before)}")  # fmt: skip


def test_bridges_deliver_alone_while_all_brokers_are_down(gateways: Gateways) -> None:
    _stop_all_brokers(gateways, 1.0)


@pytest.mark.long
def test_bridges_deliver_alone_while_all_brokers_are_down_a_minute(gateways: Gateways) -> None:
    _stop_all_brokers(gateways, 60.0)


def _raise_disk_alarm(gateways: Gateways, seconds: float) -> None:
    before = gateways.duplicates()
    with gateways.load() as load:
        gateways.cluster.raise_disk_alarm(gateways.cluster.brokers[0])
        blocked = load.wait_for(
            lambda: all(bridge.status()["fleet"]["state"] == "blocked" for bridge in gateways.bridges),
            "all bridges are blocked",
        )
        broker_state = gateways.bridges[0].status()["fleet"]["broker"]
        assert "low on disk" in broker_state, broker_state
        alone = load.wait_flowing()
        begun = time.monotonic()
        until(lambda: time.monotonic() - begun >= seconds, "duration of the alarm", deadline_seconds=seconds + 60)
        gateways.cluster.clear_disk_alarm(gateways.cluster.brokers[0])
        shared = load.wait_for(
            lambda: all(bridge.status()["fleet"]["state"] == "up" for bridge in gateways.bridges),
            "no bridge is blocked",
        )
    gateways.wait_sharing()
    report(f"a broker's disk alarm: all know after {blocked:.1f} s, each delivers by itself {alone:.1f} s later;"
           f" shared again {shared:.1f} s after its end; {duplicates(gateways, before)}")  # fmt: skip


def test_bridges_deliver_alone_during_a_disk_alarm(gateways: Gateways) -> None:
    _raise_disk_alarm(gateways, 1.0)


@pytest.mark.long
def test_bridges_deliver_alone_during_a_disk_alarm_of_a_minute(gateways: Gateways) -> None:
    _raise_disk_alarm(gateways, 60.0)


def test_check_compares_the_intakes_with_the_queues(gateways: Gateways, tmp_path: Path) -> None:
    share = gateways.bridges[0].configuration["cluster"]
    other_node = Bridge(tmp_path, collector_url=gateways.collector.url, intakes=intakes() | {"firewall": {}})
    other_node.configuration["cluster"] = share
    code, output = run_check(other_node)
    assert code == 0, output
    assert output.count("the broker accepts the login") == 3
    for name in INTAKES:
        assert f"queue {gateways.prefix}.{name}: 0 batches waiting, 3 couriers connected" in output
    assert f"queue {gateways.prefix}.firewall does not exist yet" in output
    assert "Do other nodes use another intake name?" in output
    # A wrong password, an untrusted issuer, and a server that is not a broker.
    wrong = {"username": "guest", "password": "not-this-one"}
    other_node.configuration["cluster"] = share | wrong
    code, output = run_check(other_node)
    assert code == 1 and "the broker rejects the login of guest" in output and "not-this-one" not in output
    other_node.configuration["cluster"] = {key: share[key] for key in ("amqp", "username", "password")}
    code, output = run_check(other_node)
    assert code == 1 and "untrusted issuer" in output
    other_node.configuration["cluster"] = {"amqp": f"amqp://127.0.0.1:{gateways.collector.port}"}
    code, output = run_check(other_node)
    assert code == 1 and "amqp" in output


def run_check(bridge: Bridge) -> tuple[int, str]:
    command = [SYSLOG_BRIDGE, "check", "-c", str(bridge.write_configuration()), "--connect"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_status_and_metrics_show_the_queues(gateways: Gateways) -> None:
    bridge = gateways.bridges[1]
    command = [SYSLOG_BRIDGE, "status", "--sources", "-c", str(bridge.file)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "shared backlog: connected to amqps://localhost:" in output
    assert "3 couriers share the request rate" in output and "taken_over" in output and "handed_over" in output
    metrics = bridge.get("/metrics")[1].decode()
    assert "syslog_bridge_fleet_broker_up 1.0" in metrics and "syslog_bridge_fleet_couriers 3.0" in metrics
    for name in INTAKES:
        assert f'syslog_bridge_fleet_queue_couriers{{intake="{name}"}} 3.0' in metrics
    assert f'syslog_bridge_fleet_handed_over_total{{intake="{INTAKES[0]}"}}' in metrics
    assert "syslog_bridge_ledger_imbalance_events 0.0" in metrics


def test_duplicates_do_not_exceed_the_counted_ones(gateways: Gateways) -> None:
    """Counts over all tests above; rsyslog resends up to one window of messages to the killed bridge."""
    gateways.collector.refresh()
    counted = gateways.possible_duplicates()
    report(f"in all: {gateways.duplicates()} events came twice, {counted} are counted as possible duplicates")
    assert gateways.duplicates() <= counted + _RELP_WINDOW


def test_events_refused_by_a_full_queue_wait_in_the_spool(cluster: Cluster, tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    share = {"amqp": cluster.urls, "queue_prefix": tmp_path.name, "max_bytes": "1MB"}
    bridges = []
    for role in ("gateway", "courier"):
        bridge = Bridge(tmp_path / role, collector_url=collector.url, intakes=intakes())
        bridge.configuration["cluster"] = share | {"role": role}
        bridge.configuration["batch"] = {"max_age": "200ms", "max_events": 500}
        bridges.append(bridge)
    gateway, courier = bridges
    # A broker that is busy takes twice the limit before it refuses.
    count, now = 90_000, datetime.now(UTC)
    try:
        gateway.start()
        send_lines(gateway.tcp, (rfc5424(number, now).frame for number in range(count)))
        gateway.wait_received(count)
        until(lambda: gateway.status()["fleet"]["queues"][0]["full"], lambda: f"queue is full: {gateway.status()}")
        ledger = gateway.ledger()
        assert ledger["spooled"] > count / 3 and ledger["handed_over"] > 1000, ledger
        assert "is full" in gateway.status()["headline"]["text"]
        # The queue is full, not unreachable: no event bypasses it, so there are no possible duplicates.
        assert gateway.status()["possible_duplicates"] == {}
        collector.start()
        courier.start()
        until(
            lambda: len({number_of(text) for text in collector.texts()} if collector.refresh() else ()) == count,
            lambda: f"all events arrive: {len(collector.arrived)}, {gateway.status()}, {courier.status()}",
            deadline_seconds=120,
            every_seconds=0.2,
        )
        assert len(collector.arrived) == count
        until(lambda: gateway.ledger()["spooled"] == 0, "spool of the gateway is empty")
        assert gateway.ledger()["handed_over"] == count
    finally:
        for each in bridges:
            each.kill()
        collector.stop()


@pytest.mark.parametrize("count", [pytest.param(100_000, id="100000")])
def test_published_backlog_of_a_dead_gateway_is_delivered_by_others(
    cluster: Cluster, tmp_path: Path, count: int
) -> None:
    """No operator action is needed: the running couriers deliver it."""
    collector = Collector(tmp_path)
    share = {"amqp": cluster.urls, "queue_prefix": tmp_path.name}

    def bridge(name: str, role: str) -> Bridge:
        made = Bridge(tmp_path / name, collector_url=collector.url, intakes=intakes())
        made.configuration["cluster"] = share | {"role": role}
        made.configuration["batch"] = {"max_age": "200ms", "max_events": 1000}
        made.start()
        return made

    gateway = bridge("gateway", "gateway")
    # The couriers run before their collector: what they take is requeued until it answers.
    couriers = [bridge(f"courier{number}", "courier") for number in range(2)]
    try:
        now = datetime.now(UTC)
        send_lines(gateway.tcp, (rfc5424(number, now).frame for number in range(count)))
        until(lambda: gateway.ledger()["handed_over"] == count, lambda: f"all events are published: {gateway.status()}")
        gateway.kill()
        collector.start()
        began = time.monotonic()
        until(
            lambda: len({number_of(text) for text in collector.texts()} if collector.refresh() else ()) == count,
            lambda: f"{count} events: {len(collector.arrived)}, {[each.status() for each in couriers]}",
            deadline_seconds=240,
            every_seconds=0.5,
        )
        took = time.monotonic() - began
        shares = [each.ledger()["delivered"] for each in couriers]
        assert all(shares), shares
        report(f"a dead gateway's {count} published events: delivered by two others within {took:.0f} s of the"
               f" collector's return ({shares[0]} and {shares[1]}),"
               f" {len(collector.arrived) - count} came twice")  # fmt: skip
    finally:
        for each in (gateway, *couriers):
            each.kill()
        collector.stop()
