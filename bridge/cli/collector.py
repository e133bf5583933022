"""Implements ``syslog-bridge collector``: runs the stand-in collector."""

from pathlib import Path

import click

from bridge.cli.old_names import RenamedOption
from bridge.cli.options import WRONG_USAGE, CliCommand, example, fail
from bridge.collector.listening import CollectorError, parse_address
from bridge.collector.server import run

_FILE = click.Path(path_type=Path)


@click.command(
    cls=CliCommand,
    epilog=example("syslog-bridge collector --listen 127.0.0.1:8080 --output out.jsonl"),
)
@click.option("--listen", required=True, metavar="HOST:PORT", help="Address to listen on. Port 0: any free port.")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="Accepted intake key; repeatable.  [default: any key]"
)
@click.option("--certificate", type=_FILE, metavar="PEM", help="Serve HTTPS with this certificate and its chain.")
@click.option("--private-key", type=_FILE, metavar="PEM", help="Private key, if it is not in the certificate file.")
@click.option("--output", type=_FILE, metavar="FILE", help="Append events to FILE instead of stdout.")
@click.option("--totals", cls=RenamedOption, old={"--count": None}, is_flag=True,
              help="Write totals as one JSON line per second instead of events.")  # fmt: skip
def collector(
    listen: str, keys: tuple[str, ...], certificate: Path | None, private_key: Path | None, output: Path | None,
    totals: bool,
) -> None:  # fmt: skip
    """Run a stand-in for SEKOIA.IO's HTTPS log collector.

    Serves /plain, /plain/batch, /jsons, /, /batch and /array. Each event is written as a JSON line with event_id,
    intake_key, event_timestamp, received and event, in order of arrival. Bytes that are not UTF-8 are written as
    \\udc80 to \\udcff (Python's surrogateescape). Stops on SIGTERM or Ctrl-C.
    """
    if private_key is not None and certificate is None:
        raise click.UsageError("--private-key needs --certificate")
    if "" in keys:
        raise click.UsageError("--key must not be empty")
    try:
        run(
            parse_address(listen), keys=keys, certificate=certificate, private_key=private_key, output=output,
            count=totals,
        )  # fmt: skip
    except CollectorError as error:
        fail(f"collector: {error}", WRONG_USAGE)
