"""``syslog-bridge status``."""

import json
from pathlib import Path
from typing import Any

import click

from bridge.tools import control, spool_files, summary
from bridge.tools.options import configuration_option, failed, loaded


@click.command(epilog="\b\nExample:\n  syslog-bridge status -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
@click.option("--json", "as_json", is_flag=True, help="The JSON of /api/status; running: false where there is none.")
def status(file: Path, as_json: bool) -> None:
    """Tell how the bridge is doing; where it is not running, what its spool holds."""
    directory = loaded(file, secrets=False).spool.directory
    try:
        found, running = _found(directory)
    except control.ControlError as error:
        failed(f"status: {error}")
    except OSError as error:
        remedy = "; only the bridge's own user and root may look" if isinstance(error, PermissionError) else ""
        failed(f"status: {error.filename or directory}: {error.strerror}{remedy}")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(summary.of_running(found) if running else summary.of_files(found))


def _found(directory: Path) -> tuple[dict[str, Any], bool]:
    """What is known, and whether a running bridge said it."""
    if not directory.is_dir():
        raise control.ControlError(f"the bridge has never run: there is no spool {directory}")
    process = spool_files.owner(directory)
    if process is None:
        return spool_files.as_json(directory, spool_files.read(directory)), False
    try:
        return control.get(directory, "/api/status"), True
    except control.ControlError as error:
        raise control.ControlError(f"process {process} holds the spool, but {error}") from None
