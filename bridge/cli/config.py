"""Implements ``syslog-bridge config``: prints a configuration with every default filled in."""

from pathlib import Path

import click

from bridge.cli.options import CliGroup, configuration_option, example
from bridge.config import effective, load


@click.group("config", cls=CliGroup, epilog=example("syslog-bridge config show --effective"))
def config_group() -> None:
    """Show the effective configuration."""


@config_group.command(epilog=example("syslog-bridge config show --effective -c bridge.yaml"))
@configuration_option
@click.option("--effective", "whole", is_flag=True, help="Fill in every default. Always on.")
def show(file: Path, whole: bool) -> None:
    """Print the effective configuration: all included files merged, every default filled in, each intake with its
    complete destination. Secrets are not read and are shown as ****.

    The output is for reading only: paths are absolute, and comments are not kept.
    """
    del whole
    click.echo(effective(load(file, secrets=False)), nl=False)
