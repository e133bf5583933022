"""Implements ``syslog-bridge discover --shadow``: compares the bridge with a forwarder that is in use."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bridge.config.faults import printable
from bridge.discover import SenderFinding
from bridge.discover.findings_text import MAX_SHOWN
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.setup.import_files import read_text
from bridge.setup.import_kind import import_file, kind_of
from bridge.setup.import_result import Imported
from bridge.setup.shadow import Shadow, ShadowEvent, ShadowPair, ShadowRow, shadow_of
from bridge.syslog.timestamps import rfc3339
from bridge.util.counts import counted
from bridge.util.files import shown_path

_SHOWN = 160
"Characters of an event that are shown."
_BEFORE_DIFFERENCE = 40
"Characters that are shown before the first one that differs."


@dataclass(frozen=True, slots=True)
class Forwarder:
    """An imported forwarder in use, and its configuration file."""

    file: Path
    imported: Imported

    @classmethod
    def of(cls, file: Path, collector: Mapping[str, str] | None) -> "Forwarder":
        """Imports a forwarder, before anything is watched. Raises OSError and BridgeError."""
        return cls(file, import_file(file, kind_of(read_text(file)), None, collector))

    @property
    def ports(self) -> set[int]:
        """The numbers of the ports where it receives."""
        return {int(port.address.rpartition(":")[2]) for port in self.imported.ports}


def shadow(
    forwarder: Forwarder, findings: Sequence[SenderFinding], target: Path | None, *, output: str
) -> None:  # fmt: skip
    """Prints the comparison for each sender and, with ``target``, writes the imported configuration with formats."""
    imported, name = forwarder.imported, forwarder.file.name
    found = shadow_of(imported, name, findings)
    if output == "json":
        click.echo(json.dumps(_json(found), ensure_ascii=False))
    else:
        for line in _lines(found):
            click.echo(printable(line))
    if target is None:
        return
    draft = Draft(target.absolute(), found.imported.as_yaml(name), found.imported.keys)
    draft.refuse_existing()
    config = write(draft, secrets=not found.imported.names_files)
    assert config is not None
    keys = shown_path(draft.file.parent / "keys")
    click.echo(f"wrote {shown_path(draft.file)} and {counted(len(draft.keys), 'file')} in {keys}", err=True)
    click.echo(verdict(config), err=True)


def _lines(found: Shadow) -> Iterator[str]:
    for row in found.rows[:MAX_SHOWN]:
        yield f"{row.finding.place}: {row.finding.identified.product or 'unknown'}: {_result(row)}"
        texts = [event.text or "" for event in (row.shown.forwarder, row.shown.bridge)]
        begin = _begin(*texts) if "text" in row.shown.differences else 0
        yield f"  forwarder  {_shown(row.shown.forwarder, begin)}"
        yield f"  bridge     {_shown(row.shown.bridge, begin)}"
    if len(found.rows) > MAX_SHOWN:
        yield f"and {len(found.rows) - MAX_SHOWN:,} more, which --output json lists"
    differing = sum(bool(row.differences) for row in found.rows)
    yield f"{counted(differing, 'sender')} of {len(found.rows):,} would be delivered differently"
    yield from found.notes
    for line in found.imported.not_carried:
        yield f"not carried over, so not compared: {line}"


def _result(row: ShadowRow) -> str:
    if not row.differences:
        return f"the same in {counted(len(row.pairs), 'message')}"
    total = len(row.pairs)
    counts = ", ".join(f"{name} ({count} of {total})" for name, count in row.differences.items())
    return f"differs in {counts}"


def _begin(one: str, other: str) -> int:
    """Returns the first character of two texts that is shown, so that their difference is shown."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (character, another) in pairs if character != another), min(len(one), len(other)))
    return 0 if same < _SHOWN - _BEFORE_DIFFERENCE else same - _BEFORE_DIFFERENCE


def _shown(event: ShadowEvent, begin: int) -> str:
    if event.intake is None:
        return f"not delivered: {event.note}"
    where = f"key of intake {event.intake}, time {_time(event) or 'of reception'}"
    where += f" ({event.note})" if event.note else ""
    if event.text is None:
        return where
    text = event.text[begin : begin + _SHOWN]
    cut = "..." if begin + _SHOWN < len(event.text) else ""
    return f"{where}: {'...' if begin else ''}{text}{cut}"


def _time(event: ShadowEvent) -> str | None:
    return None if event.time is None else rfc3339(round(event.time.timestamp() * 1000))


def _json(found: Shadow) -> dict[str, object]:
    return {
        "senders": [
            {
                "source": row.finding.source, "host": row.finding.host, "product": row.finding.identified.product,
                "messages": len(row.pairs), "differences": row.differences, **_pair(row.shown),
            }
            for row in found.rows
        ],
        "notes": list(found.notes), "not_carried_over": list(found.imported.not_carried),
    }  # fmt: skip


def _pair(pair: ShadowPair) -> dict[str, object]:
    return {"forwarder": _event(pair.forwarder), "bridge": _event(pair.bridge)}


def _event(event: ShadowEvent) -> dict[str, object]:
    return {"intake": event.intake, "event_timestamp": _time(event), "event": event.text, "note": event.note or None}
