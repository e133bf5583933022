"""Three brokers, three bridges, a collector, and a real rsyslogd before each bridge that resends what is not
acknowledged: so whatever a test does to the rest, every message must arrive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.collector import Collector
from tests.harness.messages import number_of
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.rabbit import Cluster
from tests.harness.traffic import Traffic
from tests.peers import rsyslog
from tests.peers.client import Client, Forwarding

INTAKES = ("firewalls", "linux")
ALONE_AFTER = 3
_ARRIVES_WITHIN = 120.0


def report(text: str) -> None:
    """A line of what was measured, for who runs the command."""
    if path := os.environ.get("TESTS_CLUSTER_REPORT"):
        with Path(path).open("a") as file:
            file.write(f"{text}\n")


class Gateways:
    """All of it. `numbers` are given out once: each message of a run has its own."""

    def __init__(self, directory: Path, cluster: Cluster, *, ca: Path) -> None:
        self.cluster = cluster
        self.collector = Collector(directory)
        self.collector.start()
        self.next_number = 0
        self.relp: list[int] = []
        self.bridges: list[Bridge] = []
        self.senders: list[Client] = []
        self.prefix = directory.name
        password = directory / "password"
        password.write_text("guest\n")
        # As in the field: over TLS, with a name and a password.
        terms = {
            "amqp": cluster.tls_urls, "ca_file": str(ca), "username": "guest", "password": {"file": str(password)},
            "alone_after": f"{ALONE_AFTER}s", "queue_prefix": self.prefix,
        }  # fmt: skip
        for number in range(3):
            bridge = Bridge(directory / f"bridge{number}", collector_url=self.collector.url, intakes=intakes())
            port = free_port()
            bridge.configuration["listeners"].append({"name": "relp", "relp": f"127.0.0.1:{port}"})
            bridge.configuration["spool"]["share"] = dict(terms)
            bridge.configuration["batch"] = {"max_age": "500ms"}
            self.relp.append(port)
            self.bridges.append(bridge)

    def start(self, directory: Path) -> None:
        for bridge in self.bridges:
            bridge.start()
        for number, port in enumerate(self.relp):
            way = Forwarding(port=port, transport="relp", format="rfc5424")
            self.senders.append(rsyslog.start(way, directory=directory / f"rsyslog{number}"))
        self.wait_sharing()

    def wait_sharing(self) -> None:
        """Wait until every running bridge hands over, and knows of all others."""
        running = [bridge for bridge in self.bridges if bridge.process is not None]

        def sharing() -> bool:
            seen = [bridge.status()["fleet"] for bridge in running]
            return all(each["broker_up"] and not each["alone"] and each["couriers"] == len(running) for each in seen)

        until(sharing, lambda: f"all share: {[bridge.status()['fleet'] for bridge in running]}")

    def stop(self) -> None:
        for sender in self.senders:
            sender.process.kill()
        for bridge in self.bridges:
            bridge.kill()
        self.collector.stop()

    # --- load ---------------------------------------------------------------------------------------------------------
    @contextmanager
    def load(self) -> Iterator[Load]:
        """Every sender talks for the length of a `with`; then all that was sent must have arrived."""
        load = Load(self)
        try:
            yield load
        finally:
            load.stop()
        load.check()

    def numbers(self) -> set[int]:
        """Of all that arrived."""
        return {number_of(text) for text in self.collector.texts() if text.startswith("number ")}

    def duplicates(self) -> int:
        """Of all that arrived."""
        texts = [text for text in self.collector.texts() if text.startswith("number ")]
        return len(texts) - len(set(texts))

    def possible_duplicates(self) -> int:
        """As the running bridges count them since their start."""
        return sum(sum(b.status()["possible_duplicates"].values()) for b in self.bridges if b.process is not None)

    def wait_settled(self) -> None:
        """Wait until nothing waits anywhere."""

        def settled() -> bool:
            for bridge in self.bridges:
                if bridge.process is not None:
                    status = bridge.status()
                    waits = [each["batches"] for each in status["fleet"]["queues"]]
                    if status["ledger"]["spooled"] or any(waits) or None in waits:
                        return False
            return True

        until(settled, lambda: f"nothing waits: {[self.told(b) for b in self.bridges]}", deadline_seconds=120)

    @staticmethod
    def told(bridge: Bridge) -> Any:
        if bridge.process is None:
            return "not running"
        status = bridge.status()
        return status["ledger"], status["fleet"], status["alarms"]


class Load:
    """One device before each sender."""

    def __init__(self, gateways: Gateways) -> None:
        self._fleet = gateways
        self._stopped = False
        self._devices: list[Traffic] = []
        for sender in gateways.senders:
            device = Traffic(sender.input_port, first=gateways.next_number, per_write=20, pause_seconds=0.05)
            gateways.next_number += 1_000_000
            self._devices.append(device)
            device.start()
        self.wait_flowing()

    def wait_flowing(self, which: list[int] | None = None) -> float:
        """Wait until something that was sent from now on has arrived of every device; how many seconds that took."""
        began = time.monotonic()
        devices = [self._devices[i] for i in which] if which is not None else self._devices
        marks = [len(device.sent) for device in devices]

        def flows() -> bool:
            arrived = self._fleet.numbers() if self._fleet.collector.refresh() else set()
            return all(
                any(number_of(sent.text) in arrived for sent in device.sent[mark : mark + 400])
                for device, mark in zip(devices, marks, strict=True)
            )

        told = lambda: f"events flow: {[Gateways.told(bridge) for bridge in self._fleet.bridges]}"  # noqa: E731
        until(flows, told, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        return time.monotonic() - began

    def wait_for(self, condition: Callable[[], bool], what: str) -> float:
        """Wait for a condition; how many seconds that took."""
        began = time.monotonic()
        told = lambda: f"{what}: {[Gateways.told(bridge) for bridge in self._fleet.bridges]}"  # noqa: E731
        until(condition, told, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        return time.monotonic() - began

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            for device in self._devices:
                device.stop()

    def check(self) -> None:
        """All that was sent has arrived."""
        wanted = {number_of(sent.text) for device in self._devices for sent in device.sent}
        for device in self._devices:
            assert device.broken is None, device.broken

        def complete() -> bool:
            self._fleet.collector.refresh()
            return wanted <= self._fleet.numbers()

        def missing() -> str:
            left = sorted(wanted - self._fleet.numbers())
            told = [Gateways.told(bridge) for bridge in self._fleet.bridges]
            return f"{len(left)} of {len(wanted)} are missing, such as {left[:5]} and {left[-5:]}: {told}"

        until(complete, missing, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        self._fleet.wait_settled()


def intakes() -> dict[str, dict[str, str]]:
    return {name: {} for name in INTAKES}
