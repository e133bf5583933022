"""``syslog-bridge config``: prints a configuration with every default filled in."""

from pathlib import Path

import click

from bridge.cli.options import configuration_option, loaded
from bridge.config import effective


@click.group("config", epilog="\b\nExample:\n  syslog-bridge config show --effective")
def config_group() -> None:
    """See what a configuration means."""


@config_group.command(epilog="\b\nExample:\n  syslog-bridge config show --effective -c bridge.yaml")
@configuration_option
@click.option("--effective", "whole", is_flag=True, help="With every default, as it holds. This is all there is today.")
def show(file: Path, whole: bool) -> None:
    """Print the configuration as it holds: all files joined, every default filled in, each intake with its whole
    destination; secrets as ****. No secret is read.

    It is for reading: paths are whole, and what was written beside a file's name is not kept.
    """
    del whole
    click.echo(effective(loaded(file, secrets=False)), nl=False)
