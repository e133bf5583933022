"""Tests commands that are interrupted at random under load: their bridge is killed, or the command is, also one that
works on the files of a stopped bridge. The command's work is then done or not done; no event is lost or doubled, and
ledger and report are exact.

No collector accepts events, so that in the end every event is in the spool or in quarantine and can be counted.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bridge import Bridge
from tests.harness.cli import cli
from tests.harness.collector import Collector
from tests.harness.cutting import CommandInterrupter, ContinuousSender, Victim
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.reporting import report
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

CLIENT, LOAD_SOURCE, UNKNOWN = "127.0.0.1", "127.0.0.8", "127.0.0.9"
EVENTS = 300
ADDED_UP = (
    "received", "replayed", "unexplained", "carried_over", "moved_here", "delivered", "held", "quarantined", "dropped",
)  # fmt: skip

# Victims and rounds. The first command runs to its end, each other is interrupted.
every_victim = pytest.mark.parametrize(
    ("victim", "rounds"),
    [
        ("bridge", 3),
        pytest.param("bridge", 21, marks=pytest.mark.long),
        pytest.param("command", 6, marks=pytest.mark.long),
        pytest.param("alone", 6, marks=pytest.mark.long),
    ],
)


class GatewayFixture:
    """Holds a bridge whose collectors do not answer, and records what was sent to it."""

    def __init__(self, bridge: Bridge, victim: Victim) -> None:
        self.bridge = bridge
        self.interrupter = CommandInterrupter(bridge, victim, seed=7)
        self.sent: list[str] = []
        self._cut = 0
        "Lines in quarantine that a stop of the bridge has cut. Only lines of the load can be: others are waited for."

    def send(self, name: str, *, source: str = CLIENT) -> list[str]:
        """Starts the bridge if necessary, sends `EVENTS` lines from this source and waits until they are received."""
        if self.bridge.process is None:
            self.bridge.start()
        lines = [f"{name} {len(self.sent) + i}" for i in range(EVENTS)]
        before = self._received_from(source)
        send_lines(self.bridge.tcp, [f"<13>{line}".encode() for line in lines], source=source)
        until(lambda: self._received_from(source) >= before + EVENTS, lambda: f"{before + EVENTS} events of {source}")
        self.sent += lines
        return lines

    def interrupt(self, *words: str, code: int = 0) -> bool:
        """Runs a command and interrupts it; returns True if it ended by itself."""
        if self.interrupter.victim == "alone":
            self.bridge.stop()
        return self.interrupter.run(*words, code=code)

    def held(self) -> tuple[Counter[str], Counter[str]]:
        """Returns the events in spool and quarantine; asserts that the load is not doubled and the ledger matches."""
        if self.bridge.process is None:
            self.bridge.start()
        # The bridge may still finish the work of a killed command.
        until(self._is_idle, "no command in progress")
        ledger = self.bridge.ledger()
        events, frames = self._files()
        load = {text: number for text, number in events.items() if text.startswith("load ")}
        assert load and set(load.values()) == {1}, "load events are missing or doubled"
        # More load may have arrived between the two calls.
        assert ledger["spooled"] <= events.total()
        assert ledger["quarantined"] == frames.total() + self._cut
        for text in load:
            del events[text]
        interrupter = self.interrupter
        print(f"{interrupter.victim}: {interrupter.interrupted} interrupted, {interrupter.finished} finished")
        return events, frames

    def assert_reported(self, *, unexplained: int = 0, replays: int = 0, delivered: int = 0) -> None:
        """Stops the bridge and asserts that the report accounts for every event that was received."""
        self.bridge.stop()
        events, frames = self._files()
        rows, _ = report(self.bridge)
        total = {name: sum(int(row[name]) for row in rows.values()) for name in ADDED_UP}
        received = self._cut + len(self.sent) + sum(n for text, n in events.items() if text.startswith("load "))
        replayed = replays * EVENTS
        expected = {
            "received": received, "replayed": replayed, "unexplained": unexplained, "carried_over": 0, "moved_here": 0,
            "delivered": delivered, "held": events.total(), "quarantined": frames.total() + self._cut,
            "dropped": received + replayed + unexplained - delivered - events.total() - frames.total() - self._cut,
        }  # fmt: skip
        assert total == expected, rows
        assert all(int(row["unexplained"]) >= 0 for row in rows.values()), rows
        reasons = {row["dropped_reasons"].partition(" ")[2] for row in rows.values() if row["dropped_reasons"]}
        assert reasons <= {"purged"}, rows

    def _files(self) -> tuple[Counter[str], Counter[str]]:
        """Returns the events in the spool and the frames in quarantine, without those that a stop has cut."""
        events = Counter(json.loads(line)["event"] for line in cli(self.bridge, "spool", "export").stdout.splitlines())
        lines = cli(self.bridge, "quarantine", "list", "--limit", "1000000", "--json").stdout.splitlines()
        rows = [row for row in map(json.loads, lines) if row["reason"] != "damaged"]
        self._cut = len(lines) - len(rows)
        return events, Counter(base64.b64decode(row["frame"]).decode().removeprefix("<13>") for row in rows)

    def _is_idle(self) -> bool:
        waiting = len(cli(self.bridge, "quarantine", "list", "--limit", "1000000", "--json").stdout.splitlines())
        return not list(self.bridge.spool.glob(".transfer/*")) and waiting == self.bridge.ledger()["quarantined"]

    def _received_from(self, source: str) -> int:
        rows = self.bridge.status()["sources"]
        return sum(int(row["events"]) for row in rows if row["address"] == source)


@contextmanager
def loaded_gateway(directory: Path, victim: Victim, *, url: str = "", **configuration: Any) -> Iterator[GatewayFixture]:
    """Runs a gateway under constant load: intakes `a` and `b`, and `load` for the load."""
    dead = {"url": f"http://127.0.0.1:{free_port()}"}
    configuration = {
        "routes": [{"intake": "load", "source": LOAD_SOURCE}, {"intake": "a", "source": CLIENT}], "unrouted": "hold",
    } | configuration  # fmt: skip
    intakes = {"a": {"url": url} if url else dead, "b": dead, "load": dead}
    with (
        bridging(directory, "http://127.0.0.1:1", intakes=intakes, **configuration) as bridge,
        ContinuousSender(bridge.tcp, LOAD_SOURCE),
    ):
        yield GatewayFixture(bridge, victim)


@pytest.mark.weight(30)
@every_victim
def test_interrupted_reroute_keeps_each_frame_once(tmp_path: Path, victim: Victim, rounds: int) -> None:
    """Each frame is once in the spool or still held; after a last, complete reroute all are in the spool."""
    with loaded_gateway(tmp_path, victim) as gateway:
        bridge = gateway.bridge
        routes = list(bridge.configuration["routes"])
        for _ in range(rounds):
            # The source is unrouted until its route is added.
            bridge.configuration["routes"] = routes
            if bridge.process is not None:
                cli(bridge, "reload")
            gateway.send("stranger", source=UNKNOWN)
            bridge.configuration["routes"] = [*routes, {"intake": "b", "source": UNKNOWN}]
            cli(bridge, "reload")
            gateway.interrupt("unrouted", "reroute")
        events, frames = gateway.held()
        assert events + frames == Counter(gateway.sent)
        cli(bridge, "unrouted", "reroute")
        assert gateway.held() == (Counter(gateway.sent), Counter())
        gateway.assert_reported()


def write_refused(bridge: Bridge, texts: list[str]) -> None:
    """Writes refused events to the quarantine as a courier does, a few per file; the bridge must be stopped."""
    at = int(datetime.now(UTC).timestamp() * 1000)
    for start in range(0, len(texts), 10):
        rows = [
            {
                "received_ms": at, "listener": "", "peer": "", "intake": "a", "reason": "400", "sequence": at + start,
                "position": i, "frame": base64.b64encode(text.encode()).decode(), "time_ms": at,
            }
            for i, text in enumerate(texts[start : start + 10])
        ]  # fmt: skip
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (bridge.spool / ".quarantine" / "refused" / f"{at + start}-{len(rows)}.jsonl").write_text(lines)


@pytest.mark.weight(30)
@pytest.mark.parametrize("verb", ["retry", pytest.param("purge", marks=pytest.mark.long)])
@every_victim
def test_interrupted_retry_or_purge_of_refused_events_is_exact(
    tmp_path: Path, victim: Victim, rounds: int, verb: str
) -> None:
    """A retry neither loses nor doubles an event; a purge removes only these, and all of them if it reports success."""
    words = {"retry": ["quarantine", "retry"], "purge": ["quarantine", "purge", "--yes"]}[verb]
    with loaded_gateway(tmp_path, victim) as gateway:
        refused: list[str] = []
        for turn in range(rounds):
            gateway.send("stays")
            gateway.bridge.stop()
            texts = [f"refused {turn}-{i}" for i in range(EVENTS)]
            write_refused(gateway.bridge, texts)
            refused += texts
            gateway.bridge.start()
            ended = gateway.interrupt(*words, "--reason", "refused")
            if ended:
                _, frames = gateway.held()
                assert not frames
        events, frames = gateway.held()
        if verb == "retry":
            assert events + frames == Counter(gateway.sent + refused)
        else:
            assert events == Counter(gateway.sent)
            assert not frames - Counter(refused)
        cli(gateway.bridge, *words, "--reason", "refused")
        assert gateway.held() == (Counter(gateway.sent + (refused if verb == "retry" else [])), Counter())
        # The test has put the refused events into the files of the stopped bridge.
        gateway.assert_reported(unexplained=len(refused))


@every_victim
def test_interrupted_spool_purge_removes_only_selected_events(tmp_path: Path, victim: Victim, rounds: int) -> None:
    """A purge removes only what it selects; what it reported as removed stays removed."""
    with loaded_gateway(tmp_path, victim) as gateway:
        gone: set[str] = set()
        named: set[str] = set()
        for turn in range(rounds):
            gateway.send(f"turn{turn} keep")
            named.update(gateway.send(f"turn{turn} go"))
            if gateway.interrupt("spool", "purge", "--containing", " go ", "--yes"):
                gone |= named
        events, _ = gateway.held()
        assert max(events.values()) == 1
        assert set(gateway.sent) - named <= set(events) <= set(gateway.sent) - gone
        gateway.assert_reported()


@every_victim
@pytest.mark.parametrize("selection", [("--containing", "5"), ()], ids=["some-events", "whole-batches"])
def test_interrupted_spool_move_keeps_each_event_once(
    tmp_path: Path, victim: Victim, rounds: int, selection: tuple[str, ...]
) -> None:
    """Events move back and forth between two intakes; each is in one of them."""
    with loaded_gateway(tmp_path, victim) as gateway:
        for turn in range(rounds):
            gateway.send(f"turn{turn}")
            origin, target = ("b", "a") if turn % 2 else ("a", "b")
            gateway.interrupt("spool", "move", "--intake", origin, "--to", target, *selection)
        assert gateway.held() == (Counter(gateway.sent), Counter())
        gateway.assert_reported()


@every_victim
def test_interrupted_purge_of_an_intake_counts_what_it_removes(tmp_path: Path, victim: Victim, rounds: int) -> None:
    with loaded_gateway(tmp_path, victim) as gateway:
        gone: set[str] = set()
        for turn in range(rounds):
            sent = gateway.send(f"turn{turn}")
            if gateway.interrupt("spool", "purge", "--intake", "a", "--yes"):
                gone.update(sent)
        events, _ = gateway.held()
        assert set(events) <= set(gateway.sent) - gone
        gateway.assert_reported()


@pytest.mark.weight(15)
@every_victim
def test_interrupted_drain_keeps_each_event_once(tmp_path: Path, victim: Victim, rounds: int) -> None:
    """The collector does not answer, so each drain fails or is interrupted; a reload opens the listeners again."""
    with loaded_gateway(tmp_path, victim) as gateway:
        for turn in range(rounds):
            if gateway.bridge.process is not None:
                cli(gateway.bridge, "reload")
            gateway.send(f"turn{turn}")
            gateway.interrupt("drain", "--timeout", "500ms", code=1)
        assert gateway.held() == (Counter(gateway.sent), Counter())
        gateway.assert_reported()


@pytest.mark.weight(20)
@every_victim
def test_interrupted_replay_spools_the_whole_period_or_nothing(tmp_path: Path, victim: Victim, rounds: int) -> None:
    """A replay spools all events of the period or none, whatever interrupts it."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    spool = {"directory": str(tmp_path / "bridge" / "spool"), "archive": {"max_size": "1GB", "max_age": "7d"}}
    with collecting(tmp_path) as collector, loaded_gateway(tmp_path, victim, url=collector.url, spool=spool) as gateway:
        bridge = gateway.bridge
        texts = deliver_events(bridge, collector, start)
        gateway.sent += texts
        bridge.stop()
        bridge.configuration["intakes"]["a"]["url"] = f"http://127.0.0.1:{free_port()}"
        whole = ["--from", start.isoformat(), "--to", (start + timedelta(seconds=EVENTS)).isoformat(), "--yes"]
        for _ in range(rounds):
            if bridge.process is None:
                bridge.start()
            gateway.interrupt("replay", "--intake", "a", *whole)
        events, _ = gateway.held()
        (times,) = set(events.values())
        assert set(events) == set(texts)
        assert gateway.interrupter.finished <= times <= rounds
        gateway.assert_reported(replays=times, delivered=EVENTS)


def deliver_events(bridge: Bridge, collector: Collector, start: datetime) -> list[str]:
    """Delivers events of one second each, so that they are in the archive, and returns their texts."""
    bridge.start()
    times = [start + timedelta(seconds=i) for i in range(EVENTS)]
    lines = [f"<13>{at:%b} {at.day:2} {at:%H:%M:%S} gw app: event {i}".encode() for i, at in enumerate(times)]
    send_lines(bridge.tcp, lines)
    arrived = collector.wait_for(EVENTS)
    until(lambda: bridge.ledger()["delivered"] == EVENTS, lambda: f"{EVENTS} events delivered: {bridge.ledger()}")
    return [event.text for event in arrived]
