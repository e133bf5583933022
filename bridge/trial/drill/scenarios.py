"""What is tried: each exercise brings trouble, takes it away, and tells what it cost.

Lost is what was read by the bridge and never arrived; twice is what arrived more than once, which a crash or a lost
answer may cost and the bridge counts as possible; caught up is how long it took from the end of the trouble until
everything had arrived.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.trial.drill.processes import (
    CollectorProcess,
    DrillError,
    GatewayProcess,
    wait,
)
from bridge.trial.drill.senders import Numbers, frame, send_tcp

_ARRIVES_WITHIN = 90.0
"Seconds from the end of a trouble; back-off and a breaker's probing are in it."


@dataclass
class ScenarioResult:
    """What one exercise has shown. ``caught_up`` in seconds."""

    name: str
    ok: bool
    text: str
    sent: int = 0
    lost: int = 0
    twice: int = 0
    caught_up: float | None = None
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Drill:
    """What the exercises share."""

    drill_collector: CollectorProcess
    gateway: GatewayProcess
    numbers: Numbers
    trouble_seconds: float
    events: int

    def send(self, count: int, *, poison_at: int | None = None) -> range:
        """Send so many over TCP, and wait until the bridge has read them all."""
        before = self.gateway.ledger()["received"]
        numbers = self.numbers.take(count)
        frames = [frame(number, poison=index == poison_at) for index, number in enumerate(numbers)]
        send_tcp(self.gateway.tcp, frames)
        wait(lambda: self.gateway.ledger()["received"] >= before + count, 30, "the bridge has not read what was sent")
        return numbers

    def arrived(self, numbers: range) -> dict[str, int]:
        """Of these numbers."""
        return self.drill_collector.account(numbers[0], numbers[-1])

    def catch_up(self, numbers: range, expected: int) -> float | None:
        """Seconds until so many of them have arrived; None where they do not."""
        try:
            return wait(lambda: self.arrived(numbers)["distinct"] >= expected, _ARRIVES_WITHIN, "")
        except DrillError:
            return None

    def outcome(
        self, name: str, numbers: range, caught_up: float | None, *, expected: int, text: str = ""
    ) -> ScenarioResult:
        """The account of an exercise that sent these numbers and expected so many of them to arrive."""
        found = self.arrived(numbers)
        lost = max(0, expected - found["distinct"])
        parts = [f"{len(numbers):,} events, {lost:,} lost, {found['doubles']:,} twice"]
        if caught_up is not None:
            parts.append(f"caught up {caught_up:.1f} s after it")
        if text:
            parts.append(text)
        return ScenarioResult(name, not lost, "; ".join(parts), len(numbers), lost, found["doubles"], caught_up)


def _trouble(name: str, mode: str) -> Callable[[Drill], ScenarioResult]:
    def exercise(drill: Drill) -> ScenarioResult:
        drill.drill_collector.mode(mode)
        numbers = drill.send(drill.events)
        time.sleep(drill.trouble_seconds)
        drill.drill_collector.mode("ok")
        return drill.outcome(name, numbers, drill.catch_up(numbers, len(numbers)), expected=len(numbers))

    return exercise


def _too_large(drill: Drill) -> ScenarioResult:
    drill.drill_collector.mode("413")
    numbers = drill.send(drill.events)
    caught_up = drill.catch_up(numbers, len(numbers))
    drill.drill_collector.mode("ok")
    return drill.outcome("413", numbers, caught_up, expected=len(numbers), text="requests were halved until they fit")


def _poison(drill: Drill) -> ScenarioResult:
    drill.drill_collector.mode("poison")
    before = drill.gateway.ledger()["quarantined"]
    numbers = drill.send(500, poison_at=250)
    caught_up = drill.catch_up(numbers, 499)
    aside = drill.gateway.ledger()["quarantined"] - before
    drill.drill_collector.mode("ok")
    found = drill.outcome("poison", numbers, caught_up, expected=499, text=f"{aside} put aside in quarantine")
    found.ok = found.ok and aside == 1
    return found


def _kill(drill: Drill) -> ScenarioResult:
    numbers = drill.send(drill.events)
    drill.gateway.kill()
    seconds = drill.gateway.start()
    caught_up = drill.catch_up(numbers, len(numbers))
    possible = sum(drill.gateway.status()["possible_duplicates"].values())
    found = drill.outcome("kill", numbers, caught_up, expected=len(numbers), text=f"ready again after {seconds:.1f} s")
    found.more = {"ready_seconds": round(seconds, 2), "possible_duplicates": possible}
    return found


def _full(drill: Drill) -> ScenarioResult:
    """A bridge of its own, whose spool is small: what does not fit must be counted, and the rest arrive."""
    ordinary = drill.gateway
    ordinary.stop()
    small = GatewayProcess(
        ordinary.folder / "full", drill.drill_collector.port, ordinary.fsync, ordinary.receive_buffer, max_size=4 << 20
    )
    drill.gateway = small
    try:
        drill.drill_collector.mode("500")
        small.start()
        count = 60_000
        numbers = drill.send(count)
        held = wait_steady(lambda: int(small.ledger()["spooled"]))
        dropped = sum(small.ledger()["dropped"].values())
        drill.drill_collector.mode("ok")
        kept = count - dropped
        caught_up = drill.catch_up(numbers, kept)
        ledger = small.ledger()
        dropped = sum(ledger["dropped"].values())
        found = drill.outcome(
            "full", numbers, caught_up, expected=count - dropped,
            text=f"{held:,} fitted into 4 MiB, {dropped:,} dropped and counted ({', '.join(ledger['dropped'])})",
        )  # fmt: skip
        found.ok = found.ok and dropped > 0
        return found
    finally:
        small.stop()
        drill.gateway = ordinary
        ordinary.start()


def wait_steady(figure: Callable[[], int]) -> int:
    """The figure once it has not moved for half a second."""
    last, since = figure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.1)
        if (now := figure()) != last:
            last, since = now, time.monotonic()
    return last


EXERCISES: Mapping[str, tuple[str, Callable[[Drill], ScenarioResult]]] = {
    "outage": ("the collector cannot be reached", _trouble("outage", "refuse")),
    "429": ("the collector says: too many requests", _trouble("429", "429")),
    "500": ("the collector is broken", _trouble("500", "500")),
    "413": ("the collector takes small requests only", _too_large),
    "poison": ("the collector refuses one event of 500", _poison),
    "kill": ("the bridge is killed (kill -9) while it delivers", _kill),
    "full": ("the spool is full while the collector is away", _full),
}
"""Name -> what happens in it, and what runs it."""
