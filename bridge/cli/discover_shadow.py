"""Implements ``syslog-bridge discover --shadow``: compares the bridge with a forwarder that is in use."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from bridge.config.faults import printable
from bridge.discover import SenderFinding
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.setup.import_files import read_text
from bridge.setup.import_kind import import_file, kind_of
from bridge.setup.shadow import Shadow, ShadowEvent, shadow_of
from bridge.util.counts import counted

_SHOWN = 160
"Characters of an event that are shown."


def shadow(
    forwarder: Path, findings: Sequence[SenderFinding], collector: Mapping[str, str] | None, target: Path | None,
    *, output: str,
) -> None:  # fmt: skip
    """Prints the comparison for each sender and, with ``target``, writes the imported configuration with formats."""
    imported = import_file(forwarder, kind_of(read_text(forwarder)), None, collector)
    found = shadow_of(imported, forwarder.name, findings)
    if output == "json":
        click.echo(json.dumps(_json(found), ensure_ascii=False))
    else:
        _print(found)
    if target is None:
        return
    draft = Draft(target.absolute(), found.imported.as_yaml(forwarder.name), found.imported.keys)
    draft.refuse_existing()
    config = write(draft, secrets=not found.imported.names_files)
    assert config is not None
    click.echo(f"wrote {draft.file} and {counted(len(draft.keys), 'file')} in {draft.file.parent / 'keys'}", err=True)
    click.echo(verdict(config), err=True)


def _print(found: Shadow) -> None:
    for row in found.rows:
        finding = row.finding
        product = finding.identified.product or "unknown"
        differences = row.differences
        result = f"differs in {', '.join(differences)}" if differences else "the same"
        click.echo(printable(f"{finding.place}: {product}: {result}"))
        click.echo(f"  forwarder  {_shown(row.forwarder)}")
        click.echo(f"  bridge     {_shown(row.bridge)}")
    for note in found.notes:
        click.echo(note)
    for line in found.imported.not_carried:
        click.echo(f"not carried over: {line}")


def _shown(event: ShadowEvent) -> str:
    if event.intake is None:
        return "not delivered"
    text = printable(event.text or "")
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f"key of intake {event.intake}, time {event.time or 'none'}: {text}"


def _json(found: Shadow) -> dict[str, object]:
    return {
        "senders": [
            {
                "source": row.finding.source, "host": row.finding.host, "product": row.finding.identified.product,
                "differences": row.differences, "forwarder": _event(row.forwarder), "bridge": _event(row.bridge),
            }
            for row in found.rows
        ],
        "notes": list(found.notes), "not_carried_over": list(found.imported.not_carried),
    }  # fmt: skip


def _event(event: ShadowEvent) -> dict[str, object]:
    return {"intake": event.intake, "event_timestamp": event.time, "event": event.text}
