"""Implements ``syslog-bridge config`` and ``schema``: print a configuration with all defaults, and the JSON Schema."""

import json

import click

from bridge.cli.options import CliCommand, CliGroup, configured, example
from bridge.config import Config, effective
from bridge.config.schema import schema as configuration_schema


@click.group("config", cls=CliGroup, epilog=example("syslog-bridge config show --effective"))
def config_group() -> None:
    """Show the effective configuration."""


@config_group.command(epilog=example("syslog-bridge config show --effective -c bridge.yaml"))
@configured
@click.option("--effective", is_flag=True, help="Fill in every default. Always on.", expose_value=False)
def show(config: Config) -> None:
    """Print the effective configuration: all included files merged, every default filled in, each intake with its
    complete destination. Secrets are not read and are shown as ****.

    The output is for reading only: paths are absolute, and comments are not kept.
    """
    click.echo(effective(config), nl=False)


@click.command(cls=CliCommand, epilog=example("syslog-bridge schema > bridge.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    It is for editors and CI pipelines. For an editor, make this the first line of the configuration:

    \b
    # yaml-language-server: $schema=bridge.schema.json
    """
    click.echo(json.dumps(configuration_schema(), indent=2))
