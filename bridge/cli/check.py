"""Implements ``syslog-bridge check``: checks the configuration and, on request, the connection to each collector."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import click

from bridge.cli.configuration_file import DEFAULT_FILE
from bridge.cli.options import WRONG_USAGE, CliCommand, configuration_option, example, output_option, probe
from bridge.cli.status_text import source_of
from bridge.config import Config, ConfigurationError, Fault, SourceWithUnsentData, linted
from bridge.operations import control_client, spool_owner
from bridge.setup.check_result import Connect, lines_of, verdict
from bridge.setup.machine_check import MachineCheck
from bridge.setup.read_cost import cost_notes
from bridge.util.errors import BridgeError


@click.command(cls=CliCommand, epilog=example("syslog-bridge check -c bridge.yaml --connect"))
@configuration_option
@click.option("--connect", "connecting", is_flag=True, help="Test DNS, TCP, proxy, TLS and HTTP of each collector.")
@click.option("--send-test", "sending", is_flag=True, help="Send one test event to each intake.")
@click.option("--strict", is_flag=True, help="Fail with exit code 2 on warnings, too.")
@click.option("--no-secrets", is_flag=True, help="Do not read keys and passwords; for a review on another machine.")
@output_option(old={"--format": None})
@click.pass_obj
def check(
    connect: Connect | None, file: Path, connecting: bool, sending: bool, strict: bool, no_secrets: bool, output: str
) -> None:
    """Check the configuration and this machine, and print all errors and warnings.

    Each error has file, line, column, what is wrong and what would be correct. Warnings are about valid settings
    that are probably a mistake: routes that never match, keys that look wrong or that every user can read, more
    intakes than max_request_rate allows, ports that another program has, and others. If the bridge runs, its sources
    are checked as well: structured data that their events do not have.

    Run by root, the check has the rights of the bridge's user: it reports keys, certificates and a spool that only root
    can use. --no-secrets checks neither files nor this machine.

    Exit code 2 if there is an error, or a warning with --strict; 1 if --connect or --send-test fails. --output json
    prints an array of errors and warnings (severity error or warning); with --connect or --send-test, an array of the
    test results.
    """
    if sending and no_secrets:
        raise click.UsageError("--send-test needs the intake keys, which --no-secrets does not read")
    testing = connecting or sending
    if testing:
        # Root reads the program before it becomes the user of the bridge, who may not be allowed to read it.
        import_module("bridge.setup.connection_check")
    try:
        config, faults = linted(file, secrets=False) if no_secrets else _complete_check(file)
    except ConfigurationError as error:
        rows = [{**asdict(fault), "severity": "error"} for fault in error.faults]
        rows += [{**asdict(fault), "severity": "warning"} for fault in error.warnings]
        _write(output, rows, [*map(str, error.faults), *map(_warning, error.warnings)])
        raise SystemExit(WRONG_USAGE) from None
    if output == "text":
        for fault in faults:
            click.echo(_warning(fault))
        if config.old_names:
            click.echo(f'Run "syslog-bridge config migrate --in-place {file}" to replace the old names.')
        click.echo(verdict(config))
        for note in cost_notes(config):
            click.echo(f"note: {note}")
    results = (connect or probe)(config, connecting, sending) if testing else []
    rows = [asdict(result) for result in results]
    warnings = [{**asdict(fault), "severity": "warning"} for fault in faults]
    _write(output, rows if testing else warnings, lines_of(results))
    if not all(result.ok for result in results):
        raise SystemExit(1)
    if strict and faults:
        raise SystemExit(WRONG_USAGE)


def _complete_check(file: Path) -> tuple[Config, list[Fault]]:
    """Checks the configuration and this machine with the rights of the bridge's user. Raises ConfigurationError."""
    machine = MachineCheck(file, packaged=file == DEFAULT_FILE)
    machine.become_service_user()
    return linted(file, unsent_data=_unsent_data, machine=machine.findings)


def _warning(fault: Fault) -> str:
    return f"{fault.file}:{fault.line}:{fault.column}: warning: {fault.message}"


def _unsent_data(config: Config) -> list[SourceWithUnsentData]:
    """Asks the running bridge for the sources whose structured data is not sent. Returns none if it cannot be asked."""
    directory = config.spool.directory
    try:
        if not spool_owner.has_owner(directory):
            return []
        rows = control_client.get(directory, "/api/status?sources=0").get("unsent_structured_data", [])
    except (OSError, BridgeError):
        # It may be starting or of another user. The configuration is valid all the same.
        return []
    return [
        SourceWithUnsentData(source_of(row), row.get("route"), row.get("intake"), row.get("ids", ()), row.get("format"))
        for row in rows
    ]


def _write(output: str, rows: Sequence[Mapping[str, object]], lines: Sequence[str]) -> None:
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif lines:
        click.echo("\n".join(lines))
