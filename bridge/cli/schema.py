"""Implements ``syslog-bridge schema``: prints the JSON Schema of the configuration file."""

import json

import click

from bridge.cli.options import CliCommand, example
from bridge.config.schema import schema as configuration_schema


@click.command(cls=CliCommand, epilog=example("syslog-bridge schema > bridge.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    It is for editors and CI pipelines. For an editor, make this the first line of the configuration:

    \b
    # yaml-language-server: $schema=bridge.schema.json
    """
    click.echo(json.dumps(configuration_schema(), indent=2))
