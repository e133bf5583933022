"""Implements ``syslog-bridge reload``: applies the configuration file to the running bridge."""

from pathlib import Path

import click

from bridge.cli.execute import bridge_runs, run_command
from bridge.cli.options import configuration_option, fail, load_config


@click.command(epilog="\b\nExample:\n  syslog-bridge reload -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
def reload(file: Path) -> None:
    """Reload the configuration of the running bridge.

    Does the same as systemctl reload, and prints the result.
    """
    config = load_config(file, secrets=False)
    if not bridge_runs(config, "reload"):
        fail("reload: no bridge is running")
    click.echo(run_command(config, "reload", {})["text"])
