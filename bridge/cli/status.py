"""Implements ``syslog-bridge status``: shows the health of the bridge, or the contents of the spool if none runs."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from bridge.cli import status_nagios, status_text
from bridge.cli.imports import import_now
from bridge.cli.options import CliCommand, configuration_option, example, fail, os_error_text, output_option
from bridge.cli.status_screen import screen
from bridge.config.spool_place import spool_directory
from bridge.host.privileges import become_owner, other_owner, program_is_public
from bridge.monitoring.alarm_kinds import HEALTHY
from bridge.monitoring.problems import headline_of
from bridge.operations import control_client, spool_owner
from bridge.util.errors import BridgeError
from bridge.util.os_errors import described

MAX_SOURCES = 100
"Sources requested from the bridge. The output shows as many as fit."


@click.command(
    cls=CliCommand,
    epilog=example(
        "syslog-bridge status", "syslog-bridge status --sources", "syslog-bridge status --exit-code > /dev/null || ...",
        "syslog-bridge status --output nagios",
    ),
)  # fmt: skip
@configuration_option
@click.option("--sources", "complete", is_flag=True, help="Show everything: also senders, listeners and clocks.")
@output_option("nagios", help="json: all of /api/status, with running: false if no bridge runs; nagios: one line.")
@click.option("--exit-code", "by_health", is_flag=True, help="Exit with 1 unless the bridge runs and is healthy.")
@click.option("--watch", "watched", is_flag=True, help="Update the status every two seconds until Ctrl-C.")
def status(file: Path, complete: bool, output: str, by_health: bool, watched: bool) -> None:
    """Show the health of the bridge, or of its spool if none runs.

    The first line says whether the bridge is healthy and, if not, what to do. Then come the intakes, the totals since
    the start, and the other problems. If no bridge runs, shows the contents of the spool.

    With --output nagios the exit code is 0 (OK: healthy), 1 (WARNING: degraded), 2 (CRITICAL: critical, or no bridge
    runs) or 3 (UNKNOWN: the bridge does not answer, or the configuration cannot be read).
    """
    if output == "nagios":
        _nagios(file)
    directory = _spool_directory(file)
    if watched and output == "text":
        _watch(directory)
        return
    _become_owner(directory, complete=complete)
    query = "" if output == "json" else f"?sources={MAX_SOURCES if complete else 0}"
    report, running = _read_status(directory, query)
    if output == "json":
        click.echo(json.dumps(report, indent=2))
    elif not running:
        click.echo(status_text.of_files(report))
    elif complete:
        click.echo(status_text.of_running(report, width=_terminal_width()))
    else:
        click.echo(screen(report, width=_terminal_width()))
    if by_health and not (running and headline_of(report)["state"] == HEALTHY):
        raise SystemExit(1)


def _spool_directory(file: Path) -> Path:
    """Returns the directory of the spool. Reads the whole configuration only if it is not found without."""
    directory = spool_directory(file)
    if directory is not None and directory.is_dir():
        return directory
    from bridge.config import load  # noqa: PLC0415  imports the models, which take longer than the rest of the command

    return load(file, secrets=False).spool.directory


def _become_owner(directory: Path, *, complete: bool = False) -> None:
    """Becomes the user of the spool, who may not be allowed to read the program: imports what may be needed before."""
    if other_owner(directory) is not None and (complete or not program_is_public()):
        import_now("bridge.operations.spool_summary")
    become_owner(directory)


def _terminal_width() -> int | None:
    return max(40, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def _nagios(file: Path) -> NoReturn:
    """Prints the line for Nagios, and exits with its code, also if the state is not known."""
    try:
        directory = _spool_directory(file)
        _become_owner(directory)
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
    process = spool_owner.owner(directory)
    if process is None:
        from bridge.operations import spool_summary  # noqa: PLC0415  imports the spool, which a running bridge reads

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
        fail("status: --watch needs a terminal. Without one, run status --output json repeatedly")
    try:
        watch(lambda: control_client.get(directory, f"/api/status?sources={MAX_SOURCES}"), console)
    except (control_client.ControlError, OSError) as error:
        fail(f"status: {described(error)}. Check that the bridge is running")
