"""``syslog-bridge check``: the configuration, and what ``bridge.probe`` finds out about the way to the collector."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from bridge.config import Config, ConfigurationError, Fault, linted
from bridge.tools.options import WRONG_USAGE, configuration_option


@dataclass(frozen=True, slots=True)
class Result:
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


Connect = Callable[[Config, bool, bool], Sequence[Result]]
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


def make_check(connect: Connect) -> click.Command:
    """The command, with what tries the network; a tool may not reach the network by itself."""

    @click.command(epilog="\b\nExample:\n  syslog-bridge check -c bridge.yaml --connect")
    @configuration_option
    @click.option("--connect", "connecting", is_flag=True, help="Try name, TCP, proxy, TLS, HTTP of each collector.")
    @click.option("--send-test", "sending", is_flag=True, help="Deliver one test event for each intake.")
    @click.option("--no-secrets", is_flag=True, help="Read no secrets: for a review elsewhere.")
    @click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
    def check(file: Path, connecting: bool, sending: bool, no_secrets: bool, form: str) -> None:
        """Name every fault of a configuration: file, line, column, what is wrong and what would be right.

        Warnings name what is right by the letter and probably not what was meant: routes that never take anything, keys
        that look wrong or that everybody can read, more intakes than max_request_rate can carry, and so on.

        Exit code 2 if there is a fault, 1 if --connect or --send-test did not succeed. --format json is an array of
        faults and warnings (severity error or warning); with --connect or --send-test, of what these found.
        """
        if sending and no_secrets:
            raise click.UsageError("--send-test needs the intake keys that --no-secrets leaves out")
        config, faults = faults_of(file, secrets=not no_secrets)
        if config is None:
            rows = [{**asdict(fault), "severity": "error"} for fault in faults]
            _write(form, rows, [str(fault) for fault in faults])
            raise SystemExit(WRONG_USAGE)
        trying = connecting or sending
        if form == "text":
            for fault in faults:
                click.echo(f"{fault.file}:{fault.line}:{fault.column}: warning: {fault.message}")
            click.echo(verdict(config))
        results = connect(config, connecting, sending) if trying else []
        rows = [asdict(result) for result in results]
        _write(
            form, rows if trying else [{**asdict(fault), "severity": "warning"} for fault in faults], lines_of(results)
        )
        if not all(result.ok for result in results):
            raise SystemExit(1)

    return check


def _write(form: str, rows: Sequence[Mapping[str, object]], lines: Sequence[str]) -> None:
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
    elif lines:
        click.echo("\n".join(lines))


def lines_of(results: Sequence[Result]) -> list[str]:
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
