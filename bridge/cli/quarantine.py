"""Implements ``syslog-bridge quarantine`` and ``syslog-bridge unrouted``: lists, retries and purges held frames."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

import click

from bridge.cli.changes import change_options, confirm, end_dry_run, print_result
from bridge.cli.execute import JSON, existing_spool, fail_if_interrupted, run_command
from bridge.cli.options import CliGroup, bundle, count_option, example, output_option, with_spool
from bridge.cli.unrouted_text import suggestion_text
from bridge.config import Config
from bridge.config.faults import printable
from bridge.operations.commands import networks
from bridge.operations.quarantine import preview
from bridge.operations.selection import count_held, held_frames
from bridge.operations.unrouted import unrouted_rows
from bridge.spool.quarantine import REASONS
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.reprocess import Selection
from bridge.syslog.timestamps import rfc3339
from bridge.util.counts import counted
from bridge.util.files import shown_path

_WHICH = bundle(
    click.option("--reason", multiple=True, type=click.Choice(REASONS),
                 help="Only frames with this reason; repeatable.  [default: all]"),
    click.option("--intake", metavar="NAME", help="Only events that this intake refused or that were too long for it."),
    click.option("--source", metavar="ADDRESS", help="Only frames from this address or network."),
)  # fmt: skip
_SHOWN = 160
"Bytes of a frame that a list shows."
_SAME_ROUTE = "The route above for this address also takes these messages."


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


@quarantine.command("list", epilog=example("syslog-bridge quarantine list --reason refused --output json"))
@with_spool
@_WHICH
@count_option("Maximum number of frames.", default=20)
@output_option(help="json: one object per line, with the complete frame in base64.")
def list_(
    config: Config, reason: tuple[str, ...], intake: str | None, source: str | None, count: int, output: str
) -> None:
    """Show the latest frames and why they are held.

    Shows time of reception, reason, sender or intake, details and the beginning of each frame.
    """
    total: Counter[str] = Counter()

    def matching() -> Iterator[tuple[str, QuarantineEntry]]:
        for why, entry in quarantine_entries(config, reason or REASONS, intake, source):
            total[why] += 1
            yield why, entry

    for why, entry in nlargest(count, matching(), key=lambda each: each[1].received_ms):
        if output == "json":
            click.echo(json.dumps({"kind": why, **json.loads(entry.line())}))
        else:
            about = entry.peer or f"intake {entry.intake}"
            text = printable(entry.frame[:_SHOWN].decode("utf-8", "backslashreplace"))
            click.echo(f"{rfc3339(entry.received_ms)} {why:<8} {about:<16} {printable(entry.detail)}\n    {text}")
    if output == "text":
        more = "" if total.total() <= count else f" (the latest {count:,} are shown: use --count for more)"
        counts = ", ".join(f"{why}: {found:,}" for why, found in total.items())
        click.echo(f"{counts}{more}" if counts else "the quarantine is empty")


@quarantine.command(epilog=example("syslog-bridge quarantine retry --reason refused --intake firewalls"))
@with_spool
@_WHICH
@change_options
def retry(
    config: Config, reason: tuple[str, ...], intake: str | None, source: str | None, dry_run: bool, yes: bool,
    output: str,
) -> None:  # fmt: skip
    """Retry frames with the current routes.

    Refused events are queued for their intake unchanged; the other frames are routed by the current routes. Frames that
    match no route or are still too long stay in quarantine. Nothing is lost, so the command does not ask.
    """
    _retry(config, _Held(reason or REASONS, intake, source), dry_run=dry_run, output=output)


@quarantine.command(epilog=example("syslog-bridge quarantine purge --reason damaged --yes"))
@with_spool
@_WHICH
@change_options
def purge(
    config: Config, reason: tuple[str, ...], intake: str | None, source: str | None, dry_run: bool, yes: bool,
    output: str,
) -> None:  # fmt: skip
    """Delete frames. They are lost, and are counted as dropped (reason purged)."""
    held = _Held(reason or REASONS, intake, source)
    if dry_run:
        end_dry_run("delete", "frame", held.counts(config), output)

    def question() -> str:
        counts = held.counts(config)
        reasons = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or ", ".join(held.reasons)
        return f"Delete {counted(sum(counts.values()), 'frame')} in quarantine ({reasons})?"

    confirm("quarantine purge", question, yes=yes)
    result = run_command(config, "quarantine-purge", held.given(), description="purging")
    print_result(output, result, [f"{counted(result['purged'], 'frame')} deleted"])
    fail_if_interrupted(result, "frames")


@click.group(cls=CliGroup, epilog=example("syslog-bridge unrouted list"))
def unrouted() -> None:
    """List frames that match no route, and route them once a route exists."""


@unrouted.command("list", epilog=example("syslog-bridge unrouted list --output json"))
@with_spool
@output_option()
def list_unrouted(config: Config, output: str) -> None:
    """Show the senders of held frames, with a route to paste for each.

    Shows the number of frames, the first and last time of reception, the latest frame and the product of each sender.
    """
    rows = unrouted_rows(config, (entry for _, entry in quarantine_entries(config, ("unrouted",), None, None)))
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    suggested: set[str] = set()
    for row in rows:
        frames = counted(int(str(row["frames"])), "frame")
        click.echo(f"{row['address']:<16} at {row['listener']}: {frames}, {row['first']} to {row['last']}")
        click.echo(f"    {printable(str(row['sample']))}")
        click.echo(f"    {printable(str(row['product'] or 'product not identified'))}: {printable(str(row['reason']))}")
        text = suggestion_text(row)
        # A sender that several listeners receive needs its route once: two routes of one name are an error.
        click.echo(f"    {_SAME_ROUTE}\n" if text in suggested and row.get("route") else text)
        suggested.add(text)
    if not rows:
        click.echo("no unrouted frames are held")


@unrouted.command(epilog=example("syslog-bridge unrouted reroute --source 10.1.0.0/16"))
@with_spool
@click.option("--source", metavar="ADDRESS", help="Only frames from this address or network.")
@change_options
def reroute(config: Config, source: str | None, dry_run: bool, yes: bool, output: str) -> None:
    """Route held frames by the current routes. Each event keeps its own time.

    Frames that match no route stay held. A running bridge uses the routes it has loaded, so reload it first.
    Nothing is lost, so the command does not ask.
    """
    _retry(config, _Held(("unrouted",), None, source), dry_run=dry_run, output=output)


class _Held(NamedTuple):
    """The frames that the options of a command select."""

    reasons: Sequence[str]
    intake: str | None
    source: str | None

    def given(self) -> dict[str, object]:
        """Returns the parameters of the command."""
        return {"reasons": list(self.reasons), "intake": self.intake, "source": self.source}

    def counts(self, config: Config) -> dict[str, int]:
        """Returns reason -> number of frames."""
        return count_held(existing_spool(config.spool.directory), self.reasons, self.selection())

    def selection(self) -> Selection:
        return Selection(self.intake, networks(self.source))


def _retry(config: Config, held: _Held, *, dry_run: bool, output: str) -> None:
    if dry_run:
        existing_spool(config.spool.directory)
        expected = preview(config, held.reasons, held.selection())
        moved, result = sum(expected.moved.values()), expected._asdict()
        head = f"would route {counted(moved, 'frame')} by the routes of the configuration file"
        print_result(
            output, {"dry_run": True, "frames": moved, "counts": expected.moved, **result},
            [head, *(f"  {line}" for line in _result_lines(result))],
        )  # fmt: skip
        return
    result = run_command(config, "quarantine-retry", held.given(), description="routing")
    print_result(output, result, _result_lines(result))
    fail_if_interrupted(result, "frames")


def _result_lines(result: JSON) -> list[str]:
    lines = [f"{count:,} to intake {name}" for name, count in sorted(result["moved"].items())]
    if result["filtered"]:
        lines.append(f"{result['filtered']:,} dropped by routes")
    return [*lines, f"{result['stayed']:,} still held"]


def quarantine_entries(
    config: Config, reasons: Sequence[str], intake: str | None = None, source: str | None = None
) -> Iterator[tuple[str, QuarantineEntry]]:
    """Yields the matching frames. Names each file that cannot be read on stderr."""

    def report(path: Path, events: int, error: OSError) -> None:
        click.echo(f"{shown_path(path)}: {error.strerror}", err=True)

    held = _Held(reasons, intake, source)
    return held_frames(existing_spool(config.spool.directory), reasons, held.selection(), report)
