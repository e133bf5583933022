"""Implements ``syslog-bridge replay``: delivers events of the archive again."""

from datetime import datetime

import click

from bridge.cli.execute import confirm, run_command, yes_option
from bridge.cli.options import CliCommand, example, time, with_spool
from bridge.config import Config
from bridge.syslog.timestamps import milliseconds, rfc3339


@click.command(
    cls=CliCommand,
    epilog=example("syslog-bridge replay --intake linux --from 2026-11-23T07:00:00Z --to 2026-11-23T08:00:00Z"),
)
@with_spool
@click.option("--intake", required=True, metavar="NAME", help="Intake whose events are delivered to it again.")
@click.option("--from", "since", required=True, type=time, metavar="TIME", help="Start of the period of event times.")
@click.option("--to", "until", required=True, type=time, metavar="TIME", help="End of the period, not included.")
@yes_option
def replay(config: Config, intake: str, since: datetime, until: datetime, yes: bool) -> None:
    """Deliver archived events of an intake and a period again.

    Each event keeps its original time. Needs spool.archive:. Either all events are queued, or none. They are counted as
    replayed, and the collector receives them as new events. --from and --to are rounded down to
    batch.timestamp_resolution.
    """
    if until <= since:
        raise click.UsageError("--to must be after --from")
    from_ms, to_ms = milliseconds(since), milliseconds(until)
    given = {"intake": intake, "from_ms": from_ms, "to_ms": to_ms}
    count = run_command(config, "replay-count", given, description="counting")
    period = f"{rfc3339(from_ms)} to {rfc3339(to_ms)}"
    if not count["events"]:
        click.echo(f"the archive has no events of intake {intake} from {period}")
        raise SystemExit(1)
    confirm(
        f"Deliver {count['events']:,} events ({count['bytes']:,} bytes) of intake {intake}, {period}, again?", yes=yes
    )
    result = run_command(config, "replay", given | {"batches": count["batches"]}, description="replaying")
    click.echo(f"{result['replayed']:,} events are queued for delivery again")
