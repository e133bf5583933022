"""Implements ``syslog-bridge explain``: shows how messages are framed, parsed, routed and sent."""

import json
import sys
from datetime import UTC, datetime
from functools import partial
from io import BufferedReader
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import click

from bridge.cli import options, survey
from bridge.cli.changes import has_terminal
from bridge.cli.configuration_file import is_named
from bridge.cli.options import CliCommand, configuration_option, example, output_option
from bridge.cli.survey import CaptureSettings
from bridge.config import Config, Listener, load, parse_text
from bridge.explain.explanation import Explainer, Explanation, Origin, as_json
from bridge.explain.frames import Cutter
from bridge.explain.text import text_of
from bridge.routing.conditions import Address

_READ_SIZE = 64 * 1024

# The configuration if there is no file. The command opens none of its sockets and files and sends nothing.
BUILT_IN = """
collector: {url: "http://127.0.0.1:9"}
listeners: [{name: built-in, tcp: "127.0.0.1:0"}]
intakes: {built-in: {intake_key: "0000000000000000"}}
unrouted: {intake: built-in}
spool: {directory: unused}
"""


@click.command(
    cls=CliCommand,
    epilog=example("echo '<30>Nov 23 07:24:00 gw unbound[7]: A IN' | syslog-bridge explain"),
)
@configuration_option
@click.option(
    "--from", "source", metavar="ADDRESS", type=options.address, help="Address of the sender.  [default: 127.0.0.1]"
)
@click.option("--listener", metavar="NAME",
              help="Listener that received it.  [default: the first; with --stream the first that takes streams]",
              )  # fmt: skip
@click.option("--client-name", metavar="NAME", default="", help="Name in the certificate of a TLS client.")
@click.option("--received", metavar="TIME", type=options.time, help="Time of reception, RFC 3339.  [default: now]")
@click.option("--stream", is_flag=True, help="Read stdin as one TCP connection instead of one message per line.")
@click.option("--payloads", is_flag=True,
              help="Show the event in every payload form, and mark those that match the intake's format.")  # fmt: skip
@click.option("--rules", is_flag=True,
              help="Show the rule behind every field, and describe the decisions. json always has the rules.",
              )  # fmt: skip
@output_option(help="json: one object per line.")
@click.option("--survey", "capture", metavar="FILE", type=click.Path(path_type=Path),
              help="Summarise a capture by source and shape instead: text, samples, or a pcap. - is stdin.",
              )  # fmt: skip
@click.option("--anonymise", metavar="OUT", type=click.Path(path_type=Path),
              help="With --survey: also write samples to a new file, with addresses, names and long numbers replaced.",
              )  # fmt: skip
@click.pass_context
def explain(
    context: click.Context, file: Path, source: Address | None, listener: str | None, client_name: str,
    received: datetime | None, stream: bool, payloads: bool, rules: bool,
    output: str, capture: Path | None, anonymise: Path | None,
) -> None:  # fmt: skip
    """Show how messages from stdin are framed, parsed, routed and sent. Sends nothing and reads no keys.

    \b
    Which setting wins:
    intake      the first route that matches; then the listener's; then unrouted:
    payload     the route's; then the intake's; then that of the format
    time zone   in the message; then the route's; then that of the first entry of
                sources: that matches and sets it; then timezone:
    """
    as_lines = output == "json"
    if anonymise is not None and capture is None:
        raise click.UsageError("--anonymise needs --survey FILE")
    routed = file.exists() or is_named(context)
    config = load(file, secrets=False) if routed else _built_in(file)
    chosen = _listener(config, listener, stream=stream)
    if capture is not None:
        survey.survey(config, CaptureSettings(capture, chosen, stream, source), anonymise, as_json=as_lines)
        return
    explainer = Explainer(
        config, Origin(chosen, source or IPv4Address("127.0.0.1"), (client_name,) if client_name else ()),
        received=received or datetime.now(UTC), strict=source is not None, payloads=payloads,
    )  # fmt: skip
    cutter = Cutter(chosen, max_frame_size=config.max_frame_size, truncate=config.oversize == "truncate")
    # read1 returns the available bytes at once, so a frame from a pipe that stays open is explained immediately.
    if has_terminal():
        click.echo("Enter messages, one per line. Ctrl-D ends the input.", err=True)
    chunks = iter(partial(cast(BufferedReader, sys.stdin.buffer).read1, _READ_SIZE), b"")
    cuts = cutter.stream(chunks) if stream else cutter.lines(sys.stdin.buffer)
    explanations = filter(None, map(explainer.explain, cuts))
    for number, explanation in enumerate(explanations, start=1):
        _write(number, explanation, routed=routed, as_lines=as_lines, rules=rules)
    if cutter.resyncs:
        click.echo(f"explain: {cutter.resyncs} octet counts did not lead to the next frame", err=True)


def _built_in(file: Path) -> Config:
    click.echo(
        f"explain: {file} does not exist. Explaining without routes, with payload message and time zone UTC. Use -c to"
        " name another file",
        err=True,
    )
    return parse_text(BUILT_IN)


def _listener(config: Config, name: str | None, *, stream: bool) -> Listener:
    if name is None:
        streams = [known for known in config.listeners if not known.takes_datagrams] if stream else config.listeners
        if not streams:
            raise click.UsageError("--stream needs a TCP listener, but the configuration has none")
        return streams[0]
    for known in config.listeners:
        if known.name == name:
            if stream and known.takes_datagrams:
                raise click.UsageError(f"--stream: listener {name} takes datagrams, not a stream")
            return known
    names = ", ".join(known.name for known in config.listeners)
    raise click.UsageError(f"there is no listener '{name}'. The listeners are {names}")


def _write(number: int, explanation: Explanation, *, routed: bool, as_lines: bool, rules: bool) -> None:
    if not as_lines:
        click.echo(text_of(number, explanation, routed=routed, every_rule=rules))
        return
    line = json.dumps(as_json(explanation, routed=routed), ensure_ascii=False)
    # A lone surrogate stands for a byte that is not UTF-8. It is written as a JSON escape.
    click.echo(line.encode("utf-8", "backslashreplace"))
    for note in explanation.every_note:
        click.echo(f"explain: frame {number}: {note}", err=True)
