"""Implements ``syslog-bridge status``: shows the health of the bridge, or the contents of the spool if none runs."""

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from bridge.cli import status_nagios, status_text
from bridge.cli.options import CliCommand, configuration_option, example, fail, os_error_text
from bridge.config import load
from bridge.host.privileges import become_owner
from bridge.operations import control_client, spool_summary
from bridge.util.errors import BridgeError
from bridge.util.os_errors import described

MAX_SOURCES = 100
"Sources requested from the bridge. The output shows as many as fit."
OUTPUTS = ("text", "json", "nagios")


@click.command(
    cls=CliCommand,
    epilog=example("syslog-bridge status -c /etc/syslog-bridge/bridge.yaml", "syslog-bridge status --output nagios"),
)
@configuration_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the JSON of /api/status; running is false if no bridge runs."
)
@click.option(
    "--output", type=click.Choice(OUTPUTS), default="text", show_default=True,
    help="nagios: one line with performance data, and the exit codes of Nagios; json: the same as --json.",
)  # fmt: skip
@click.option("--watch", "watched", is_flag=True, help="Update the status every two seconds until Ctrl-C.")
def status(file: Path, as_json: bool, output: str, watched: bool) -> None:
    """Show the health of the bridge, or of its spool if none runs.

    The first line says whether the bridge is healthy and, if not, what to do. If no bridge runs, shows the contents of
    the spool.

    With --output nagios the exit code is 0 (OK: healthy), 1 (WARNING: degraded), 2 (CRITICAL: critical, or no bridge
    runs) or 3 (UNKNOWN: the bridge does not answer, or the configuration cannot be read).
    """
    if output == "nagios":
        _nagios(file)
    directory = load(file, secrets=False).spool.directory
    as_json = as_json or output == "json"
    if watched and not as_json:
        _watch(directory)
        return
    become_owner(directory)
    report, running = _read_status(directory, "" if as_json else f"?sources={MAX_SOURCES}")
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(status_text.of_running(report) if running else status_text.of_files(report))


def _nagios(file: Path) -> NoReturn:
    """Prints the line for Nagios, and exits with its code, also if the state is not known."""
    try:
        directory = load(file, secrets=False).spool.directory
        become_owner(directory)
        report, running = _read_status(directory, "?sources=0")
        text, code = status_nagios.line(report) if running else status_nagios.stopped("the bridge is not running")
    except BridgeError as error:
        text, code = status_nagios.unknown(str(error))
    except OSError as error:
        text, code = status_nagios.unknown(os_error_text(error))
    click.echo(text)
    raise SystemExit(code)


def _read_status(directory: Path, query: str) -> tuple[dict[str, Any], bool]:
    """Returns the status, and True if it is from a running bridge."""
    if not directory.is_dir():
        raise control_client.never_ran(directory)
    process = spool_summary.owner(directory)
    if process is None:
        return spool_summary.read_status(directory), False
    try:
        return control_client.get(directory, f"/api/status{query}"), True
    except control_client.ControlError as error:
        raise control_client.ControlError(f"process {process} has locked the spool, but {error}") from None


def _watch(directory: Path) -> None:
    # Before root becomes the user of the spool, who may not be allowed to read the program.
    from rich.console import Console  # noqa: PLC0415

    from bridge.cli.status_watch import watch  # noqa: PLC0415

    become_owner(directory)
    console = Console()
    if not console.is_terminal:
        fail("status: --watch needs a terminal. Without one, run status --json repeatedly")
    try:
        watch(lambda: control_client.get(directory, f"/api/status?sources={MAX_SOURCES}"), console)
    except (control_client.ControlError, OSError) as error:
        fail(f"status: {described(error)}. Check that the bridge is running")
