"""Commands that change a gateway are cut off at random, under load: their bridge is killed, or the command is, which
may also be at work on the files of a stopped one. What a command was to do is done or is not; no event is lost, and
none is there twice.

Nobody takes what is to be delivered, so that in the end every event is in the spool or in quarantine, to be counted.
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
from tests.harness.cutting import Cutter, Load, Victim
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

HERE, LOADER, STRANGER = "127.0.0.1", "127.0.0.8", "127.0.0.9"
TURNS, EVENTS = 6, 300

every_victim = pytest.mark.parametrize(
    "victim",
    ["bridge", pytest.param("command", marks=pytest.mark.long), pytest.param("alone", marks=pytest.mark.long)],
)
long_victims = pytest.mark.parametrize("victim", [pytest.param(v, marks=pytest.mark.long) for v in Victim.__args__])


class Gateway:
    """A bridge that nobody takes anything of, and what it was given."""

    def __init__(self, bridge: Bridge, victim: Victim) -> None:
        self.bridge = bridge
        self.cutter = Cutter(bridge, victim, seed=7)
        self.sent: list[str] = []

    def give(self, name: str, *, source: str = HERE) -> list[str]:
        """Start the bridge if it does not run, and wait until it has so many new lines of this source."""
        if self.bridge.process is None:
            self.bridge.start()
        lines = [f"{name} {len(self.sent) + i}" for i in range(EVENTS)]
        before = self._heard_of(source)
        send_lines(self.bridge.tcp, [f"<13>{line}".encode() for line in lines], source=source)
        until(lambda: self._heard_of(source) >= before + EVENTS, lambda: f"{before + EVENTS} events of {source}")
        self.sent += lines
        return lines

    def cut(self, *words: str, code: int = 0) -> bool:
        """Run a command and cut it off; True: it came to its end."""
        if self.cutter.victim == "alone":
            self.bridge.stop()
        return self.cutter.run(*words, code=code)

    def held(self) -> tuple[Counter[str], Counter[str]]:
        """What is in spool and quarantine. Nothing of the load is there twice; the account is that of the files."""
        if self.bridge.process is None:
            self.bridge.start()
        # A command that was killed has left the file at which the bridge works to be finished.
        until(self._is_at_rest, "no command at work")
        ledger = self.bridge.ledger()
        events = Counter(json.loads(line)["event"] for line in cli(self.bridge, "spool", "export").stdout.splitlines())
        rows = cli(self.bridge, "quarantine", "list", "--limit", "1000000", "--json").stdout.splitlines()
        frames = Counter(base64.b64decode(json.loads(row)["frame"]).decode().removeprefix("<13>") for row in rows)
        load = {text: number for text, number in events.items() if text.startswith("load ")}
        assert load and set(load.values()) == {1}, "the load is not there, or twice"
        # Of the load more may have come between the two.
        assert ledger["spooled"] <= events.total()
        assert ledger["quarantined"] == frames.total()
        for text in load:
            del events[text]
        print(f"{self.cutter.victim}: {self.cutter.cut} cut off, {self.cutter.ended} came to their end")
        return events, frames

    def _is_at_rest(self) -> bool:
        waiting = len(cli(self.bridge, "quarantine", "list", "--limit", "1000000", "--json").stdout.splitlines())
        return not list(self.bridge.spool.glob(".transfer/*")) and waiting == self.bridge.ledger()["quarantined"]

    def _heard_of(self, source: str) -> int:
        rows = self.bridge.status()["sources"]
        return sum(int(row["events"]) for row in rows if row["address"] == source)


@contextmanager
def loaded(directory: Path, victim: Victim, *, url: str = "", **configuration: Any) -> Iterator[Gateway]:
    """Such a gateway, with a sender that is busy all the time: intakes `a` and `b`, and `load` for that one."""
    dead = {"url": f"http://127.0.0.1:{free_port()}"}
    configuration = {
        "routes": [{"intake": "load", "source": LOADER}, {"intake": "a", "source": HERE}], "unrouted": "hold",
    } | configuration  # fmt: skip
    intakes = {"a": {"url": url} if url else dead, "b": dead, "load": dead}
    with (
        bridging(directory, "http://127.0.0.1:1", intakes=intakes, **configuration) as bridge,
        Load(bridge.tcp, LOADER),
    ):
        yield Gateway(bridge, victim)


@pytest.mark.weight(30)
@every_victim
def test_unrouted_frames_that_are_rerouted(tmp_path: Path, victim: Victim) -> None:
    """Each is in the spool or still held, once; after a last reroute that nobody cuts off all are in the spool."""
    with loaded(tmp_path, victim) as gateway:
        bridge = gateway.bridge
        routes = list(bridge.configuration["routes"])
        for _ in range(TURNS):
            # Of the stranger nobody knows, until the route is there.
            bridge.configuration["routes"] = routes
            if bridge.process is not None:
                cli(bridge, "reload")
            gateway.give("stranger", source=STRANGER)
            bridge.configuration["routes"] = [*routes, {"intake": "b", "source": STRANGER}]
            cli(bridge, "reload")
            gateway.cut("unrouted", "reroute")
        events, frames = gateway.held()
        assert events + frames == Counter(gateway.sent)
        cli(bridge, "unrouted", "reroute")
        assert gateway.held() == (Counter(gateway.sent), Counter())


def refuse(bridge: Bridge, texts: list[str]) -> None:
    """Lay events into quarantine as a courier does whose collector has refused them, a few a file. No bridge runs."""
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


@pytest.mark.parametrize("verb", ["retry", "purge"])
@long_victims
def test_refused_events_that_are_tried_again_or_removed(tmp_path: Path, victim: Victim, verb: str) -> None:
    """A retry loses none and doubles none; a purge removes no event but these, and when it says so, all of them."""
    words = {"retry": ["quarantine", "retry"], "purge": ["quarantine", "purge", "--yes"]}[verb]
    with loaded(tmp_path, victim) as gateway:
        refused: list[str] = []
        for turn in range(TURNS):
            gateway.give("stays")
            gateway.bridge.stop()
            texts = [f"refused {turn}-{i}" for i in range(EVENTS)]
            refuse(gateway.bridge, texts)
            refused += texts
            gateway.bridge.start()
            ended = gateway.cut(*words, "--reason", "refused")
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


@long_victims
def test_what_waits_and_is_purged(tmp_path: Path, victim: Victim) -> None:
    """Nothing goes but what was named; what a purge has said to be gone stays gone."""
    with loaded(tmp_path, victim) as gateway:
        gone: set[str] = set()
        named: set[str] = set()
        for turn in range(TURNS):
            gateway.give(f"turn{turn} keep")
            named.update(gateway.give(f"turn{turn} go"))
            if gateway.cut("spool", "purge", "--containing", " go ", "--yes"):
                gone |= named
        events, _ = gateway.held()
        assert max(events.values()) == 1
        assert set(gateway.sent) - named <= set(events) <= set(gateway.sent) - gone


@long_victims
def test_what_waits_and_is_moved(tmp_path: Path, victim: Victim) -> None:
    """To and fro between two intakes; each event is in one of them."""
    with loaded(tmp_path, victim) as gateway:
        for turn in range(TURNS):
            gateway.give(f"turn{turn}")
            publisher, consumer = ("b", "a") if turn % 2 else ("a", "b")
            gateway.cut("spool", "move", "--intake", publisher, "--to", consumer, "--containing", "5")
        assert gateway.held() == (Counter(gateway.sent), Counter())


@long_victims
def test_a_gateway_that_is_drained(tmp_path: Path, victim: Victim) -> None:
    """Nobody takes anything, so that a drain fails or is cut off; all stays, and a reload opens the doors again."""
    with loaded(tmp_path, victim) as gateway:
        for turn in range(TURNS):
            if gateway.bridge.process is not None:
                cli(gateway.bridge, "reload")
            gateway.give(f"turn{turn}")
            gateway.cut("drain", "--timeout", "500ms", code=1)
        assert gateway.held() == (Counter(gateway.sent), Counter())


@long_victims
def test_a_period_that_is_replayed(tmp_path: Path, victim: Victim) -> None:
    """A replay is all of the period or nothing of it, whatever it is cut off by."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    spool = {"directory": str(tmp_path / "bridge" / "spool"), "archive": {"max_size": "1GB", "max_age": "7d"}}
    with collecting(tmp_path) as collector, loaded(tmp_path, victim, url=collector.url, spool=spool) as gateway:
        bridge = gateway.bridge
        texts = delivered(bridge, collector, start)
        bridge.stop()
        bridge.configuration["intakes"]["a"]["url"] = f"http://127.0.0.1:{free_port()}"
        whole = ["--from", start.isoformat(), "--to", (start + timedelta(seconds=EVENTS)).isoformat(), "--yes"]
        for _ in range(TURNS):
            if bridge.process is None:
                bridge.start()
            gateway.cut("replay", "--intake", "a", *whole)
        events, _ = gateway.held()
        (times,) = set(events.values())
        assert set(events) == set(texts)
        assert gateway.cutter.ended <= times <= TURNS


def delivered(bridge: Bridge, collector: Collector, start: datetime) -> list[str]:
    """Events that were delivered and so are in the archive, one a second."""
    bridge.start()
    times = [start + timedelta(seconds=i) for i in range(EVENTS)]
    lines = [f"<13>{at:%b} {at.day:2} {at:%H:%M:%S} gw app: event {i}".encode() for i, at in enumerate(times)]
    send_lines(bridge.tcp, lines)
    arrived = collector.wait_for(EVENTS)
    until(lambda: bridge.ledger()["delivered"] == EVENTS, lambda: f"{EVENTS} delivered: {bridge.accounting()}")
    return [event.text for event in arrived]
