"""``syslog-bridge quarantine`` and ``syslog-bridge unrouted``: what was put aside, seen, brought back, removed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from bridge.admin.control_commands import networks
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
from bridge.config.faults import printable
from bridge.operations.command import WrongRequest
from bridge.operations.control_client import ControlError
from bridge.spool.quarantine import REASONS, QuarantineEntry
from bridge.spool.reprocess import Selection
from bridge.syslog.timestamps import rfc3339

_WHICH = Bundle(
    click.option("--reason", multiple=True, type=click.Choice(REASONS), help="Of this reason; may be repeated."),
    click.option("--intake", metavar="NAME", help="Events that were refused, or too long, for this intake."),
    click.option("--source", metavar="ADDRESS", help="From this address or network."),
)
_SHOWN = 160
"Bytes of a frame in a list."


@click.group(epilog="\b\nExample:\n  syslog-bridge quarantine list --reason refused")
def quarantine() -> None:
    """See and change what could not be delivered.

    \b
    unrouted   no route took it
    refused    the collector refused this one event
    oversize   longer than max_frame_size, or than an event may be
    damaged    cut off, or its file was damaged
    """


@quarantine.command("list", epilog="\b\nExample:\n  syslog-bridge quarantine list --reason refused --json")
@configuration_option
@_WHICH
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="So many of the latest.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, with whole frames in base64.")
def list_(
    file: Path, reason: tuple[str, ...], intake: str | None, source: str | None, limit: int, as_json: bool
) -> None:
    """Show the latest frames: reception, reason, from where or for which intake, why, and the beginning of it."""
    config = loaded(file, secrets=False)
    found: list[tuple[str, QuarantineEntry]] = []
    total: Counter[str] = Counter()
    for why, entry in _entries(config, "quarantine list", reason or REASONS, intake, source):
        total[why] += 1
        found.append((why, entry))
        if len(found) > 2 * limit:
            found = sorted(found, key=lambda each: -each[1].received_ms)[:limit]
    for why, entry in sorted(found, key=lambda each: -each[1].received_ms)[:limit]:
        if as_json:
            click.echo(json.dumps({"kind": why, **json.loads(entry.line())}))
        else:
            about = entry.peer or f"intake {entry.intake}"
            text = printable(entry.frame[:_SHOWN].decode("utf-8", "backslashreplace"))
            click.echo(f"{rfc3339(entry.received_ms)} {why:<8} {about:<16} {printable(entry.detail)}\n    {text}")
    if not as_json:
        click.echo(", ".join(f"{why}: {count:,}" for why, count in total.items()) or "nothing is held")


@quarantine.command(epilog="\b\nExample:\n  syslog-bridge quarantine retry --reason refused --intake firewalls")
@configuration_option
@_WHICH
def retry(file: Path, reason: tuple[str, ...], intake: str | None, source: str | None) -> None:
    """Bring frames back: refused events to their intake as they were, the others by the routes of today.

    What no route takes, or is still too long, stays.
    """
    _bring_back(file, reason or REASONS, intake, source)


@quarantine.command(epilog="\b\nExample:\n  syslog-bridge quarantine purge --reason damaged --yes")
@configuration_option
@_WHICH
@yes_option
def purge(file: Path, reason: tuple[str, ...], intake: str | None, source: str | None, yes: bool) -> None:
    """Remove frames. They are lost; the account has them as dropped: purged."""
    config = loaded(file, secrets=False)
    which = " that match" if intake or source else ""
    confirmed(f"Remove the frames in quarantine ({', '.join(reason or REASONS)}){which}?", yes=yes)
    given = {"reasons": list(reason or REASONS), "intake": intake, "source": source}
    result = act(config, "quarantine-purge", given, what="purging")
    click.echo(f"{result['purged']:,} frames removed")
    _end(result)


@click.group(epilog="\b\nExample:\n  syslog-bridge unrouted list")
def unrouted() -> None:
    """See what no route takes, and route it once there is a route."""


@unrouted.command("list", epilog="\b\nExample:\n  syslog-bridge unrouted list --json")
@configuration_option
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
def list_unrouted(file: Path, as_json: bool) -> None:
    """One line a sender: how many of its frames are held, since when, and the latest."""
    config = loaded(file, secrets=False)
    senders: dict[tuple[str, str], list[QuarantineEntry]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for _, entry in _entries(config, "unrouted list", ("unrouted",), None, None):
        sender = (entry.peer, entry.listener)
        counts[sender] += 1
        first, last = senders.get(sender, [entry, entry])
        senders[sender] = [min(first, entry, key=_received), max(last, entry, key=_received)]
    rows = [
        {
            "address": peer, "listener": listener, "frames": count,
            "first": rfc3339(senders[peer, listener][0].received_ms),
            "last": rfc3339(senders[peer, listener][1].received_ms),
            "sample": senders[peer, listener][1].frame[:_SHOWN].decode("utf-8", "backslashreplace"),
        }
        for (peer, listener), count in counts.most_common()
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['address']:<16} at {row['listener']}: {row['frames']:,} frames, {row['first']} to {row['last']}"
        )
        click.echo(f"    {printable(str(row['sample']))}")
    if not rows:
        click.echo("nothing is held")


@unrouted.command(epilog="\b\nExample:\n  syslog-bridge unrouted reroute --source 10.1.0.0/16")
@configuration_option
@click.option("--source", metavar="ADDRESS", help="From this address or network.")
def reroute(file: Path, source: str | None) -> None:
    """Route what is held by the routes of today, as if it had just come, with its own time.

    What no route takes stays. A running bridge uses the routes that it runs: reload it first.
    """
    _bring_back(file, ("unrouted",), None, source)


def _received(entry: QuarantineEntry) -> int:
    return entry.received_ms


def _bring_back(file: Path, reasons: tuple[str, ...], intake: str | None, source: str | None) -> None:
    config = loaded(file, secrets=False)
    given = {"reasons": list(reasons), "intake": intake, "source": source}
    result = act(config, "quarantine-retry", given, what="routing")
    for name, count in sorted(result["moved"].items()):
        click.echo(f"{count:,} to intake {name}")
    if result["filtered"]:
        click.echo(f"{result['filtered']:,} taken by routes that drop")
    click.echo(f"{result['stayed']:,} stay")
    _end(result)


def _end(result: dict[str, object]) -> None:
    if result["interrupted"]:
        failed("interrupted: the rest is as it was")


def _entries(
    config: Config, command: str, reasons: tuple[str, ...], intake: str | None, source: str | None
) -> Iterator[tuple[str, QuarantineEntry]]:
    """What is in the files; a running bridge may take some away meanwhile."""
    try:
        selection = Selection(intake, networks(source))
        folder = existing(config.spool.directory) / ".quarantine"
        for reason in reasons:
            for path in sorted((folder / reason).glob("*.jsonl")):
                try:
                    lines = path.read_bytes().splitlines(keepends=True)
                except FileNotFoundError:
                    continue
                for line in lines:
                    entry = QuarantineEntry.read(line)
                    if entry is not None and selection.matches(entry):
                        yield reason, entry
    except (ControlError, WrongRequest) as error:
        failed(f"{command}: {error}")
    except OSError as error:
        unreadable(command, error)
