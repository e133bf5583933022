"""``syslog-bridge tail``: messages as they come, until Ctrl-C. The bridge keeps them only while somebody asks."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from bridge.cli.options import configuration_option, failed, loaded
from bridge.config.faults import printable
from bridge.operations import control_client

EVERY = 0.4
"Seconds between two questions."


@click.command(epilog="\b\nExample:\n  syslog-bridge tail --source 192.0.2.7 --sent")
@configuration_option
@click.option("--source", metavar="ADDRESS", help="Only what comes from there.")
@click.option("--raw", "form", flag_value="raw", help="Whole frames, as received.")
@click.option("--sent", "form", flag_value="sent", help="Only the events, as they are sent; none for what is dropped.")
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many.")
def tail(file: Path, source: str | None, form: str | None, count: int | None) -> None:
    """Show messages as they come: when, from where, to which intake, the event. Under a flood, a sample of them."""
    directory = loaded(file, secrets=False).spool.directory
    left = count
    try:
        for message in _messages(directory, source, form or ""):
            line = _line(message, form)
            if line is None:
                continue
            click.echo(line)
            if left is not None and (left := left - 1) <= 0:
                return
    except control_client.ControlError as error:
        failed(f"tail: {error}")
    except OSError as error:
        failed(f"tail: {error.filename or directory}: {error.strerror}; is the bridge running, and this user its own?")
    except KeyboardInterrupt:
        return


def _messages(directory: Path, source: str | None, form: str) -> Iterator[dict[str, Any]]:
    """Without end; of what was not kept a line on stderr tells the number."""
    asked = {"name": f"tail-{os.getpid()}", "form": form} | ({"source": source} if source else {})
    while True:
        found = control_client.get(directory, f"/api/tail?{urlencode(asked)}")
        if "error" in found:
            raise control_client.ControlError(f"the bridge says: {found['error']}")
        yield from found["messages"]
        if found["missed"]:
            click.echo(f"... {found['missed']:,} more passed", err=True)
        time.sleep(EVERY)


def _line(message: dict[str, Any], form: str | None) -> str | None:
    """What is shown of a message; None: nothing. Whatever it holds can do nothing to a terminal."""
    if form == "raw":
        return printable(message["raw"].rstrip("\r\n\0"))
    event = message.get("event")
    if form == "sent":
        return None if event is None else printable(event)
    pipeline = message.get("intake") or {"drop": "(filtered)", "hold": "(unrouted)"}.get(message.get("kind") or "", "-")
    shown = event if event is not None else message["raw"].rstrip("\r\n\0")
    return printable(f"{message['received'][11:23]} {message['source']} > {pipeline}  {shown}")
