"""Implements ``syslog-bridge config`` and ``schema``: defaults, old names of keys, and the JSON Schema."""

import json
from pathlib import Path

import click
import yaml

from bridge.cli.options import CliCommand, CliGroup, configuration_option, configured, example, output_option
from bridge.config import Config, effective
from bridge.config.schema import schema as configuration_schema
from bridge.operations.config_migration import plan, write


@click.group("config", cls=CliGroup, epilog=example("syslog-bridge config show"))
def config_group() -> None:
    """Show the effective configuration, or replace old names of keys."""


@config_group.command(epilog=example("syslog-bridge config show -c bridge.yaml"))
@configured
@click.option("--effective", is_flag=True, hidden=True, expose_value=False)
@output_option(help="text: YAML.")
def show(config: Config, output: str) -> None:
    """Print the effective configuration: all included files merged, every default filled in, each intake with its
    complete destination. Secrets are not read and are shown as ****.

    The output is for reading only: paths are absolute, and comments are not kept.
    """
    text = effective(config)
    click.echo(json.dumps(yaml.safe_load(text), indent=2) if output == "json" else text.rstrip("\n"))


@config_group.command(
    epilog=example(
        "syslog-bridge config migrate bridge.yaml > new.yaml", "syslog-bridge config migrate --in-place bridge.yaml"
    )
)
@click.argument("path", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
@configuration_option
@click.option("--in-place", is_flag=True, help="Replace the file and those that it includes; keep copies (.bak).")
def migrate(path: Path | None, file: Path, in_place: bool) -> None:
    """Replace the old names of keys in a configuration file.

    Prints FILE with the current names. Comments, order, anchors and quotes stay as they are. With --in-place, FILE and
    the files that it includes are replaced. A copy of each stays beside it, with the same owner and permissions. The
    default of FILE is the file of -c.
    """
    migrations = plan(path or file)
    if not in_place:
        click.echo(migrations[0].after, nl=False)
    for migration in migrations:
        names = f"{migration.old_names or 'no'} old name{'' if migration.old_names == 1 else 's'}"
        if not in_place:
            click.echo(f"{migration.file}: {names}", err=True)
        elif migration.old_names:
            write(migration)
            click.echo(f"{migration.file}: {names} replaced. The file as it was is {migration.copy}.")
        else:
            click.echo(f"{migration.file}: {names}")
    if not in_place and any(migration.old_names for migration in migrations[1:]):
        click.echo("Included files are not printed. Use --in-place to replace them too.", err=True)


@click.command(cls=CliCommand, epilog=example("syslog-bridge schema > bridge.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    It is for editors and CI pipelines. For an editor, make this the first line of the configuration:

    \b
    # yaml-language-server: $schema=bridge.schema.json
    """
    click.echo(json.dumps(configuration_schema(), indent=2))
