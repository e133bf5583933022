"""Implements ``syslog-bridge tail``: shows messages as they arrive.

The bridge keeps messages for the command only while it runs.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from bridge.cli.options import CliCommand, example, with_spool
from bridge.config import Config
from bridge.config.faults import printable
from bridge.operations import control_client

POLL_INTERVAL = 0.4
"Seconds between two requests to the bridge."


@click.command(cls=CliCommand, epilog=example("syslog-bridge tail --source 192.0.2.7 --sent"))
@with_spool
@click.option("--source", metavar="ADDRESS", help="Only messages from this address.")
@click.option("--raw", "form", flag_value="raw", help="Show complete frames as received.")
@click.option(
    "--sent", "form", flag_value="sent", help="Show only events as sent; nothing for messages that a route drops."
)
@click.option("-n", "--count", type=click.IntRange(1), help="Stop after this number of messages.")
def tail(config: Config, source: str | None, form: str | None, count: int | None) -> None:
    """Show messages as they arrive: time, source, intake, event. At high rates, only a sample is shown."""
    directory = config.spool.directory
    texts = (_format(message, form) for message in _messages(directory, source, form or ""))
    lines = (text for text in texts if text is not None)
    with suppress(KeyboardInterrupt):
        for line in islice(lines, count):
            click.echo(line)


def _messages(directory: Path, source: str | None, form: str) -> Iterator[dict[str, Any]]:
    """Yields messages without end. Prints the number of messages that were not kept to stderr."""
    query = {"name": f"tail-{os.getpid()}", "form": form} | ({"source": source} if source else {})
    while True:
        page = control_client.get(directory, f"/api/tail?{urlencode(query)}")
        if "error" in page:
            raise control_client.ControlError(f"the bridge rejected the request: {page['error']}")
        yield from page["messages"]
        if page["missed"]:
            click.echo(f"... {page['missed']:,} more messages not shown", err=True)
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
