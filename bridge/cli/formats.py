"""Implements ``syslog-bridge formats``: lists and explains the text formats of the intakes' parsers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from bridge.cli.options import CliCommand, aligned, example, output_option
from bridge.config.faults import printable
from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS, Format, UnknownFormat, containing, find

_LEGEND = """\
time: `text` means that the parser reads the time from the event text; `request` means that it uses the
syslog time that is sent with each request.
A + after the payload: the format has its own rule. `syslog-bridge formats NAME` shows it."""

# The examples were received one second after they were sent.
_CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 1, tzinfo=UTC))


@click.command(cls=CliCommand, epilog=example("syslog-bridge formats fortigate"))
@click.argument("name", required=False)
@output_option(help="json: one object per line.")
def formats(name: str | None, output: str) -> None:
    """List the text formats for an intake's format:, or explain format NAME.

    If no format has this name, list the formats whose name or product contains it, such as those of a vendor.
    """
    chosen = _chosen(name)
    if output == "json":
        for one in chosen:
            click.echo(json.dumps(as_json(one), ensure_ascii=False))
    elif len(chosen) == 1:
        click.echo("\n".join(f"{label:<12} {text}" for label, text in _rows(chosen[0])))
    else:
        click.echo(_table(chosen))


def _chosen(name: str | None) -> list[Format]:
    if name is None:
        return list(FORMATS.values())
    try:
        return [find(name)]
    except UnknownFormat as error:
        several = containing(name)
        if len(several) < 2:
            raise click.UsageError(printable(str(error))) from None
        return several


def as_json(one: Format) -> dict[str, object]:
    """Returns the properties of a format for JSON output."""
    return {
        "name": one.name,
        "aliases": list(one.aliases),
        "product": one.product,
        "payload": one.payload,
        "payloads": sorted(one.forms),
        "rule": {"name": one.rule.name, "does": one.rule.description} if one.rule else None,
        "also": one.also or None,
        "timestamp": one.timestamp,
        "own_time": one.own_time or None,
        "names_device": one.names_device or None,
        "lost": one.lost,
        "begins": one.begins.decode(),
        "foreign": one.foreign,
        "weak": one.weak,
        "setting": one.setting,
        "notes": list(one.notes),
        "example": {"frame": _text(one.example), "event": _text(event_for(one, one.example, _CONTEXT))},
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def format_table() -> str:
    """Returns the table of all formats."""
    return _table(list(FORMATS.values()))


def _table(chosen: list[Format]) -> str:
    rows = [("format", "payload", "time", "product")]
    rows += [
        (one.name, one.payload + "+" * bool(one.rule), "text" if one.own_time else "request", one.product)
        for one in chosen
    ]
    return "\n".join([*aligned(rows), "", _LEGEND])


def _rows(one: Format) -> Iterator[tuple[str, str]]:
    yield "format", one.name
    if one.aliases:
        yield "also called", ", ".join(one.aliases)
    yield "product", one.product
    yield "payload", one.payload
    if one.rule:
        yield "rule", f"{one.rule.name}: {one.rule.description}"
    if one.also:
        yield "also read", one.also
    yield "time", f"text: {one.own_time}" if one.own_time else "request: the syslog time that is sent with each request"
    yield "lost", one.lost
    weak = f" (weak: {one.foreign} known inputs of other formats also begin like this)" if one.weak else ""
    yield "begins with", one.begins.decode() + weak
    yield "on device", one.setting
    for note in one.notes:
        yield "note", note
    yield "frame", printable(_text(one.example))
    yield "event", printable(_text(event_for(one, one.example, _CONTEXT)))
