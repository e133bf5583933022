"""Implements ``syslog-bridge import``: converts the configuration of SEKOIA.IO's forwarder."""

from pathlib import Path

import click

from bridge.cli.options import WRONG_USAGE, CliCommand, example, fail
from bridge.config.addresses import REGIONS
from bridge.config.yaml_tree import LARGEST
from bridge.setup import compose_file
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.setup.forwarder_import import CUT_OVER, imported
from bridge.util.files import read_regular

_FILE = click.Path(path_type=Path)


@click.command(
    "import", cls=CliCommand, epilog=example("syslog-bridge import intakes.yaml --output /etc/syslog-bridge")
)
@click.argument("file", metavar="INTAKES.YAML", type=_FILE)
@click.option("--output", metavar="DIR", type=_FILE, required=True, help="Directory to write bridge.yaml and keys/ to.")
@click.option("--region", type=click.Choice(list(REGIONS), case_sensitive=False),
              help="Region of the collector.  [default: from docker-compose.yml]")  # fmt: skip
@click.option("--compose", metavar="FILE", type=_FILE,
              help="Compose file of the forwarder.  [default: docker-compose.yml beside INTAKES.YAML]")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing configuration.")
def import_forwarder(file: Path, output: Path, region: str | None, compose: Path | None, force: bool) -> None:
    """Convert the configuration of SEKOIA.IO's forwarder, and list what changes.

    Each entry (name, protocol, port, intake_key) becomes a listener on the same port and an intake.
    """
    try:
        data = read_regular(file, LARGEST)
        beside = compose or file.with_name("docker-compose.yml")
        given = compose is not None or beside.exists()
        tree = compose_file.parse(read_regular(beside, LARGEST), str(beside)) if given else None
    except OSError as error:
        fail(f"import: {error.filename}: {error.strerror}", WRONG_USAGE)
    found, report = imported(data, str(file), tree, region)
    if report.faults:
        raise report.error()
    if not found.ports:
        fail(f"import: {file}: no entry receives messages, so no listener can be created")
    draft = Draft((output / "bridge.yaml").absolute(), found.as_yaml(file.name), found.keys)
    if not force:
        draft.refuse_existing()
    # The certificates are still in the folder of the forwarder, so their files may not exist here yet.
    config = write(draft, secrets=not found.certificates)
    assert config is not None
    click.echo(f"wrote {draft.file} and {len(found.keys)} files in {draft.file.parent / 'keys'}")
    click.echo(verdict(config))
    click.echo("\nWhat changes:")
    click.echo("\n".join(f"  - {change}" for change in found.changes))
    click.echo("\nSteps to switch over:")
    click.echo("\n".join(f"  {number}. {step}" for number, step in enumerate(CUT_OVER, start=1)))
