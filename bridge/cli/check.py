"""``syslog-bridge check``: checks the configuration and, on request, the way to each collector."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bridge.cli.options import WRONG_USAGE, configuration_option
from bridge.setup.check_result import (
    Connect,
    faults_of,
    lines_of,
    verdict,
)


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
