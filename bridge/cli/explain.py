"""``syslog-bridge explain``."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import click
from click.core import ParameterSource

from bridge.cli import options
from bridge.cli.options import configuration_option, loaded
from bridge.config import Config, Listener, parse_text
from bridge.explain.explanation import Explainer, Explanation, as_json
from bridge.explain.frames import Cutter
from bridge.explain.text import text_of
from bridge.routing.conditions import Address

_READ_SIZE = 64 * 1024

# What holds where there is no configuration: nothing in it is ever opened or sent.
_BUILT_IN = """
collector: {url: "http://127.0.0.1:9"}
listeners: [{name: built-in, tcp: "127.0.0.1:0"}]
intakes: {built-in: {intake_key: "0000000000000000"}}
unrouted: {intake: built-in}
spool: {directory: unused}
"""


@click.command(
    epilog="\b\nExample:\n  echo '<30>Nov 23 07:24:00 gw unbound[7]: info: A IN' | syslog-bridge explain --json"
)
@configuration_option
@click.option("--from", "source", metavar="ADDRESS", type=options.address, help="Who sent it.  [default: 127.0.0.1]")
@click.option("--listener", metavar="NAME", help="Where it came in.  [default: the first, for --stream the first TCP]")
@click.option("--client-name", metavar="NAME", default="", help="What the certificate of a TLS client calls it.")
@click.option("--received", metavar="TIME", type=options.time, help="When: RFC 3339.  [default: now]")
@click.option("--stream", is_flag=True, help="Take stdin as one TCP connection instead of a message a line.")
@click.option("--payloads", is_flag=True, help="Show every payload form, and which of them look like the format.")
@click.option("--json", "as_lines", is_flag=True, help="A JSON object a line, for programs.")
@click.pass_context
def explain(
    context: click.Context,
    file: Path,
    source: Address | None,
    listener: str | None,
    client_name: str,
    received: datetime | None,
    stream: bool,
    payloads: bool,
    as_lines: bool,
) -> None:
    """Show how messages from stdin are framed, parsed, routed and sent. Nothing is sent, no key is read."""
    config = _built_in(context, file)
    routed = config is None
    if config is None:
        config = loaded(file, secrets=False)
    chosen = _listener(config, listener, stream=stream)
    explainer = Explainer(
        config, listener=chosen, source=source or IPv4Address("127.0.0.1"),
        received=received or datetime.now(UTC), strict=source is not None, payloads=payloads,
        client=(client_name,) if client_name else (),
    )  # fmt: skip
    cutter = Cutter(chosen, max_frame_size=config.max_frame_size, truncate=config.oversize == "truncate")
    cuts = cutter.stream(_chunks()) if stream else cutter.lines(sys.stdin.buffer)
    number = 0
    for cut in cuts:
        if (explanation := explainer.explain(cut)) is None:
            continue
        number += 1
        _write(number, explanation, routed=routed, as_lines=as_lines)
    if cutter.resyncs:
        click.echo(f"explain: {cutter.resyncs} times an octet count did not lead to the next frame", err=True)


def _built_in(context: click.Context, file: Path) -> Config | None:
    if context.get_parameter_source("file") is not ParameterSource.DEFAULT or file.exists():
        return None
    click.echo(f"explain: there is no {file}: without routes, payload message, zone UTC; -c names another", err=True)
    return parse_text(_BUILT_IN)


def _listener(config: Config, name: str | None, *, stream: bool) -> Listener:
    """The listener to stand in for."""
    if name is None:
        streams = [known for known in config.listeners if not known.takes_datagrams] if stream else config.listeners
        if not streams:
            raise click.UsageError("--stream needs a TCP listener, and the configuration has none")
        return streams[0]
    for known in config.listeners:
        if known.name == name:
            if stream and known.takes_datagrams:
                raise click.UsageError(f"--stream: listener {name} takes datagrams, which are no stream")
            return known
    names = ", ".join(known.name for known in config.listeners)
    raise click.UsageError(f"there is no listener '{name}'; there are {names}")


def _chunks() -> Iterator[bytes]:
    # read1, for as they come: a frame of a pipe that stays open is explained at once.
    while chunk := cast(BufferedReader, sys.stdin.buffer).read1(_READ_SIZE):
        yield chunk


def _write(number: int, explanation: Explanation, *, routed: bool, as_lines: bool) -> None:
    if not as_lines:
        click.echo(text_of(number, explanation, routed=routed))
        return
    line = json.dumps(as_json(explanation, routed=routed), ensure_ascii=False)
    # A lone surrogate, which stands for a byte that is no UTF-8, has JSON's own escape.
    click.echo(line.encode("utf-8", "backslashreplace"))
    for note in explanation.notes:
        click.echo(f"explain: frame {number}: {note}", err=True)
