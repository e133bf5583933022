"""Implements ``syslog-bridge replay``: delivers events of the archive again."""

from datetime import UTC, datetime

import click

from bridge.cli.changes import change_options, confirm, end_dry_run, print_result
from bridge.cli.execute import run_command
from bridge.cli.options import CliCommand, example, fail, with_spool
from bridge.cli.times import since_option, until_option
from bridge.config import Config
from bridge.syslog.timestamps import milliseconds, rfc3339
from bridge.util.counts import counted, verb


@click.command(
    cls=CliCommand,
    epilog=example("syslog-bridge replay --intake linux --since 2026-11-23T07:00Z --until -1h"),
)
@with_spool
@click.option("--intake", required=True, metavar="NAME", help="Intake whose events are delivered to it again.")
@since_option(default=None)
@until_option(default="now")
@change_options
def replay(
    config: Config, intake: str, since: datetime, until: datetime | None, dry_run: bool, yes: bool, output: str
) -> None:
    """Deliver archived events of an intake and a period again.

    The period is that of the event times. Each event keeps its original time. Needs spool.archive:. Either all events
    are queued, or none. They are counted as replayed, and the collector receives them as new events. --since and
    --until are rounded down to batch.timestamp_resolution.
    """
    until = until or datetime.now(UTC)
    if until <= since:
        raise click.UsageError("--until must be after --since")
    from_ms, to_ms = milliseconds(since), milliseconds(until)
    given = {"intake": intake, "from_ms": from_ms, "to_ms": to_ms}
    count = run_command(config, "replay-count", given, description="counting")
    period = f"{rfc3339(from_ms)} to {rfc3339(to_ms)}"
    if dry_run:
        end_dry_run("deliver again", "event", {intake: count["events"]}, output)
    if not count["events"]:
        fail(f"replay: the archive has no events of intake {intake} from {period}")
    events = counted(count["events"], "event")
    confirm(
        "replay",
        lambda: f"Deliver {events} ({count['bytes']:,} bytes) of intake {intake}, {period}, again?",
        yes=yes,
    )
    result = run_command(config, "replay", given | {"batches": count["batches"]}, description="replaying")
    replayed = int(result["replayed"])
    are = verb(replayed, "is", "are")
    print_result(output, result, [f"{counted(replayed, 'event')} {are} queued for delivery again"])
