"""Defines what commands that change events have in common: ``--dry-run``, ``--yes`` and the form of their result."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

import click

from bridge.cli.execute import JSON
from bridge.cli.options import WRONG_USAGE, bundle, fail, output_option
from bridge.util.counts import counted, plural

Counts = Callable[[], Mapping[str, int]]
"Returns how many events or frames would be changed, by intake or by reason."

change_options = bundle(
    click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    output_option(),
)
"""Adds ``--dry-run``, ``--yes`` and ``--output``, which the command gets as ``dry_run``, ``yes`` and ``output``."""


def end_dry_run(change: str, noun: str, counts: Mapping[str, int], output: str) -> NoReturn:
    """Prints what a command would change, such as ``would delete 12 events: lab 12``, and exits."""
    total = sum(counts.values())
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    print_result(
        output, {"dry_run": True, plural(noun): total, "counts": dict(counts)},
        [f"would {change} {counted(total, noun)}{f': {parts}' if parts else ''}"],
    )  # fmt: skip
    raise SystemExit(0)


def confirm(command: str, question: Callable[[], str], *, yes: bool) -> None:
    """Asks for confirmation, unless ``yes``. Exits with 1 if the answer is no, and with 2 if nobody can answer."""
    if yes:
        return
    if not has_terminal():
        fail(
            f"{command}: needs a confirmation, and there is no terminal to ask for it. Nothing was changed. Add --yes,"
            " or --dry-run to see what would change",
            WRONG_USAGE,
        )
    if not click.confirm(question(), err=True):
        raise SystemExit(1)


def has_terminal() -> bool:
    """Returns True if somebody can answer a question. A process may have no standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def print_result(output: str, result: JSON, lines: Iterable[str]) -> None:
    """Prints the result of a command as lines of text, or as a JSON object."""
    click.echo(json.dumps(result, indent=2) if output == "json" else "\n".join(lines))
