"""What each part of a fleet costs: a gateway, then a courier, then the brokers between them, one after the other.

    python -m tests.bench.parts [--events 1000000] [--batch 20000]

The gateway takes the load W1 and hands it over, while no courier runs; then a courier delivers it. Each is told in
events per CPU second, the three brokers together too; and how large the batches were. Requests are compressed, as by
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
    parser.add_argument("--batch", type=int, default=20_000, help="events of a batch: small ones cost by the piece")
    options = parser.parse_args()
    if not installed():
        print("there is no rabbitmq-server (Debian: rabbitmq-server): sh tests/cluster installs it", file=sys.stderr)
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
            made = Bridge(directory / role, collector_url=f"https://localhost:{port}", intakes={"all": {}})
            made.configuration["collector"]["extra_ca_file"] = str(directory / "authority.pem")
            if role == "gateway":
                # The courier joins them, as it may.
                made.configuration["batch"] = {"max_events": batch}
            made.configuration["spool"]["share"] = {"amqp": cluster.urls, "role": role, "max_bytes": "10GB"}
            made.start()
            bridges.append(made)
            return made

        gateway = bridge("gateway")
        began, cost, of_brokers = time.monotonic(), _cost(gateway), _of(cluster)
        load = _module(
            "tests.bench.load", ["--load", "W1", "--port", str(gateway.tcp), "--events", str(events)], directory
        )
        until(lambda: gateway.ledger()["handed_over"] >= events, lambda: str(gateway.status()), deadline_seconds=300)
        load.wait()
        _told("gateway", events, _cost(gateway) - cost, time.monotonic() - began, _of(cluster) - of_brokers)
        batches = gateway.status()["fleet"]["queues"][0]["batches"]
        print(f"           peak {peak_rss_mb(_pid(gateway)):.0f} MB; {LOADS['W1'].description}")
        gateway.stop()
        bridges.remove(gateway)
        courier = bridge("courier")
        began, cost, of_brokers = time.monotonic(), _cost(courier), _of(cluster)
        until(lambda: Counts.read(counts).events >= events, lambda: str(courier.status()), deadline_seconds=300)
        _told("courier", events, _cost(courier) - cost, time.monotonic() - began, _of(cluster) - of_brokers)
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
    sink.wait_until(lambda: accepts(port), "it listens")
    return sink


def _pid(bridge: Bridge) -> int:
    assert bridge.process is not None
    return bridge.process.pid


def _cost(bridge: Bridge) -> float:
    return cpu_seconds(_pid(bridge))


def _of(cluster: Cluster) -> float:
    return sum(cpu_seconds(broker.process.pid) for broker in cluster.brokers if broker.process is not None)


def _told(what: str, events: int, cost: float, seconds: float, brokers: float) -> None:
    print(
        f"{what:<10} {events / cost:>9,.0f} events/CPU s ({cost:.2f} s); brokers {events / brokers:,.0f} events/CPU s"
        f" ({brokers:.2f} s, all three); {events / seconds:,.0f} events/s"
    )


if __name__ == "__main__":
    sys.exit(main())
