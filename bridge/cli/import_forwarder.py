"""``syslog-bridge import``."""

from pathlib import Path

import click

from bridge.cli.options import WRONG_USAGE, failed
from bridge.config.addresses import REGIONS
from bridge.setup import compose_file
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, DraftError, write
from bridge.setup.forwarder_import import CUT_OVER, imported

_FILE = click.Path(path_type=Path)


@click.command("import", epilog="\b\nExample:\n  syslog-bridge import intakes.yaml --output /etc/syslog-bridge")
@click.argument("file", metavar="INTAKES.YAML", type=_FILE)
@click.option("--output", metavar="DIR", type=_FILE, required=True, help="Gets bridge.yaml, and keys/ with the keys.")
@click.option(
    "--region", type=click.Choice(list(REGIONS), case_sensitive=False), help="[default: docker-compose.yml's]"
)
@click.option("--compose", metavar="FILE", type=_FILE, help="[default: docker-compose.yml beside INTAKES.YAML]")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
def import_forwarder(file: Path, output: Path, region: str | None, compose: Path | None, force: bool) -> None:
    """Make a configuration from that of SEKOIA.IO's forwarder, with a list of what changes.

    Each of its entries (name, protocol, port, intake_key) becomes a listener on the same port and an intake.
    """
    try:
        data = file.read_bytes()
        beside = compose or file.with_name("docker-compose.yml")
        tree = compose_file.parse(beside.read_bytes(), str(beside)) if compose or beside.exists() else None
    except OSError as error:
        click.echo(f"import: {error.filename}: {error.strerror}", err=True)
        raise SystemExit(WRONG_USAGE) from None
    found, report = imported(data, str(file), tree, region)
    if report.faults:
        click.echo(str(report.error()), err=True)
        raise SystemExit(WRONG_USAGE)
    if not found.ports:
        failed(f"import: {file}: no entry receives messages, so there is nothing to listen for")
    draft = Draft((output / "bridge.yaml").absolute(), found.as_yaml(file.name), found.keys)
    try:
        if not force:
            draft.refuse_existing()
        # The certificates are still where the forwarder has them.
        config = write(draft, secrets=not found.certificates)
    except DraftError as error:
        failed(f"import: {error}")
    assert config is not None
    click.echo(f"wrote {draft.file} and {len(found.keys)} files in {draft.file.parent / 'keys'}")
    click.echo(verdict(config))
    click.echo("\nWhat changes:")
    click.echo("\n".join(f"  - {change}" for change in found.changes))
    click.echo("\nFrom one to the other:")
    click.echo("\n".join(f"  {number}. {step}" for number, step in enumerate(CUT_OVER, start=1)))
