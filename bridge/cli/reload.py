"""Implements ``syslog-bridge reload``: applies the configuration file to the running bridge."""

from pathlib import Path

import click

from bridge.cli.execute import bridge_runs, run_command
from bridge.cli.options import CliCommand, configuration_option, example, fail
from bridge.config import load


@click.command(cls=CliCommand, epilog=example("syslog-bridge reload -c /etc/syslog-bridge/bridge.yaml"))
@configuration_option
def reload(file: Path) -> None:
    """Reload the configuration of the running bridge.

    Does the same as systemctl reload, and prints the result.
    """
    config = load(file, secrets=False)
    if not bridge_runs(config):
        fail("reload: no bridge is running")
    click.echo(run_command(config, "reload", {})["text"])
