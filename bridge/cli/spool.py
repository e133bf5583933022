"""``syslog-bridge spool``: what waits, seen, written out, moved, removed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bridge.batching.encoding import escaped
from bridge.cli.execute import (
    act,
    confirmed,
    existing,
    unreadable,
    yes_option,
)
from bridge.cli.options import (
    Bundle,
    configuration_option,
    failed,
    loaded,
)
from bridge.config import Config
from bridge.operations import offline_spool
from bridge.operations.control_client import ControlError
from bridge.spool import inspect
from bridge.spool.partition import EventFilter
from bridge.syslog.timestamps import rfc3339

_FILTERS = Bundle(
    click.option("--intake", metavar="NAME", help="Of this intake only."),
    click.option("--source", metavar="HOST", help="Events whose text names this host or address."),
    click.option("--containing", metavar="TEXT", help="Events that hold this text."),
)


@click.group(epilog="\b\nExample:\n  syslog-bridge spool list -c bridge.yaml")
def spool() -> None:
    """See and change what waits in the spool, while the bridge runs or when it does not.

    The spool keeps the text of an event and not who sent it: --source finds events whose text names a host.
    """


@spool.command("list", epilog="\b\nExample:\n  syslog-bridge spool list --json")
@configuration_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
def list_(file: Path, as_json: bool) -> None:
    """Tell how much waits for each intake, by the names of its files."""
    config = loaded(file, secrets=False)
    try:
        found = offline_spool.read(existing(config.spool.directory))
    except ControlError as error:
        failed(f"spool list: {error}")
    except OSError as error:
        unreadable("spool list", error)
    rows = offline_spool.as_json(config.spool.directory, found)["intakes"]
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
        strange = "" if row["configured"] else "   not in the configuration: parked"
        click.echo(f"{row['name']:<24} {row['backlog_events']:>12,} {row['backlog_bytes']:>15,} {age:>10}{strange}")


@spool.command(epilog="\b\nExample:\n  syslog-bridge spool show --intake firewalls --limit 5")
@configuration_option
@_FILTERS
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="So many of the oldest.")
def show(file: Path, intake: str | None, source: str | None, containing: str | None, limit: int) -> None:
    """Print the oldest events that wait: intake, event time, text."""
    config = loaded(file, secrets=False)
    for number, (name, ms, event) in enumerate(_events(config, "spool show", intake, EventFilter(containing, source))):
        if number == limit:
            break
        text = escaped(event).decode("utf-8", "backslashreplace")
        click.echo(f"{name:<16} {rfc3339(ms) if ms else 'no event time':<24}  {text}")


@spool.command(epilog="\b\nExample:\n  syslog-bridge spool export --intake firewalls --output events.jsonl")
@configuration_option
@_FILTERS
@click.option("--output", type=click.Path(path_type=Path), help="A new file, for the owner only. Default: stdout.")
def export(file: Path, intake: str | None, source: str | None, containing: str | None, output: Path | None) -> None:
    """Write out what waits, as JSON lines: intake, event_timestamp, event. Nothing is removed."""
    config = loaded(file, secrets=False)
    count = 0
    try:
        out = sys.stdout if output is None else output.open("x", encoding="utf-8")
    except OSError as error:
        failed(f"spool export: {output}: {error.strerror}")
    try:
        if output is not None:
            output.chmod(0o600)
        for name, ms, event in _events(config, "spool export", intake, EventFilter(containing, source)):
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


@spool.command(epilog="\b\nExample:\n  syslog-bridge spool move --intake old --to firewalls")
@configuration_option
@_FILTERS
@click.option("--to", required=True, metavar="NAME", help="The intake that gets them.")
@yes_option
def move(file: Path, intake: str | None, source: str | None, containing: str | None, to: str, yes: bool) -> None:
    """Give what waits for an intake to another, as it is: events keep text and time.

    Requests in flight are waited for, and what they carried stays where it was.
    """
    config = loaded(file, secrets=False)
    if intake is None and not (source or containing):
        raise click.UsageError("say what: --intake, --source or --containing")
    if intake is None:
        confirmed(f"Move the events of ALL intakes that match to {to}?", yes=yes)
    given = {"intake": intake, "source": source, "containing": containing, "to": to}
    result = act(config, "spool-move", given, what="moving")
    click.echo(f"{result['moved']:,} events moved to {to}")
    _end(result)


@spool.command(epilog="\b\nExample:\n  syslog-bridge spool purge --intake lab --containing 'debug:'")
@configuration_option
@_FILTERS
@yes_option
def purge(file: Path, intake: str | None, source: str | None, containing: str | None, yes: bool) -> None:
    """Remove what waits. It is lost; the account has it as dropped: purged."""
    config = loaded(file, secrets=False)
    whose = "ALL intakes" if intake is None else f"intake {intake}"
    which = " that match" if source or containing else ""
    confirmed(f"Remove the events of {whose}{which}? They will never be delivered.", yes=yes)
    given = {"intake": intake, "source": source, "containing": containing}
    result = act(config, "spool-purge", given, what="purging")
    click.echo(f"{result['purged']:,} events removed")
    _end(result)


def _end(result: dict[str, object]) -> None:
    if result["interrupted"]:
        failed("interrupted: the rest is as it was")


def _events(config: Config, command: str, intake: str | None, words: EventFilter) -> Iterator[tuple[str, int, bytes]]:
    matcher = words.matcher()
    try:
        directory = existing(config.spool.directory)
        for name in [intake] if intake is not None else inspect.intakes(directory):
            for _, events in inspect.queued_batches(directory / name):
                for ms, event in events:
                    if matcher.matches(event):
                        yield name, ms, event
    except ControlError as error:
        failed(f"{command}: {error}")
    except OSError as error:
        unreadable(command, error)
