"""``syslog-bridge schema``: prints the JSON Schema of a configuration file."""

import json

import click

from bridge.config.schema import schema as made_schema


@click.command(epilog="\b\nExample:\n  syslog-bridge schema > bridge.schema.json")
def schema() -> None:
    """Print the JSON Schema of a configuration file, for editors and pipelines.

    In an editor: # yaml-language-server: $schema=bridge.schema.json as the first line of the file.
    """
    click.echo(json.dumps(made_schema(), indent=2))
