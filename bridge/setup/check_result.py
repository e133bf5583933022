"""Defines the results of a configuration check and of a connection check, as data and as text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bridge.config import Config


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one step of a connection check."""

    target: str
    "The tested URL."
    intakes: tuple[str, ...]
    "The intakes that are delivered to the URL."
    step: str
    "name, tcp, proxy, tls, http or event for a collector; amqp or queue for a broker."
    ok: bool
    text: str
    "For the operator: the finding, or the fault and its remedy. Never contains a key."
    event_ids: tuple[str, ...] = ()
    key_refused: bool = False
    "True if the collector does not accept the intake key."


Connect = Callable[[Config, bool, bool], Sequence[StepResult]]
"""Tests the connection to every collector (first flag) and sends one event for each intake (second flag)."""


def verdict(config: Config) -> str:
    """Summarises a valid configuration in one line."""
    parts = [
        _counted(len(config.listeners), "listener"),
        _counted(len(config.intakes), "intake"),
        _counted(len(config.routes), "route"),
        _counted(len(config.sources), "source entry", "source entries"),
    ]
    rest = f"to intake {config.unrouted.intake}" if config.unrouted.kind == "intake" else config.unrouted.kind
    return f"configuration is valid: {', '.join(parts)}; unrouted: {rest}"


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def lines_of(results: Sequence[StepResult]) -> list[str]:
    """Formats results as text lines, with a heading for each target."""
    lines: list[str] = []
    for (target, intakes), steps in groupby(results, key=lambda result: (result.target, result.intakes)):
        names = ", ".join(intakes[:5]) + (", ..." if len(intakes) > 5 else "")
        lines.append(f"{target} (intake {names})")
        lines += [f"  {'ok' if step.ok else 'NO':<3} {step.step:<5} {step.text}" for step in steps]
    return lines
