"""Measures the highest sustained rate over TCP and UDP: raises the rate until the bridge falls behind.

A step succeeds if the sender kept the rate, the bridge has read all events (over UDP: the kernel dropped none), and
the spool holds at most a few seconds of events. Senders, bridge and collector share the machine, and the drill's
collector examines each event, so the real maximum is higher. The result also gives events per CPU second of the bridge.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.trial.drill.processes import DrillError, wait
from bridge.trial.drill.scenarios import Drill
from bridge.trial.drill.senders import send_at_rate
from bridge.util.counts import counted

_RATES = (1_000, 2_000, 5_000, 10_000, 20_000, 35_000, 50_000, 75_000, 100_000, 150_000, 200_000)
_BACKLOG_SECONDS = 3.0


@dataclass(frozen=True)
class Ramp:
    """The highest sustained rate in events per second, and the reason why the next step failed."""

    kind: str
    rate: int
    reason: str
    per_cpu_second: int

    def __str__(self) -> str:
        most = f"{self.rate:,} events/s sustained" if self.rate else "the lowest rate was not sustained"
        return f"{most} ({self.reason}); {counted(self.per_cpu_second, 'event')} per CPU second of the bridge"


def measure_rate(drill: Drill, kind: str, seconds: float, report: Callable[[str], None]) -> Ramp:
    """Raises the rate until a step fails; reports each successful step."""
    good, reason, efficiency = 0, "the highest tested rate", 0
    for rate, failed, per_cpu in _steps(drill, kind, seconds):
        efficiency = max(efficiency, per_cpu)
        if failed:
            reason = f"at {rate:,}: {failed}"
            break
        good = rate
        report(f"{rate:,}/s")
    return Ramp(kind, good, reason, efficiency)


def _steps(drill: Drill, kind: str, seconds: float) -> Iterator[tuple[int, str, int]]:
    gateway = drill.gateway
    for rate in _RATES:
        before, cpu = gateway.status(), gateway.cpu_seconds()
        numbers = drill.numbers.take(int(rate * seconds))
        kept = send_at_rate(kind, gateway.udp if kind == "udp" else gateway.tcp, numbers, rate)
        failed = ""
        try:
            wait(lambda: _read(gateway.status(), before) >= len(numbers), 2.0, "")  # noqa: B023
        except DrillError:
            missing = len(numbers) - _read(gateway.status(), before)
            drops = _drops(gateway.status()) - _drops(before)
            failed = (
                f"the kernel dropped {counted(drops, 'datagram')}"
                if drops
                else f"{counted(missing, 'event')} not read in time"
            )
        waiting = gateway.ledger()["spooled"]
        if not failed and not kept:
            failed = "the sender could not keep this rate"
        if not failed and waiting > rate * _BACKLOG_SECONDS:
            failed = f"{counted(waiting, 'event')} waiting in the spool"
        used = gateway.cpu_seconds() - cpu
        yield rate, failed, int(len(numbers) / used) if used > 0.2 else 0
        wait(lambda: not gateway.ledger()["spooled"], 120, "the spool did not drain after a step of the rate test")


def _read(status: dict[str, dict[str, int]], before: dict[str, dict[str, int]]) -> int:
    return int(status["ledger"]["received"] - before["ledger"]["received"])


def _drops(status: dict[str, dict[str, int]]) -> int:
    return sum(status["kernel_drops"].values())
