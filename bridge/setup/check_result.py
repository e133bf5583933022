"""Defines what a check of a configuration or of the way to a collector found, as data and as text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config import (
    Config,
    ConfigurationError,
    Fault,
    linted,
)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step of a trial has shown."""

    target: str
    "The URL that was tried."
    intakes: tuple[str, ...]
    "Who is delivered there."
    step: str
    "name, tcp, proxy, tls, http or event; amqp, queue"
    ok: bool
    text: str
    "For the operator: what was found, or what is wrong and what to do. Never a key."
    event_ids: tuple[str, ...] = field(default=())


Connect = Callable[[Config, bool, bool], Sequence[StepResult]]
"""Tries the way to every collector (the first flag) and sends one event for each intake (the second)."""


def faults_of(file: Path, *, secrets: bool) -> tuple[Config | None, list[Fault]]:
    """The configuration, and what is odd about it; or None, and everything that is wrong with it."""
    try:
        return linted(file, secrets=secrets)
    except ConfigurationError as error:
        return None, error.faults


def verdict(config: Config) -> str:
    """One line on a configuration without faults."""
    parts = [
        _counted(len(config.listeners), "listener"),
        _counted(len(config.intakes), "intake"),
        _counted(len(config.routes), "route"),
        _counted(len(config.sources), "source entry", "source entries"),
    ]
    rest = f"to intake {config.unrouted.intake}" if config.unrouted.kind == "intake" else config.unrouted.kind
    return f"configuration is good: {', '.join(parts)}; unrouted: {rest}"


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def lines_of(results: Sequence[StepResult]) -> list[str]:
    """Results for people, below a line for each target."""
    lines: list[str] = []
    headed = None
    for result in results:
        if (head := (result.target, result.intakes)) != headed:
            headed = head
            names = ", ".join(result.intakes[:5]) + (", ..." if len(result.intakes) > 5 else "")
            lines.append(f"{result.target} (intake {names})")
        lines.append(f"  {'ok' if result.ok else 'NO':<3} {result.step:<5} {result.text}")
    return lines
