"""Implements ``syslog-bridge tail``: shows messages as they arrive.

The bridge keeps messages for the command only while it runs.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import urlencode

import click

from bridge.cli.execute import existing_spool, require_bridge
from bridge.cli.options import WRONG_USAGE, CliCommand, WholeNumber, example, fail, output_option, with_spool
from bridge.cli.why_target import UnknownSenderError, find_targets, request_sources
from bridge.config import Config
from bridge.config.faults import printable
from bridge.operations import control_client
from bridge.util.counts import counted

POLL_INTERVAL = 0.4
"Seconds between two requests to the bridge."

MAX_SENDERS = 4
"Senders that are shown at once. The bridge has eight watches for all its clients."


@click.command(
    cls=CliCommand, epilog=example("syslog-bridge tail fw-lyon", "syslog-bridge tail --source 192.0.2.7 --sent")
)
@with_spool
@click.argument("sender", required=False)
@click.option("--source", metavar="SENDER", help="The same as SENDER.")
@click.option("--intake", metavar="NAME", help="Only messages that go to this intake.")
@click.option("--raw", "form", flag_value="raw", help="Show complete frames as received.")
@click.option(
    "--sent", "form", flag_value="sent", help="Show only events as sent; nothing for messages that a route drops."
)
@click.option("-n", "--count", metavar="N", type=WholeNumber(1), help="Stop after this number of messages.")
@output_option(help="json: one object per line.")
def tail(
    config: Config, sender: str | None, source: str | None, intake: str | None, form: str | None, count: int | None,
    output: str,
) -> None:  # fmt: skip
    """Show messages as they arrive: time, source, intake, event. At high rates, only a sample is shown.

    SENDER is an IP address, a name of sources:, the host name of a source behind a relay, a DNS name, or the path of a
    Unix socket, as for `syslog-bridge why`.
    """
    if sender is not None and source is not None:
        raise click.UsageError("give either SENDER or --source")
    if intake is not None and form == "raw":
        raise click.UsageError("--intake cannot be combined with --raw, which does not look up the intake")
    if intake is not None and intake not in config.intakes:
        raise click.UsageError(f"there is no intake {printable(intake)}. The intakes are {', '.join(config.intakes)}")
    require_bridge(config, "tail")
    wanted = sender or source
    addresses = _addresses(config, wanted) if wanted else (None,)
    messages = (
        message for message in _messages(config.spool.directory, addresses, form or "")
        if intake is None or message.get("intake") == intake
    )  # fmt: skip
    texts = (json.dumps(message) if output == "json" else _format(message, form) for message in messages)
    with suppress(KeyboardInterrupt):
        for line in islice((text for text in texts if text is not None), count):
            click.echo(line)


def _addresses(config: Config, sender: str) -> Sequence[str]:
    """Returns the sources that a sender means. Exits with 2 if there is none."""
    directory = existing_spool(config.spool.directory)
    try:
        status = control_client.get(directory, "/api/status?sources=0")
        host = str(status.get("gateway") or gethostname())
        found = find_targets(config, sender, partial(request_sources, directory), host=host)
    except UnknownSenderError as error:
        fail(f"tail: {printable(str(error))}", WRONG_USAGE)
    for note in dict.fromkeys(target.note for target in found if target.note):
        click.echo(f"tail: {printable(note)}", err=True)
    addresses = list(dict.fromkeys(target.address for target in found))
    if len(addresses) > MAX_SENDERS:
        click.echo(f"tail: shows {MAX_SENDERS} of the {len(addresses)} senders with this name", err=True)
    return addresses[:MAX_SENDERS]


def _messages(directory: Path, sources: Sequence[str | None], form: str) -> Iterator[dict[str, Any]]:
    """Yields messages without end. Prints the number of messages that were not kept to stderr."""
    queries = [
        {"name": f"tail-{os.getpid()}-{position}", "form": form} | ({"source": source} if source else {})
        for position, source in enumerate(sources)
    ]
    while True:
        for query in queries:
            page = control_client.get(directory, f"/api/tail?{urlencode(query)}")
            if "error" in page:
                raise control_client.ControlError(f"the bridge rejected the request: {page['error']}")
            yield from page["messages"]
            if page["missed"]:
                click.echo(f"... {counted(page['missed'], 'more message')} not shown", err=True)
        time.sleep(POLL_INTERVAL)


def _format(message: dict[str, Any], form: str | None) -> str | None:
    """Returns the line for a message, None if it is not shown. Control characters are escaped for the terminal."""
    if form == "raw":
        return printable(message["raw"].rstrip("\r\n\0"))
    event = message.get("event")
    if form == "sent":
        return None if event is None else printable(event)
    destination = message.get("intake") or {"drop": "(filtered)", "hold": "(unrouted)"}.get(
        message.get("kind") or "", "-"
    )
    shown = event if event is not None else message["raw"].rstrip("\r\n\0")
    return printable(f"{message['received'][11:23]} {message['source']} > {destination}  {shown}")
