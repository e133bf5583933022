"""``syslog-bridge status``."""

import json
from pathlib import Path
from typing import Any

import click

from bridge.cli import status_text
from bridge.cli.options import configuration_option, failed, loaded
from bridge.operations import control_client, offline_spool

MOST_SHOWN = 100
"Sources that are asked for, to show those that fit."


@click.command(epilog="\b\nExample:\n  syslog-bridge status -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
@click.option("--json", "as_json", is_flag=True, help="The JSON of /api/status; running: false where there is none.")
@click.option("--watch", "watched", is_flag=True, help="Go on, and show it anew every two seconds, until Ctrl-C.")
def status(file: Path, as_json: bool, watched: bool) -> None:
    """Tell how the bridge is doing; where it is not running, what its spool holds."""
    directory = loaded(file, secrets=False).spool.directory
    if watched and not as_json:
        _watch(directory)
        return
    try:
        found, running = _found(directory, "" if as_json else f"?sources={MOST_SHOWN}")
    except control_client.ControlError as error:
        failed(f"status: {error}")
    except OSError as error:
        remedy = "; only the bridge's own user and root may look" if isinstance(error, PermissionError) else ""
        failed(f"status: {error.filename or directory}: {error.strerror}{remedy}")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(status_text.of_running(found) if running else status_text.of_files(found))


def _found(directory: Path, asked: str) -> tuple[dict[str, Any], bool]:
    """What is known, and whether a running bridge said it."""
    if not directory.is_dir():
        raise control_client.ControlError(f"the bridge has never run: there is no spool {directory}")
    process = offline_spool.owner(directory)
    if process is None:
        return offline_spool.as_json(directory, offline_spool.read(directory)), False
    try:
        return control_client.get(directory, f"/api/status{asked}"), True
    except control_client.ControlError as error:
        raise control_client.ControlError(f"process {process} holds the spool, but {error}") from None


def _watch(directory: Path) -> None:
    from rich.console import Console  # noqa: PLC0415

    from bridge.cli.status_watch import watch  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        failed("status: --watch needs a terminal; without one, ask again and again: status --json")
    try:
        watch(lambda: control_client.get(directory, f"/api/status?sources={MOST_SHOWN}"), console)
    except (control_client.ControlError, OSError) as error:
        failed(f"status: {error}; is the bridge running?")
