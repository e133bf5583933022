"""Runs a bridge under four kinds of senders while the disk, the collector and the clock fail, and checks its counts."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness import altered
from tests.harness.bridge import Bridge, key_of
from tests.harness.disk_faults import FULL, KINDS, DiskFaults
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.messages import number_of
from tests.harness.numbered_senders import NUMBERS, HttpsSender, NumberedSender, RelpSender, TcpSender, UdpSender
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.problems import current_problems
from tests.harness.process import ProcessExited
from tests.harness.reporting import report
from tests.harness.running import bridging

COLLECTOR_FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "refused": {"faults": {"reset": 1.0}, "listening": False},
    "reset": {"faults": {"reset": 0.4, "taken-reset": 0.2}},
    "500": {"faults": {"500": 0.6, "taken-500": 0.2}},
    "502": {"faults": {"502": 0.7, "taken-502": 0.1}},
    "429": {"faults": {"429": 0.8}},
    "413": {"largest": 2000},
    "slow": {"faults": {"slow": 1.0}},
    "timeout": {"faults": {"never": 0.3, "taken-never": 0.2}},
    "401": {"faults": {"401": 1.0}},
    "portal": {"faults": {"200-html": 0.5, "garbage": 0.2}},
}
"""What `FaultyCollector.change` gets. None refuses an event that it accepts later: an event would end in quarantine."""

TRUE_LOSSES = {"spool_write_failed": frozenset(KINDS), "disk_full": FULL, "spool_full": FULL}
"""Reasons for which events may be dropped, and the kinds of faults that make them true. Events that were acknowledged
are dropped for `spool_full` only, with `when_full: drop-oldest`."""
_SOURCE_CLOCK = "The clock"
GRACE_SECONDS = 20
"""Seconds in which the bridge must notice that a fault is gone."""

CONSTANTS = altered.SHORT_WAITS | {
    "bridge.monitoring.loss_monitor.ENDS_AFTER": 2.0,
    "bridge.deliver.send_queue.MANY": 24,
    "bridge.deliver.send_queue.FRONT": 4,
    "bridge.deliver.send_queue.NEWEST": 4,
    "bridge.deliver.pack_queue.TRY_AGAIN": 0.5,
}
"""Short waits, and packs of few batches, so that packs are written, read and settled under faults too."""


class Chaos:
    """A bridge with its faulty disk and clock, a faulty collector, and senders over four transports."""

    def __init__(self, bridge: Bridge, collector: FaultyCollector, faults: DiskFaults, authority: Authority) -> None:
        self.bridge, self.collector, self.faults = bridge, collector, faults
        self.senders: list[NumberedSender] = []
        "The senders of the current process run."
        self.sent: dict[int, str] = {}
        self.acknowledged: set[int] = set()
        self.false_losses: list[str] = []
        "Losses whose reason was not true."
        self._dropped: Counter[str] = Counter()
        self._authority = authority
        self._runs = 0
        self._relp, self._https = free_port(), free_port()
        issued = authority.issue("localhost")
        bridge.configuration["listeners"] += [
            {"name": "relp", "relp": f"127.0.0.1:{self._relp}"},
            {"name": "post", "https": f"127.0.0.1:{self._https}", "cert_file": str(issued.certificate),
             "key_file": str(issued.private_key)},
        ]  # fmt: skip

    # --- the bridge and its senders -----------------------------------------------------------------------------------
    def start(self, **options: Any) -> None:
        """Starts the bridge. If the faulty disk lets a start fail, it starts again, as a service manager does."""
        for _ in range(100):
            try:
                altered.start(self.bridge, faults=self.faults, **options)
            except ProcessExited as error:
                assert "Traceback" not in str(error), error
            else:
                return
        raise AssertionError("100 starts failed")

    def start_senders(self) -> None:
        first = [(self._runs * 4 + i) * NUMBERS for i in range(4)]
        bridge, key = self.bridge, key_of("all")
        self.senders = [
            UdpSender(bridge.udp, first[0], source="127.0.2.1"),
            TcpSender(bridge.tcp, first[1], source="127.0.2.2"),
            RelpSender(self._relp, first[2], source="127.0.2.3"),
            HttpsSender(self._https, first[3], source="127.0.2.4", ca=self._authority.ca, key=key),
        ]
        self._runs += 1
        for sender in self.senders:
            sender.start()

    def stop_senders(self) -> None:
        for sender in self.senders:
            sender.stop()
            self.sent |= sender.sent
            self.acknowledged |= sender.acknowledged

    def reload(self) -> None:
        """Sends SIGHUP with another batch age; the faulty disk may refuse the reload."""
        self.bridge.configuration["batch"]["max_age"] = f"{random.choice((100, 200, 300))}ms"
        self.bridge.write_configuration()
        assert self.bridge.process is not None
        self.bridge.process.signal(signal.SIGHUP)

    def watch(self, seconds: float) -> None:
        """Reads the status for some time: the ledger must balance in each."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.status()
            time.sleep(0.1)

    def status(self) -> dict[str, Any]:
        """Reads the status, and records losses whose reason is not true."""
        last_possible = {reason: self.faults.since(kinds) for reason, kinds in TRUE_LOSSES.items()}
        status = self.bridge.status()
        dropped = Counter[str](status["ledger"]["dropped"])
        for reason, count in (dropped - self._dropped).items():
            if last_possible.get(reason, GRACE_SECONDS) >= GRACE_SECONDS:
                self.false_losses.append(f"{count} for {reason}, {last_possible.get(reason, 0):.0f} s later")
        self._dropped = dropped
        return status

    def calm(self) -> None:
        """Ends all faults."""
        self.faults.move_clock(0)
        self.collector.change()

    # --- checks -------------------------------------------------------------------------------------------------------
    def wait_healthy(self, *, deadline_seconds: float) -> float:
        """Waits until nothing waits and the headline is healthy; returns the seconds that it took.

        The offset of a source's clock is the greatest of the last two minutes, so it is waited for separately.
        """
        begun, last_seen = time.monotonic(), dict[str, float]()

        def healthy() -> bool:
            status = self.status()
            problems = [problem["text"] for problem in current_problems(status["headline"])]
            if status["ledger"]["spooled"] > 100:
                problems.append("more than 100 events wait")
            last_seen.update(dict.fromkeys(problems, round(time.monotonic() - begun, 1)))
            return not [text for text in problems if not text.startswith(_SOURCE_CLOCK)]

        def progress() -> str:
            status = self.bridge.status()
            return f"healthy: {status['headline']}; {status['ledger']}; {status['intakes']}"

        until(healthy, progress, deadline_seconds=deadline_seconds, every_seconds=0.2)
        took = time.monotonic() - begun
        until(lambda: healthy() and not self.status()["clocks"], progress, every_seconds=0.2)
        print(f"problems after the faults, and how long they lasted: {last_seen}")
        return took

    def settle(self) -> dict[str, Any]:
        """Stops the senders and waits until all that was received is delivered; returns the status."""
        self.stop_senders()
        self.bridge.wait_drained()
        return self.status()

    def has_read_tcp(self) -> bool:
        """Returns True if the bridge has counted each line that the TCP sender has sent."""
        rows = self.status()["sources"]
        return sum(row["events"] for row in rows if row["listener"] == "tcp") >= len(self.senders[1].sent)

    def assert_delivered(self, *, but: int = 0) -> Counter[int]:
        """Asserts that each acknowledged event arrived, except at most `but`, and that no event is changed; returns how
        often each arrived."""
        arrived = Counter[int]()
        for text, times in self.collector.taken().items():
            number = number_of(text)
            assert self.sent.get(number) == text, f"a text that was not sent: {text!r}"
            arrived[number] += times
        missing = sorted(self.acknowledged - arrived.keys())
        assert len(missing) <= but, (
            f"{len(missing)} of {len(self.acknowledged)} acknowledged events are lost: {missing[:5]}"
        )
        assert self.acknowledged, "nothing was acknowledged"
        return arrived

    def assert_exact(self, status: dict[str, Any], arrived: Counter[int]) -> None:
        """Asserts the counts of one process run that had no other before it."""
        ledger, rows = status["ledger"], status["sources"]
        received = Counter[str]()
        for row in rows:
            received[row["listener"]] += row["events"]
        udp, tcp, relp, post = self.senders
        assert not tcp.failures, tcp.failures
        assert received["udp"] == len(udp.sent) - sum(status["kernel_drops"].values()), (
            received,
            status["kernel_drops"],
        )
        assert received["tcp"] == len(tcp.sent), received
        for sender, listener in ((relp, "relp"), (post, "post")):
            assert len(sender.acknowledged) <= received[listener] <= len(sender.sent), (received, sender.failures[-3:])
        assert received.total() == ledger["received"], (received, ledger)
        assert not self.false_losses, self.false_losses
        assert (ledger["spooled"], ledger["buffered"], ledger["quarantined"]) == (0, 0, 0), ledger
        assert ledger["delivered"] == ledger["received"] - sum(ledger["dropped"].values()), ledger
        # Events whose acceptance the bridge could not know may be dropped from a full spool afterwards.
        extra = len(arrived) - ledger["delivered"]
        assert 0 <= extra <= ledger["dropped"].get("spool_full", 0), (len(arrived), ledger)
        self.assert_doubles(arrived)

    def assert_doubles(self, arrived: Counter[int], allowed: Set[int] = frozenset()) -> None:
        """Asserts that an event arrived twice only if the bridge could not know that it had arrived."""
        unconfirmed = {number_of(text) for text in self.collector.unconfirmed()}
        doubled = {number for number, times in arrived.items() if times > 1} - unconfirmed - allowed
        assert not doubled, f"{len(doubled)} events arrived twice, though confirmed: {sorted(doubled)[:5]}"

    def assert_report(self, *, received: int, delivered: int, dropped: int) -> None:
        """Stops the bridge and asserts that the report explains each event."""
        row = self.report_row()
        found = {name: int(row[name]) for name in ("received", "delivered", "dropped", "held", "unexplained")}
        wanted = {"received": received, "delivered": delivered, "dropped": dropped, "held": 0, "unexplained": 0}
        assert found == wanted, f"{found} instead of {wanted}"

    def report_row(self) -> dict[str, str]:
        """Stops the bridge and returns the intake's row of the report."""
        self.bridge.stop()
        rows, verdict = report(self.bridge)
        print(verdict)
        return rows["all"]

    def describe(self) -> str:
        """Returns the figures of the run, for the test's output."""
        sent = {type(sender).__name__: len(sender.sent) for sender in self.senders}
        faults = sorted(self.faults.counts().items())
        return (
            f"sent {sent}, acknowledged {len(self.acknowledged)}, requests {dict(self.collector.faults())},"
            f" disk faults {faults}"
        )


@contextmanager
def chaos(directory: Path, *, seed: int, spare: tuple[str, ...] = (), **spool: Any) -> Iterator[Chaos]:
    """Runs collector and faults for the length of the `with` block, and prints the seed.

    `spool` are options of the spool.
    """
    print(f"seed {seed}")
    with (
        faulty(directory, seed=seed, control=str(directory / "collector.json")) as collector,
        bridging(directory, collector.url) as bridge,
    ):
        bridge.configuration["spool"] |= spool
        # Longer than a process of a busy machine stands still: what it accepts and answers later arrives twice.
        bridge.configuration["collector"] |= {"timeout": "10s"}
        faults = DiskFaults(directory / "faults", bridge.spool, seed=seed, spare=spare)
        scenario = Chaos(bridge, collector, faults, Authority(directory / "pki"))
        try:
            yield scenario
        finally:
            scenario.calm()
            print(scenario.describe())
