"""Tests an upgrade from the version before, the way back, and a second upgrade, under load and with a backlog."""

from __future__ import annotations

import csv
import io
import os
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.harness import spool
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.package.conftest import version_of
from tests.package.machine import Machine
from tests.package.manager import UnitManager, free_low_port
from tests.package.senders import Datagrams, Lines, Relp
from tests.package.test_life import KEY, configure, texts

SO_RCVBUFFORCE = 33


@pytest.fixture
def collector(tmp_path: Path):
    one = Collector(tmp_path / "collector", keys=(KEY,))
    one.start()
    yield one
    one.kill()


class Upgrades:
    """Installs versions one after the other on a machine whose senders never pause."""

    def __init__(self, machine: Machine, manager: UnitManager, collector: Collector) -> None:
        port, relp = free_low_port(), free_port()
        # Small batches, so that a backlog becomes packs; and an old name of a key, which both versions accept.
        batch = "batch: {max_age: 100ms, catch_up_resolution: 5s}\n"
        configure(machine, collector, udp=port, tcp=port, more=batch)
        self.configuration = machine.root / "etc/syslog-bridge/bridge.yaml"
        text = self.configuration.read_text()
        assert "\nlisteners:\n" in text
        listener = f'  - {{relp: "127.0.0.1:{relp}"}}\n'
        self.configuration.write_text(text.replace("\nlisteners:\n", f"\nlisteners:\n{listener}"))
        self.spool = machine.root / "var/lib/syslog-bridge/spool"
        self._machine, self._manager, self._collector = machine, manager, collector
        self.datagrams, self.lines, self.relp = Datagrams(port, 200), Lines(port, 200), Relp(relp, 200)
        self.senders = (self.datagrams, self.lines, self.relp)

    def begin(self) -> None:
        """Starts the service, and the senders while the collector is down, until there is a backlog with packs."""
        self._manager.start()
        until(lambda: len(self._manager.stored) == 3, lambda: f"stored sockets: {self._manager.stored}")
        for _, fd in self._manager.stored:
            # As the package's sysctl allows. The kernel here is the host's, and a test must not change its settings.
            with socket.socket(fileno=os.dup(fd)) as held:
                if held.type == socket.SOCK_DGRAM:
                    held.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._collector.kill()
        for sender in self.senders:
            sender.start()
        self.wait_progress()

    def install(self, package: Path) -> str:
        """Installs a version and restarts the service as the package does; returns the output of dpkg."""
        before = self._manager.pid
        output = self._machine.install(package)
        assert version_of(package) in self._machine.run("dpkg-query", "-W", "syslog-bridge")
        self._manager.read_unit()
        self._manager.restart()
        assert self._manager.pid != before
        return output

    def wait_progress(self) -> None:
        """Waits until each transport has sent through the version that runs now, and a new pack is written."""
        sent, acknowledged, packs = self.datagrams.sent, len(self.relp.acknowledged), self.packs()
        lines = self.lines.connections[-1][-1] if self.lines.connections and self.lines.connections[-1] else 0
        until(
            lambda: (
                self.datagrams.sent > sent + 200
                and len(self.relp.acknowledged) > acknowledged + 200
                and self.lines.connections[-1][-1:] > [lines + 200]
                and self.packs() - packs
            ),
            lambda: f"{self.datagrams.sent} {len(self.relp.acknowledged)} {self.packs()}\n{self._manager.journal}",
        )

    def packs(self) -> set[str]:
        """Returns the names of the packs in the spool."""
        return {pack.path.name for pack in spool.packs(self.spool)}

    def end(self) -> None:
        """Stops the senders and waits until nothing is left in the spool."""
        for sender in self.senders:
            sender.ending.set()
            sender.join()
        last = {f"udp {self.datagrams.sent - 1}", f"tcp {self.lines.connections[-1][-1]}"}
        until(lambda: last <= set(texts(self._collector)), lambda: f"the last events\n{self._manager.journal}")
        until(
            lambda: not spool.batches(self.spool) + spool.packs(self.spool),
            lambda: f"an empty spool: {spool.batches(self.spool)[:3]} {self.packs()}\n{self._manager.journal}",
        )

    def report(self) -> dict[str, str]:
        """Returns the totals of the intake that `report` reads from the journal."""
        output = self._machine.run("syslog-bridge", "report", "--csv")
        head = output.index("intake")
        return next(row for row in csv.DictReader(io.StringIO(output[head:])) if row["intake"] == "all")


def test_upgrade_rollback_and_upgrade_under_load_lose_nothing(machine, previous_package, package, collector):
    order = ["dpkg", "--compare-versions", version_of(previous_package), "lt", version_of(package)]
    assert subprocess.run(order).returncode == 0
    machine.install(previous_package)
    manager = UnitManager(machine)
    try:
        _upgrade_and_back(Upgrades(machine, manager, collector), manager, collector, previous_package, package)
    finally:
        manager.close()


def _upgrade_and_back(
    upgrades: Upgrades, manager: UnitManager, collector: Collector, previous_package: Path, package: Path
) -> None:
    configuration = upgrades.configuration.read_text()
    try:
        upgrades.begin()
        output = upgrades.install(package)
        mark = upgrades.datagrams.sent
        assert "catch_up_resolution is now backlog_timestamp_resolution" in output
        assert "sudo syslog-bridge config migrate --in-place /etc/syslog-bridge/bridge.yaml" in output
        assert upgrades.configuration.read_text() == configuration
        upgrades.wait_progress()
        # What the new version has stored is delivered by the old one, and the other way round.
        output = upgrades.install(previous_package)
        assert "old names" not in output
        collector.start()
        stored = {"udp 0", f"udp {mark + 100}"}
        until(lambda: stored <= set(texts(collector)), lambda: f"stored events are delivered\n{manager.journal}")
        until(lambda: int(upgrades.report()["delivered"]) > mark, lambda: f"{upgrades.report()}")
        delivered = int(upgrades.report()["delivered"])
        collector.kill()
        upgrades.wait_progress()
        upgrades.install(package)
        collector.start()
        upgrades.end()
    except BaseException:
        for sender in upgrades.senders:
            sender.ending.set()
        raise
    arrived = Counter(texts(collector))
    datagrams, lines, relp = upgrades.datagrams, upgrades.lines, upgrades.relp
    missing = [number for number in range(datagrams.sent) if not arrived[f"udp {number}"]]
    assert missing == [], f"{len(missing)} of {datagrams.sent} datagrams lost: {missing[:10]}\n{manager.journal}"
    assert relp.acknowledged - set(arrived) == set()
    assert lines.refused == 0
    assert len(lines.connections) >= 4
    for numbers in lines.connections:
        there = [bool(arrived[f"tcp {number}"]) for number in numbers]
        # Data written to a connection that was then closed may be unread: only its end may be lost.
        assert there == sorted(there, reverse=True), "an event in the middle of a connection is lost"
    until(lambda: upgrades.report()["held"] == "0", lambda: f"the journal is up to date: {upgrades.report()}")
    totals = upgrades.report()
    assert int(totals["delivered"]) > delivered
    assert (totals["dropped"], totals["unexplained"]) == ("0", "0"), totals
    print(
        f"{datagrams.sent} datagrams, {lines.connections[-1][-1] + 1} lines over {len(lines.connections)} connections,"
        f" {len(relp.acknowledged)} RELP messages over {relp.connections}; {arrived.total() - len(arrived)} twice"
    )
