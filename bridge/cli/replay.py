"""``syslog-bridge replay``: what was delivered, out of the archive, once more."""

from datetime import datetime
from pathlib import Path

import click

from bridge.cli.execute import act, confirmed, yes_option
from bridge.cli.options import configuration_option, loaded, time
from bridge.syslog.timestamps import milliseconds, rfc3339


@click.command(
    epilog="\b\nExample:\n  syslog-bridge replay --intake linux --from 2026-11-23T07:00:00Z --to 2026-11-23T08:00:00Z"
)
@configuration_option
@click.option("--intake", required=True, metavar="NAME", help="Of which intake; it goes there again.")
@click.option("--from", "since", required=True, type=time, metavar="TIME", help="Event times from this on.")
@click.option("--to", "until", required=True, type=time, metavar="TIME", help="Up to this, and not at it.")
@yes_option
def replay(file: Path, intake: str, since: datetime, until: datetime, yes: bool) -> None:
    """Deliver an intake's events of a period again, each with its original event time.

    It needs spool.archive:. All of them go to the spool, or none. The account has them as replayed; the collector gets
    them as new events. Times are rounded down to batch.timestamp_resolution.
    """
    config = loaded(file, secrets=False)
    if until <= since:
        raise click.UsageError("--to must be after --from")
    from_ms, to_ms = milliseconds(since), milliseconds(until)
    given = {"intake": intake, "from_ms": from_ms, "to_ms": to_ms}
    found = act(config, "replay-count", given, what="counting")
    period = f"{rfc3339(from_ms)} to {rfc3339(to_ms)}"
    if not found["events"]:
        click.echo(f"the archive has no events of intake {intake} from {period}")
        raise SystemExit(1)
    confirmed(
        f"Deliver {found['events']:,} events ({found['bytes']:,} bytes) of intake {intake}, {period}, again?", yes=yes
    )
    result = act(config, "replay", given | {"batches": found["batches"]}, what="replaying")
    click.echo(f"{result['replayed']:,} events are in the spool again")
