"""Implements ``syslog-bridge import``: converts the configuration of another syslog server."""

from pathlib import Path
from typing import cast

import click

from bridge.cli.options import WRONG_USAGE, CliCommand, example, fail, parsed
from bridge.config.addresses import REGIONS, base_url
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.setup.import_files import read_text
from bridge.setup.import_kind import KINDS, Kind, cut_over, import_file, kind_of
from bridge.util.counts import counted

_FILE = click.Path(path_type=Path)


@click.command(
    "import", cls=CliCommand,
    epilog=example(
        "syslog-bridge import intakes.yaml --output /etc/syslog-bridge",
        "syslog-bridge import /etc/rsyslog.conf --output /etc/syslog-bridge",
    ),
)  # fmt: skip
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--output", metavar="DIR", type=_FILE, required=True, help="Directory to write bridge.yaml and keys/ to.")
@click.option("--kind", type=click.Choice(list(KINDS)),
              help="Whose configuration FILE is.  [default: recognised from its text]")  # fmt: skip
@click.option("--region", type=click.Choice(list(REGIONS), case_sensitive=False),
              help="Region of the collector.  [default: from FILE or the compose file]")  # fmt: skip
@click.option("--url", metavar="URL", type=parsed(base_url), help="URL of the collector, instead of a region.")
@click.option("--compose", metavar="FILE", type=_FILE,
              help="Compose file of the forwarder.  [default: docker-compose.yml beside FILE]")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing configuration.")
def import_forwarder(
    file: Path, output: Path, kind: str | None, region: str | None, url: str | None, compose: Path | None, force: bool
) -> None:
    """Convert another syslog server's configuration, and list what changes.

    FILE is intakes.yaml of SEKOIA.IO's forwarder, rsyslog.conf or syslog-ng.conf. Listeners keep their ports, and
    what sends to the collector with an intake key becomes an intake. Lines without a counterpart are listed.
    """
    if region and url:
        fail("import: --region and --url exclude each other", WRONG_USAGE)
    given = {"region": region} if region else {"url": url} if url else None
    try:
        chosen: Kind = cast(Kind, kind) if kind else kind_of(read_text(file))
        found = import_file(file, chosen, compose, given)
    except OSError as error:
        fail(f"import: {error.filename}: {error.strerror}", WRONG_USAGE)
    draft = Draft((output / "bridge.yaml").absolute(), found.as_yaml(file.name), found.keys)
    if not force:
        draft.refuse_existing()
    # The certificates are still in the folder of the other server, so their files may not exist here yet.
    config = write(draft, secrets=not found.names_files)
    assert config is not None
    click.echo(f"wrote {draft.file} and {counted(len(found.keys), 'file')} in {draft.file.parent / 'keys'}")
    click.echo(verdict(config))
    click.echo("\nWhat changes:")
    click.echo("\n".join(f"  - {change}" for change in found.changes))
    if found.differing:
        click.echo("\nCarried over with a difference:")
        click.echo("\n".join(f"  - {line}" for line in found.differing))
    if found.not_carried:
        click.echo("\nNot carried over:")
        click.echo("\n".join(f"  - {line}" for line in found.not_carried))
    click.echo("\nSteps to switch over:")
    click.echo("\n".join(f"  {number}. {step}" for number, step in enumerate(cut_over(chosen), start=1)))
