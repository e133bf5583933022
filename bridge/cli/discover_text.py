"""Prints findings, and makes the configuration of them, for ``discover`` and ``setup``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli.discover_input import Watched
from bridge.discover import Observer, SenderFinding
from bridge.discover.configuration_text import Circumstances
from bridge.discover.findings_text import json_of_finding, text_of_findings
from bridge.util.counts import counted


def print_findings(observer: Observer, findings: Sequence[SenderFinding], watched: Watched, output: str) -> None:
    """Prints all findings as text or JSON, with how much was received and what was not read."""
    if output == "json":
        click.echo(json.dumps(_json(observer, findings, watched), ensure_ascii=False))
        return
    for text in text_of_findings(findings):
        click.echo(text)
    print_notes(observer, watched)


def print_notes(observer: Observer, watched: Watched) -> None:
    """Prints how much was received, and what was not read."""
    seen = f"{counted(observer.count, 'message')} of {counted(len(observer.sources), 'sender')}"
    click.echo(f"{seen}; watched: {watched.origin}")
    for reason, skipped in sorted(watched.skipped.items(), key=lambda item: -item[1]):
        click.echo(f"  {skipped:,} {reason}")
    if observer.beyond:
        click.echo(f"  {observer.beyond:,} of the messages are of further senders, which are not examined")
    for note in watched.notes:
        click.echo(note)


def circumstances(
    observer: Observer, watched: Watched, *, collector: Mapping[str, str], timezone: str, spool: str, file: Path,
    command: str = "discover", identity: tuple[Path, Path] | None = None,
) -> Circumstances:  # fmt: skip
    """Returns the parts of a configuration that are no findings. ``identity``: files for listeners of TLS."""
    notes = [*watched.notes, *(f"Not read: {skipped:,} {reason}." for reason, skipped in watched.skipped.items())]
    if observer.beyond:
        notes.append(f"Not examined: {counted(observer.beyond, 'message')} of further senders.")
    return Circumstances(
        command=command, collector=collector, timezone=timezone, listeners=watched.listeners, identity=identity,
        spool=spool, file=str(file), origin=watched.origin,
        seconds=None if observer.first is None else observer.seconds, messages=observer.count,
        senders=len(observer.sources), notes=notes,
    )  # fmt: skip


def _json(observer: Observer, findings: Sequence[SenderFinding], watched: Watched) -> Mapping[str, Any]:
    return {
        "messages": observer.count, "senders": len(observer.sources), "seconds": observer.seconds,
        "not_examined": observer.beyond, "skipped": watched.skipped, "notes": watched.notes,
        "findings": [json_of_finding(finding) for finding in findings],
    }  # fmt: skip
