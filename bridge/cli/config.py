"""Implements ``syslog-bridge config``: prints a configuration with every default filled in."""

import click

from bridge.cli.options import CliGroup, configured, example
from bridge.config import Config, effective


@click.group("config", cls=CliGroup, epilog=example("syslog-bridge config show --effective"))
def config_group() -> None:
    """Show the effective configuration."""


@config_group.command(epilog=example("syslog-bridge config show --effective -c bridge.yaml"))
@configured
@click.option("--effective", "whole", is_flag=True, help="Fill in every default. Always on.")
def show(config: Config, whole: bool) -> None:
    """Print the effective configuration: all included files merged, every default filled in, each intake with its
    complete destination. Secrets are not read and are shown as ****.

    The output is for reading only: paths are absolute, and comments are not kept.
    """
    del whole
    click.echo(effective(config), nl=False)
