"""Defines the drill's fault scenarios: each one causes a fault, ends it, and measures its effect.

*Lost* counts events that the bridge received and that never arrived. *Twice* counts events that arrived more than once;
a crash or a lost response can cause this, and the bridge counts them as possible duplicates. *Caught up* is the time
from the end of the fault until all events had arrived.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bridge.trial.drill.processes import CollectorProcess, DrillError, GatewayProcess, wait
from bridge.trial.drill.senders import Numbers, frame, send_tcp
from bridge.util.counts import counted

_ARRIVES_WITHIN = 90.0
"Seconds from the end of a fault, including back-off and the probes of the circuit breaker."


@dataclass(frozen=True)
class ScenarioResult:
    """The result of one scenario; ``caught_up`` is in seconds, None if the events did not all arrive."""

    name: str
    ok: bool
    text: str
    sent: int = 0
    lost: int = 0
    twice: int = 0
    caught_up: float | None = None
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Drill:
    """The collector, the bridge and the settings that all scenarios share."""

    drill_collector: CollectorProcess
    gateway: GatewayProcess
    numbers: Numbers
    fault_seconds: float
    events: int

    def send(self, count: int, *, poison_at: int | None = None) -> range:
        """Sends ``count`` events over TCP and waits until the bridge has received them all; returns their numbers."""
        before = self.gateway.ledger()["received"]
        numbers = self.numbers.take(count)
        frames = [frame(number, poison=index == poison_at) for index, number in enumerate(numbers)]
        send_tcp(self.gateway.tcp, frames)
        wait(lambda: self.gateway.ledger()["received"] >= before + count, 30, "the bridge has not received all events")
        return numbers

    def arrived(self, numbers: range) -> dict[str, int]:
        """Returns the collector's counts of these numbers."""
        return self.drill_collector.count(numbers[0], numbers[-1])

    def catch_up(self, numbers: range, expected: int) -> float | None:
        """Returns the seconds until ``expected`` of the numbers have arrived, None if they do not arrive in time."""
        try:
            return wait(lambda: self.arrived(numbers)["distinct"] >= expected, _ARRIVES_WITHIN, "")
        except DrillError:
            return None

    def outcome(
        self, name: str, numbers: range, caught_up: float | None, *, expected: int, text: str = "", ok: bool = True,
        more: Mapping[str, object] | None = None,
    ) -> ScenarioResult:  # fmt: skip
        """Returns the result of a scenario that sent ``numbers`` and expects ``expected`` of them to arrive. ``ok`` is
        False if it failed for another reason."""
        found = self.arrived(numbers)
        lost = max(0, expected - found["distinct"])
        parts = [f"{counted(len(numbers), 'event')} sent, {lost:,} lost, {found['doubles']:,} delivered twice"]
        if caught_up is not None:
            parts.append(f"caught up in {caught_up:.1f} s")
        if text:
            parts.append(text)
        return ScenarioResult(
            name, ok and not lost, "; ".join(parts), len(numbers), lost, found["doubles"], caught_up, more or {}
        )


def _collector_fault(name: str, mode: str) -> Callable[[Drill], ScenarioResult]:
    def scenario(drill: Drill) -> ScenarioResult:
        drill.drill_collector.mode(mode)
        numbers = drill.send(drill.events)
        time.sleep(drill.fault_seconds)
        drill.drill_collector.mode("ok")
        return drill.outcome(name, numbers, drill.catch_up(numbers, len(numbers)), expected=len(numbers))

    return scenario


def _too_large(drill: Drill) -> ScenarioResult:
    drill.drill_collector.mode("413")
    numbers = drill.send(drill.events)
    caught_up = drill.catch_up(numbers, len(numbers))
    drill.drill_collector.mode("ok")
    return drill.outcome("413", numbers, caught_up, expected=len(numbers), text="requests were split until they fit")


def _poison(drill: Drill) -> ScenarioResult:
    drill.drill_collector.mode("poison")
    before = drill.gateway.ledger()["quarantined"]
    numbers = drill.send(500, poison_at=250)
    caught_up = drill.catch_up(numbers, 499)
    quarantined = drill.gateway.ledger()["quarantined"] - before
    drill.drill_collector.mode("ok")
    text = f"{quarantined} quarantined"
    return drill.outcome("poison", numbers, caught_up, expected=499, text=text, ok=quarantined == 1)


def _kill(drill: Drill) -> ScenarioResult:
    numbers = drill.send(drill.events)
    drill.gateway.kill()
    seconds = drill.gateway.start()
    caught_up = drill.catch_up(numbers, len(numbers))
    possible = sum(drill.gateway.status()["possible_duplicates"].values())
    return drill.outcome(
        "kill", numbers, caught_up, expected=len(numbers), text=f"ready again after {seconds:.1f} s",
        more={"ready_seconds": round(seconds, 2), "possible_duplicates": possible},
    )  # fmt: skip


def _full(drill: Drill) -> ScenarioResult:
    """Fills the small spool of a separate bridge: events that do not fit must be counted, the others must arrive."""
    ordinary = drill.gateway
    ordinary.stop()
    small = GatewayProcess(
        ordinary.folder / "full", drill.drill_collector.port, ordinary.fsync, ordinary.receive_buffer, max_size=4 << 20
    )
    drill = replace(drill, gateway=small)
    try:
        drill.drill_collector.mode("500")
        small.start()
        count = 60_000
        numbers = drill.send(count)
        held = wait_steady(lambda: int(small.ledger()["spooled"]))
        dropped = sum(small.ledger()["dropped"].values())
        drill.drill_collector.mode("ok")
        caught_up = drill.catch_up(numbers, count - dropped)
        ledger = small.ledger()
        dropped = sum(ledger["dropped"].values())
        return drill.outcome(
            "full", numbers, caught_up, expected=count - dropped, ok=dropped > 0,
            text=f"{held:,} fit into 4 MiB, {dropped:,} dropped and counted ({', '.join(ledger['dropped'])})",
        )  # fmt: skip
    finally:
        small.stop()
        ordinary.start()


def wait_steady(figure: Callable[[], int]) -> int:
    """Waits until a figure has not changed for half a second; returns it."""
    last, since = figure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.1)
        if (now := figure()) != last:
            last, since = now, time.monotonic()
    return last


SCENARIOS: Mapping[str, tuple[str, Callable[[Drill], ScenarioResult]]] = {
    "outage": ("the collector cannot be reached", _collector_fault("outage", "refuse")),
    "429": ("the collector answers 429, too many requests", _collector_fault("429", "429")),
    "500": ("the collector answers 500", _collector_fault("500", "500")),
    "413": ("the collector accepts only small requests", _too_large),
    "poison": ("the collector rejects one event of 500", _poison),
    "kill": ("the bridge is killed (kill -9) during delivery", _kill),
    "full": ("the spool fills up during an outage of the collector", _full),
}
"""The description and the function of each scenario, by name."""
