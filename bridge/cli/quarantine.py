"""Implements ``syslog-bridge quarantine`` and ``syslog-bridge unrouted``: lists, retries and purges held frames."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import nlargest

import click

from bridge.cli.execute import confirm, existing_spool, fail_if_interrupted, run_command, yes_option
from bridge.cli.options import CliGroup, bundle, example, with_spool
from bridge.cli.unrouted_text import suggestion_text
from bridge.config import Config
from bridge.config.faults import printable
from bridge.monitoring.problems.problem import number
from bridge.operations.commands import networks
from bridge.operations.unrouted import unrouted_rows
from bridge.spool.quarantine import REASONS
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.reprocess import Selection
from bridge.syslog.intake_key import masked
from bridge.syslog.timestamps import rfc3339
from bridge.util.files import read_regular, shown_path

_WHICH = bundle(
    click.option("--reason", multiple=True, type=click.Choice(REASONS),
                 help="Only frames with this reason; repeatable.  [default: all]"),
    click.option("--intake", metavar="NAME", help="Only events that this intake refused or that were too long for it."),
    click.option("--source", metavar="ADDRESS", help="Only frames from this address or network."),
)  # fmt: skip
_SHOWN = 160
"Bytes of a frame that a list shows."


@click.group(cls=CliGroup, epilog=example("syslog-bridge quarantine list --reason refused"))
def quarantine() -> None:
    """List, retry or purge frames in quarantine. The reasons are:

    \b
    unrouted   no route matches the frame
    refused    the collector refused the event
    oversize   longer than max_frame_size or than the limit of an event
    damaged    the frame is truncated, or its file was damaged
    unredacted a rule of redact: exceeded its match limit on the frame
    """


@quarantine.command("list", epilog=example("syslog-bridge quarantine list --reason refused --json"))
@with_spool
@_WHICH
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number of frames.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with the complete frame in base64."
)
def list_(
    config: Config, reason: tuple[str, ...], intake: str | None, source: str | None, limit: int, as_json: bool
) -> None:
    """Show the latest frames and why they are held.

    Shows time of reception, reason, sender or intake, details and the beginning of each frame.
    """
    total: Counter[str] = Counter()

    def counted() -> Iterator[tuple[str, QuarantineEntry]]:
        for why, entry in quarantine_entries(config, reason or REASONS, intake, source):
            total[why] += 1
            yield why, entry

    for why, entry in nlargest(limit, counted(), key=lambda each: each[1].received_ms):
        if as_json:
            click.echo(json.dumps({"kind": why, **json.loads(entry.line())}))
        else:
            about = entry.peer or f"intake {entry.intake}"
            text = printable(entry.frame[:_SHOWN].decode("utf-8", "backslashreplace"))
            click.echo(f"{rfc3339(entry.received_ms)} {why:<8} {about:<16} {printable(entry.detail)}\n    {text}")
    if not as_json:
        click.echo(", ".join(f"{why}: {count:,}" for why, count in total.items()) or "the quarantine is empty")


@quarantine.command(epilog=example("syslog-bridge quarantine retry --reason refused --intake firewalls"))
@with_spool
@_WHICH
def retry(config: Config, reason: tuple[str, ...], intake: str | None, source: str | None) -> None:
    """Retry frames with the current routes.

    Refused events are queued for their intake unchanged; the other frames are routed by the current routes. Frames that
    match no route or are still too long stay in quarantine.
    """
    _retry(config, reason or REASONS, intake, source)


@quarantine.command(epilog=example("syslog-bridge quarantine purge --reason damaged --yes"))
@with_spool
@_WHICH
@yes_option
def purge(config: Config, reason: tuple[str, ...], intake: str | None, source: str | None, yes: bool) -> None:
    """Delete frames. They are lost, and are counted as dropped (reason purged)."""
    which = " that match" if intake or source else ""
    confirm(f"Delete the frames in quarantine ({', '.join(reason or REASONS)}){which}?", yes=yes)
    given = {"reasons": list(reason or REASONS), "intake": intake, "source": source}
    result = run_command(config, "quarantine-purge", given, description="purging")
    click.echo(f"{result['purged']:,} frames deleted")
    fail_if_interrupted(result, "frames")


@click.group(cls=CliGroup, epilog=example("syslog-bridge unrouted list"))
def unrouted() -> None:
    """List frames that match no route, and route them once a route exists."""


@unrouted.command("list", epilog=example("syslog-bridge unrouted list --json"))
@with_spool
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_unrouted(config: Config, as_json: bool) -> None:
    """Show the senders of held frames, with a route to paste for each.

    Shows the number of frames, the first and last time of reception, the latest frame and the product of each sender.
    """
    rows = unrouted_rows(config, (entry for _, entry in quarantine_entries(config, ("unrouted",))))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        frames = number(int(str(row["frames"])), "frame")
        click.echo(f"{row['address']:<16} at {row['listener']}: {frames}, {row['first']} to {row['last']}")
        click.echo(f"    {printable(str(row['sample']))}")
        click.echo(f"    {printable(str(row['product'] or 'product not identified'))}: {printable(str(row['reason']))}")
        click.echo(suggestion_text(row))
    if not rows:
        click.echo("no unrouted frames are held")


@unrouted.command(epilog=example("syslog-bridge unrouted reroute --source 10.1.0.0/16"))
@with_spool
@click.option("--source", metavar="ADDRESS", help="Only frames from this address or network.")
def reroute(config: Config, source: str | None) -> None:
    """Route held frames by the current routes. Each event keeps its own time.

    Frames that match no route stay held. A running bridge uses the routes it has loaded, so reload it first.
    """
    _retry(config, ("unrouted",), None, source)


def _retry(config: Config, reasons: tuple[str, ...], intake: str | None, source: str | None) -> None:
    given = {"reasons": list(reasons), "intake": intake, "source": source}
    result = run_command(config, "quarantine-retry", given, description="routing")
    for name, count in sorted(result["moved"].items()):
        click.echo(f"{count:,} to intake {name}")
    if result["filtered"]:
        click.echo(f"{result['filtered']:,} dropped by routes")
    click.echo(f"{result['stayed']:,} still held")
    fail_if_interrupted(result, "frames")


def quarantine_entries(
    config: Config, reasons: Sequence[str], intake: str | None = None, source: str | None = None
) -> Iterator[tuple[str, QuarantineEntry]]:
    """Yields the matching entries of the quarantine files. A running bridge may remove files meanwhile."""
    selection = Selection(intake, networks(source))
    folder = existing_spool(config.spool.directory) / ".quarantine"
    for reason in reasons:
        for path in sorted((folder / reason).glob("*.jsonl")):
            try:
                lines = read_regular(path).splitlines(keepends=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                click.echo(f"{shown_path(path)}: {error.strerror}", err=True)
                continue
            for line in lines:
                entry = QuarantineEntry.read(line)
                if entry is not None and selection.matches(entry):
                    # A version before this one may have written keys.
                    yield reason, replace(entry, frame=masked(entry.frame))
