"""Runs three brokers, three bridges, a collector, and a real rsyslogd before each bridge. rsyslogd resends what is not
acknowledged, so every message must arrive, whatever a test does to the rest."""

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
    """Appends a line of measurements to the report of `sh tests/cluster`."""
    if path := os.environ.get("TESTS_CLUSTER_REPORT"):
        with Path(path).open("a") as file:
            file.write(f"{text}\n")


class Gateways:
    """Runs the bridges, their senders and the collector. Each message of a run has its own number."""

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
        # As in production: over TLS, with user name and password.
        terms = {
            "amqp": cluster.tls_urls, "ca_file": str(ca), "username": "guest", "password": {"file": str(password)},
            "fallback_after": f"{ALONE_AFTER}s", "queue_prefix": self.prefix,
        }  # fmt: skip
        for number in range(3):
            bridge = Bridge(directory / f"bridge{number}", collector_url=self.collector.url, intakes=intakes())
            port = free_port()
            bridge.configuration["listeners"].append({"name": "relp", "relp": f"127.0.0.1:{port}"})
            bridge.configuration["cluster"] = dict(terms)
            bridge.configuration["batch"] = {"max_age": "500ms"}
            self.relp.append(port)
            self.bridges.append(bridge)

    def start(self, directory: Path) -> None:
        for bridge in self.bridges:
            bridge.start()
        for number, port in enumerate(self.relp):
            forwarding = Forwarding(port=port, transport="relp", format="rfc5424")
            self.senders.append(rsyslog.start(forwarding, directory=directory / f"rsyslog{number}"))
        self.wait_sharing()

    def wait_sharing(self) -> None:
        """Waits until every running bridge shares its backlog and sees all others."""
        running = [bridge for bridge in self.bridges if bridge.process is not None]

        def sharing() -> bool:
            fleets = [bridge.status()["fleet"] for bridge in running]
            return all(each["broker_up"] and not each["alone"] and each["couriers"] == len(running) for each in fleets)

        until(sharing, lambda: f"all bridges share: {[bridge.status()['fleet'] for bridge in running]}")

    def stop(self) -> None:
        for sender in self.senders:
            sender.process.kill()
        for bridge in self.bridges:
            bridge.kill()
        self.collector.stop()

    # --- load ---------------------------------------------------------------------------------------------------------
    @contextmanager
    def load(self) -> Iterator[ClusterLoad]:
        """Sends from every device for the length of the `with` block; then asserts that all messages have arrived."""
        load = ClusterLoad(self)
        try:
            yield load
        finally:
            load.stop()
        load.check()

    def numbers(self) -> set[int]:
        """Returns the message numbers that arrived."""
        return {number_of(text) for text in self.collector.texts() if text.startswith("number ")}

    def duplicates(self) -> int:
        """Returns how many messages arrived more than once."""
        texts = [text for text in self.collector.texts() if text.startswith("number ")]
        return len(texts) - len(set(texts))

    def possible_duplicates(self) -> int:
        """Returns what the running bridges have counted since their start."""
        return sum(sum(b.status()["possible_duplicates"].values()) for b in self.bridges if b.process is not None)

    def wait_settled(self) -> None:
        """Waits until spools and queues are empty."""

        def settled() -> bool:
            for bridge in self.bridges:
                if bridge.process is not None:
                    status = bridge.status()
                    waits = [each["batches"] for each in status["fleet"]["queues"]]
                    if status["ledger"]["spooled"] or any(waits) or None in waits:
                        return False
            return True

        until(
            settled,
            lambda: f"spools and queues are empty: {[self.describe(b) for b in self.bridges]}",
            deadline_seconds=120,
        )

    @staticmethod
    def describe(bridge: Bridge) -> Any:
        if bridge.process is None:
            return "not running"
        status = bridge.status()
        return status["ledger"], status["fleet"], status["alarms"]


class ClusterLoad:
    """Runs one device before each sender."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways
        self._stopped = False
        self._devices: list[Traffic] = []
        for sender in gateways.senders:
            device = Traffic(sender.input_port, first=gateways.next_number, per_write=20, pause_seconds=0.05)
            gateways.next_number += 1_000_000
            self._devices.append(device)
            device.start()
        self.wait_flowing()

    def wait_flowing(self, which: list[int] | None = None) -> float:
        """Waits until a message sent from now on has arrived from every device; returns the seconds that took."""
        began = time.monotonic()
        devices = [self._devices[i] for i in which] if which is not None else self._devices
        marks = [len(device.sent) for device in devices]

        def flows() -> bool:
            arrived = self._gateways.numbers() if self._gateways.collector.refresh() else set()
            return all(
                any(number_of(sent.text) in arrived for sent in device.sent[mark : mark + 400])
                for device, mark in zip(devices, marks, strict=True)
            )

        text = lambda: f"events flow: {[Gateways.describe(bridge) for bridge in self._gateways.bridges]}"  # noqa: E731
        until(flows, text, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        return time.monotonic() - began

    def wait_for(self, condition: Callable[[], bool], what: str) -> float:
        """Waits for a condition; returns the seconds that took."""
        began = time.monotonic()
        text = lambda: f"{what}: {[Gateways.describe(bridge) for bridge in self._gateways.bridges]}"  # noqa: E731
        until(condition, text, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        return time.monotonic() - began

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            for device in self._devices:
                device.stop()

    def check(self) -> None:
        """Asserts that all messages have arrived."""
        wanted = {number_of(sent.text) for device in self._devices for sent in device.sent}
        for device in self._devices:
            assert device.broken is None, device.broken

        def complete() -> bool:
            self._gateways.collector.refresh()
            return wanted <= self._gateways.numbers()

        def missing() -> str:
            left = sorted(wanted - self._gateways.numbers())
            states = [Gateways.describe(bridge) for bridge in self._gateways.bridges]
            return f"{len(left)} of {len(wanted)} are missing, such as {left[:5]} and {left[-5:]}: {states}"

        until(complete, missing, deadline_seconds=_ARRIVES_WITHIN, every_seconds=0.1)
        self._gateways.wait_settled()


def intakes() -> dict[str, dict[str, str]]:
    return {name: {} for name in INTAKES}
