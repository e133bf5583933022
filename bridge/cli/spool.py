"""Implements ``syslog-bridge spool``: lists, exports, moves and purges waiting events."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from bridge.batching.encoding import escaped
from bridge.cli.changes import change_options, confirm, end_dry_run, print_result
from bridge.cli.execute import existing_spool, fail_if_interrupted, run_command
from bridge.cli.old_names import RenamedOption
from bridge.cli.options import CliGroup, bundle, configured, count_option, example, fail, output_option, with_spool
from bridge.config import Config
from bridge.host.privileges import become_owner
from bridge.operations import spool_summary
from bridge.operations.selection import count_unreadable, count_waiting, waiting_events
from bridge.spool import inspect
from bridge.spool.partition import EventFilter
from bridge.syslog.intake_key import masked
from bridge.syslog.timestamps import rfc3339
from bridge.util.counts import counted, verb
from bridge.util.files import shown_path

_FILTERS = bundle(
    click.option("--intake", metavar="NAME", help="Only events of this intake."),
    click.option("--host", cls=RenamedOption, old={"--source": None}, metavar="HOST",
                 help="Only events whose text contains this host name or address."),
    click.option("--containing", metavar="TEXT", help="Only events that contain this text."),
)  # fmt: skip


@click.group(cls=CliGroup, epilog=example("syslog-bridge spool list -c bridge.yaml"))
def spool() -> None:
    """List, export, move or purge the events in the spool. Works with and without a running bridge.

    The spool stores the text of an event, not its sender: --host finds events whose text contains the host.
    """


@spool.command("list", epilog=example("syslog-bridge spool list --output json"))
@with_spool
@output_option()
def list_(config: Config, output: str) -> None:
    """Show the waiting events of each intake: number, bytes, age of the oldest."""
    rows = spool_summary.read_status(existing_spool(config.spool.directory))["intakes"]
    assert isinstance(rows, list)
    for row in rows:
        row["configured"] = row["name"] in config.intakes
        for key in ("state", "last_error"):
            del row[key]
    if output == "json":
        click.echo(json.dumps({"intakes": rows}, indent=2))
        return
    click.echo(f"{'intake':<24} {'events':>12} {'bytes':>15} {'oldest':>10}")
    for row in rows:
        age = "-" if row["oldest_seconds"] is None else f"{row['oldest_seconds']:.0f} s"
        note = "" if row["configured"] else "   not in the configuration: parked"
        click.echo(f"{row['name']:<24} {row['backlog_events']:>12,} {row['backlog_bytes']:>15,} {age:>10}{note}")


@spool.command(epilog=example("syslog-bridge spool show --intake firewalls --count 5"))
@with_spool
@_FILTERS
@count_option("Maximum number of events, or of files.", default=20)
@click.option("--unreadable", is_flag=True, help="Print the files that cannot be read instead.")
@output_option(help="json: one object per line.")
def show(
    config: Config, intake: str | None, host: str | None, containing: str | None, count: int, unreadable: bool,
    output: str,
) -> None:  # fmt: skip
    """Print the oldest waiting events: intake, event time, text.

    With --unreadable: the files whose events cannot be read, with intake, number of events (-: unknown) and error.
    """
    if unreadable:
        if host or containing:
            raise click.UsageError(
                "--unreadable cannot be combined with --host or --containing: the text of these events is not known"
            )
        _show_unreadable(config, intake, count, output)
        return
    events = _events(config, intake, EventFilter(containing, host))
    found = False
    for name, ms, event in islice(events, count):
        found = True
        if output == "json":
            click.echo(_json_line(name, ms, masked(event)), nl=False)
            continue
        text = escaped(masked(event)).decode("utf-8", "backslashreplace")
        click.echo(f"{name:<16} {rfc3339(ms) if ms else 'no event time':<24}  {text}")
    if output == "text" and not found:
        click.echo("no events wait" if intake is None and not (host or containing) else "no such events wait", err=True)
    elif output == "text" and next(events, None) is not None:
        click.echo(f"... the oldest {count:,}. More events wait: use --count to see them", err=True)


@spool.command(epilog=example("syslog-bridge spool export --intake firewalls --output events.jsonl"))
@configured
@_FILTERS
@click.option(
    "--output", type=click.Path(path_type=Path), help="New file, readable by its owner only.  [default: stdout]"
)
def export(config: Config, intake: str | None, host: str | None, containing: str | None, output: Path | None) -> None:
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
        for name, ms, event in _events(config, intake, EventFilter(containing, host)):
            out.write(_json_line(name, ms, event))
            count += 1
        out.flush()
    finally:
        if output is not None:
            out.close()
    click.echo(counted(count, "event"), err=True)


@spool.command(epilog=example("syslog-bridge spool move --intake old --to firewalls"))
@with_spool
@_FILTERS
@click.option("--to", required=True, metavar="NAME", help="Intake to move the events to.")
@change_options
def move(
    config: Config, intake: str | None, host: str | None, containing: str | None, to: str, dry_run: bool, yes: bool,
    output: str,
) -> None:  # fmt: skip
    """Move waiting events to another intake. Events keep their text and time.

    The command waits until no requests are in flight. Events of those requests are not moved. Asks for confirmation
    only without --intake.
    """
    if intake is None and not (host or containing):
        raise click.UsageError("specify the events: --intake, --host or --containing")

    def counts() -> dict[str, int]:
        found = count_waiting(existing_spool(config.spool.directory), intake, EventFilter(containing, host))
        return {name: count for name, count in found.items() if name != to}

    if dry_run:
        if to not in config.intakes:
            fail(f"spool move: intake {to} is not in the configuration. Its intakes are {', '.join(config.intakes)}")
        end_dry_run("move", "event", counts(), output)
    if intake is None:
        confirm(
            "spool move",
            lambda: f"Move {counted(sum(counts().values()), 'matching event')} of ALL intakes to {to}?",
            yes=yes,
        )
    given = {"intake": intake, "source": host, "containing": containing, "to": to}
    result = run_command(config, "spool-move", given, description="moving")
    print_result(output, result, [f"{counted(result['moved'], 'event')} moved to {to}"])
    fail_if_interrupted(result, "events")


@spool.command(epilog=example("syslog-bridge spool purge --intake lab --containing 'debug:'"))
@with_spool
@_FILTERS
@click.option("--unreadable", is_flag=True, help="Only events in files that cannot be read.")
@change_options
def purge(
    config: Config, intake: str | None, host: str | None, containing: str | None, unreadable: bool, dry_run: bool,
    yes: bool, output: str,
) -> None:  # fmt: skip
    """Delete waiting events. They are lost, and are counted as dropped (reason purged)."""
    if unreadable and (host or containing):
        raise click.UsageError("--unreadable cannot be combined with --host or --containing")

    def counts() -> dict[str, int]:
        directory = existing_spool(config.spool.directory)
        if unreadable:
            return count_unreadable(directory, intake)
        return count_waiting(directory, intake, EventFilter(containing, host))

    if dry_run:
        end_dry_run("delete", "event", counts(), output)
    owner = "ALL intakes" if intake is None else f"intake {intake}"
    which = "unreadable" if unreadable else "matching" if host or containing else "waiting"
    confirm(
        "spool purge",
        lambda: f"Delete {counted(sum(counts().values()), f'{which} event')} of {owner}? This cannot be undone.",
        yes=yes,
    )
    given = {"intake": intake, "source": host, "containing": containing, "unreadable": unreadable}
    result = run_command(config, "spool-purge", given, description="purging")
    print_result(output, result, [f"{counted(result['purged'], 'event')} deleted"])
    fail_if_interrupted(result, "events")


def _show_unreadable(config: Config, intake: str | None, most: int, output: str) -> None:
    directory = existing_spool(config.spool.directory)
    count = 0
    for name in [intake] if intake is not None else inspect.intakes(directory):

        def report(path: Path, events: int, error: OSError, name: str = name) -> None:
            nonlocal count
            count += 1
            if count > most:
                return
            if output == "json":
                row = {"intake": name, "events": events or None, "file": shown_path(path), "error": error.strerror}
                click.echo(json.dumps(row))
            else:
                click.echo(f"{name:<16} {events or '-':>12} {shown_path(path)}: {error.strerror}")

        for _ in inspect.queued_batches(directory / name, report):
            continue
    if count > most:
        click.echo(f"{counted(count - most, 'more file')} cannot be read. Raise --count to list them", err=True)


def _events(config: Config, intake: str | None, event_filter: EventFilter) -> Iterator[tuple[str, int, bytes]]:
    """Yields the matching events of the spool. Names each file that cannot be read on stderr."""

    def report(path: Path, events: int, error: OSError) -> None:
        amount = (
            f"its {counted(events, 'event')} {verb(events, 'is', 'are')} left out"
            if events
            else "its events are left out"
        )
        click.echo(f"{shown_path(path)}: {error.strerror}; {amount}", err=True)

    return waiting_events(existing_spool(config.spool.directory), intake, event_filter, report)


def _json_line(intake: str, ms: int, event: bytes) -> str:
    row = {
        "intake": intake, "event_timestamp": rfc3339(ms) if ms else None,
        "event": event.decode("utf-8", "backslashreplace"),
    }  # fmt: skip
    return json.dumps(row, ensure_ascii=False) + "\n"
