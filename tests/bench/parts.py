"""Measures the cost of each part of a cluster: a gateway, a courier, and the brokers between them.

    python -m tests.bench.parts [--events 1000000] [--batch 20000]

The gateway receives the load W1 and hands it over while no courier runs; then a courier delivers it. Prints events per
CPU second for each, and for the three brokers together, and the number of batches. Requests are compressed, as by
default.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import trustme

from tests.bench.load import LOADS
from tests.bench.measure import cpu_seconds, peak_rss_mb
from tests.bench.rounds import _module
from tests.bench.sink import Counts
from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process
from tests.harness.rabbit import Cluster, installed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parts", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=20_000, help="events per batch (each batch has a fixed cost)")
    options = parser.parse_args()
    if not installed():
        print(
            "rabbitmq-server is not installed (Debian: rabbitmq-server); sh tests/cluster installs it", file=sys.stderr
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="parts-") as directory:
        _run(Path(directory), options.events, options.batch)
    return 0


def _run(directory: Path, events: int, batch: int) -> None:
    cluster = Cluster(directory / "cluster")
    bridges: list[Bridge] = []
    try:
        cluster.start()
        counts, port = directory / "counts", free_port()
        Counts.create(counts)
        sink = _sink(directory, port, counts)

        def bridge(role: str) -> Bridge:
            new_bridge = Bridge(directory / role, collector_url=f"https://localhost:{port}", intakes={"all": {}})
            new_bridge.configuration["collector"]["extra_ca_file"] = str(directory / "authority.pem")
            if role == "gateway":
                # The courier may merge them into larger requests.
                new_bridge.configuration["batch"] = {"max_events": batch}
            new_bridge.configuration["cluster"] = {"amqp": cluster.urls, "role": role, "max_bytes": "10GB"}
            new_bridge.start()
            bridges.append(new_bridge)
            return new_bridge

        gateway = bridge("gateway")
        began, cost, broker_cost = time.monotonic(), _cost(gateway), _broker_cost(cluster)
        load = _module(
            "tests.bench.load", ["--load", "W1", "--port", str(gateway.tcp), "--events", str(events)], directory
        )
        until(lambda: gateway.ledger()["handed_over"] >= events, lambda: str(gateway.status()), deadline_seconds=300)
        load.wait()
        _print_row(
            "gateway", events, _cost(gateway) - cost, time.monotonic() - began, _broker_cost(cluster) - broker_cost
        )
        batches = gateway.status()["fleet"]["queues"][0]["batches"]
        print(f"           peak {peak_rss_mb(_pid(gateway)):.0f} MB; {LOADS['W1'].description}")
        gateway.stop()
        bridges.remove(gateway)
        courier = bridge("courier")
        began, cost, broker_cost = time.monotonic(), _cost(courier), _broker_cost(cluster)
        until(lambda: Counts.read(counts).events >= events, lambda: str(courier.status()), deadline_seconds=300)
        _print_row(
            "courier", events, _cost(courier) - cost, time.monotonic() - began, _broker_cost(cluster) - broker_cost
        )
        posts = Counts.read(counts).requests
        print(f"           peak {peak_rss_mb(_pid(courier)):.0f} MB; {posts} requests; about {batches} batches")
        sink.kill()
    finally:
        for each in bridges:
            each.kill()
        cluster.stop()


def _sink(directory: Path, port: int, counts: Path) -> Process:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "sink.pem"))
    options = ["--port", str(port), "--certificate", str(directory / "sink.pem"), "--counts", str(counts)]
    sink = _module("tests.bench.sink", options, directory)
    sink.wait_until(lambda: accepts(port), "listening")
    return sink


def _pid(bridge: Bridge) -> int:
    assert bridge.process is not None
    return bridge.process.pid


def _cost(bridge: Bridge) -> float:
    return cpu_seconds(_pid(bridge))


def _broker_cost(cluster: Cluster) -> float:
    return sum(cpu_seconds(broker.process.pid) for broker in cluster.brokers if broker.process is not None)


def _print_row(what: str, events: int, cost: float, seconds: float, brokers: float) -> None:
    print(
        f"{what:<10} {events / cost:>9,.0f} events/CPU s ({cost:.2f} s); brokers {events / brokers:,.0f} events/CPU s"
        f" ({brokers:.2f} s, all three); {events / seconds:,.0f} events/s"
    )


if __name__ == "__main__":
    sys.exit(main())
