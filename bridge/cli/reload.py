"""Implements ``syslog-bridge reload``: applies the configuration file to the running bridge."""

import click

from bridge.cli.execute import bridge_runs, run_command
from bridge.cli.options import CliCommand, configured, example, fail
from bridge.config import Config


@click.command(cls=CliCommand, epilog=example("syslog-bridge reload -c /etc/syslog-bridge/bridge.yaml"))
@configured
def reload(config: Config) -> None:
    """Reload the configuration of the running bridge.

    Does the same as systemctl reload, and prints the result.
    """
    if not bridge_runs(config):
        fail("reload: no bridge is running")
    click.echo(run_command(config, "reload", {})["text"])
