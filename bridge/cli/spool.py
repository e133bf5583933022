"""Implements ``syslog-bridge spool``: lists, exports, moves and purges waiting events."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from bridge.batching.encoding import escaped
from bridge.cli.execute import confirm, existing_spool, fail_if_interrupted, run_command, yes_option
from bridge.cli.options import CliGroup, bundle, configured, example, fail, with_spool
from bridge.config import Config
from bridge.host.privileges import become_owner
from bridge.operations import spool_summary
from bridge.spool import inspect
from bridge.spool.partition import EventFilter
from bridge.syslog.intake_key import masked
from bridge.syslog.timestamps import rfc3339
from bridge.util.files import shown_path

_FILTERS = bundle(
    click.option("--intake", metavar="NAME", help="Only events of this intake."),
    click.option("--source", metavar="HOST", help="Only events whose text contains this host or address."),
    click.option("--containing", metavar="TEXT", help="Only events that contain this text."),
)


@click.group(cls=CliGroup, epilog=example("syslog-bridge spool list -c bridge.yaml"))
def spool() -> None:
    """List, export, move or purge the events in the spool. Works with and without a running bridge.

    The spool stores the text of an event, not its sender: --source finds events whose text contains the host.
    """


@spool.command("list", epilog=example("syslog-bridge spool list --json"))
@with_spool
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def list_(config: Config, as_json: bool) -> None:
    """Show the waiting events of each intake: number, bytes, age of the oldest."""
    rows = spool_summary.read_status(existing_spool(config.spool.directory))["intakes"]
    assert isinstance(rows, list)
    for row in rows:
        row["configured"] = row["name"] in config.intakes
        for key in ("state", "last_error"):
            del row[key]
    if as_json:
        click.echo(json.dumps({"intakes": rows}, indent=2))
        return
    click.echo(f"{'intake':<24} {'events':>12} {'bytes':>15} {'oldest':>10}")
    for row in rows:
        age = "-" if row["oldest_seconds"] is None else f"{row['oldest_seconds']:.0f} s"
        note = "" if row["configured"] else "   not in the configuration: parked"
        click.echo(f"{row['name']:<24} {row['backlog_events']:>12,} {row['backlog_bytes']:>15,} {age:>10}{note}")


@spool.command(epilog=example("syslog-bridge spool show --intake firewalls --limit 5"))
@with_spool
@_FILTERS
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True,
              help="Maximum number of events, or of files.")  # fmt: skip
@click.option("--unreadable", is_flag=True, help="Print the files that cannot be read instead.")
def show(
    config: Config, intake: str | None, source: str | None, containing: str | None, limit: int, unreadable: bool
) -> None:
    """Print the oldest waiting events: intake, event time, text.

    With --unreadable: the files whose events cannot be read, with intake, number of events (-: unknown) and error.
    """
    if unreadable:
        if source or containing:
            raise click.UsageError(
                "--unreadable cannot be combined with --source or --containing: the text of these events is not known"
            )
        _show_unreadable(config, intake, limit)
        return
    for name, ms, event in islice(_events(config, intake, EventFilter(containing, source)), limit):
        text = escaped(masked(event)).decode("utf-8", "backslashreplace")
        click.echo(f"{name:<16} {rfc3339(ms) if ms else 'no event time':<24}  {text}")


@spool.command(epilog=example("syslog-bridge spool export --intake firewalls --output events.jsonl"))
@configured
@_FILTERS
@click.option(
    "--output", type=click.Path(path_type=Path), help="New file, readable by its owner only.  [default: stdout]"
)
def export(config: Config, intake: str | None, source: str | None, containing: str | None, output: Path | None) -> None:
    """Write the waiting events as JSON lines with intake, event_timestamp and event. Removes nothing."""
    count = 0
    try:
        out = sys.stdout if output is None else output.open("x", encoding="utf-8")
    except OSError as error:
        fail(f"spool export: {output}: {error.strerror}")
    try:
        if output is not None:
            os.fchmod(out.fileno(), 0o600)
        # The output belongs to the user who runs the command, also if that is root.
        become_owner(config.spool.directory)
        for name, ms, event in _events(config, intake, EventFilter(containing, source)):
            row = {
                "intake": name, "event_timestamp": rfc3339(ms) if ms else None,
                "event": event.decode("utf-8", "backslashreplace"),
            }  # fmt: skip
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
        out.flush()
    finally:
        if output is not None:
            out.close()
    click.echo(f"{count:,} events", err=True)


@spool.command(epilog=example("syslog-bridge spool move --intake old --to firewalls"))
@with_spool
@_FILTERS
@click.option("--to", required=True, metavar="NAME", help="Intake to move the events to.")
@yes_option
def move(config: Config, intake: str | None, source: str | None, containing: str | None, to: str, yes: bool) -> None:
    """Move waiting events to another intake. Events keep their text and time.

    The command waits until no requests are in flight. Events of those requests are not moved.
    """
    if intake is None and not (source or containing):
        raise click.UsageError("specify the events: --intake, --source or --containing")
    if intake is None:
        confirm(f"Move the matching events of ALL intakes to {to}?", yes=yes)
    given = {"intake": intake, "source": source, "containing": containing, "to": to}
    result = run_command(config, "spool-move", given, description="moving")
    click.echo(f"{result['moved']:,} events moved to {to}")
    fail_if_interrupted(result, "events")


@spool.command(epilog=example("syslog-bridge spool purge --intake lab --containing 'debug:'"))
@with_spool
@_FILTERS
@click.option("--unreadable", is_flag=True, help="Only events in files that cannot be read.")
@yes_option
def purge(
    config: Config, intake: str | None, source: str | None, containing: str | None, unreadable: bool, yes: bool
) -> None:
    """Delete waiting events. They are lost, and are counted as dropped (reason purged)."""
    if unreadable and (source or containing):
        raise click.UsageError("--unreadable cannot be combined with --source or --containing")
    owner = "ALL intakes" if intake is None else f"intake {intake}"
    which = "unreadable" if unreadable else "matching" if source or containing else "waiting"
    confirm(f"Delete the {which} events of {owner}? They will never be delivered.", yes=yes)
    given = {"intake": intake, "source": source, "containing": containing, "unreadable": unreadable}
    result = run_command(config, "spool-purge", given, description="purging")
    click.echo(f"{result['purged']:,} events deleted")
    fail_if_interrupted(result, "events")


def _show_unreadable(config: Config, intake: str | None, limit: int) -> None:
    directory = existing_spool(config.spool.directory)
    count = 0
    for name in [intake] if intake is not None else inspect.intakes(directory):

        def report(path: Path, events: int, error: OSError, name: str = name) -> None:
            nonlocal count
            count += 1
            if count <= limit:
                click.echo(f"{name:<16} {events or '-':>12} {shown_path(path)}: {error.strerror}")

        for _ in inspect.queued_batches(directory / name, report):
            continue
    if count > limit:
        click.echo(f"{count - limit:,} more files cannot be read. Raise --limit to list them", err=True)


def _events(config: Config, intake: str | None, event_filter: EventFilter) -> Iterator[tuple[str, int, bytes]]:
    """Yields the matching events of the spool. Names each file that cannot be read on stderr."""

    def report(path: Path, events: int, error: OSError) -> None:
        amount = f"its {events:,} events are left out" if events else "its events are left out"
        click.echo(f"{shown_path(path)}: {error.strerror}; {amount}", err=True)

    directory = existing_spool(config.spool.directory)
    for name in [intake] if intake is not None else inspect.intakes(directory):
        for _, events in inspect.queued_batches(directory / name, report):
            for ms, event in events:
                if event_filter.matches(event):
                    yield name, ms, event
