"""``syslog-bridge report``: from the ledger's history, what came in, where it went, what was refused and why.

It reads files only and changes none, so it works beside a running bridge and without one.
"""

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import click

from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.rows import Report, ReportRow
from bridge.accounting.report.totals import ReportBuilder
from bridge.cli import report_text
from bridge.cli.options import configuration_option, failed, loaded
from bridge.config import Config
from bridge.config.faults import printable

FOLDER = ".ledger"
"Of the history, in the spool."


def moment(text: str) -> datetime:
    """A day, that begins at midnight UTC, or an RFC 3339 time; without an offset it is UTC."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        right = "a day or a time, such as 2026-03-01 or 2026-03-01T07:24:00Z"
        raise click.BadParameter(f"'{text}' is not {right}") from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


@click.command(epilog="\b\nExample:\n  syslog-bridge report --from 2026-03-01 --to 2026-04-01")
@configuration_option
@click.option(
    "--from", "begin", metavar="TIME", type=moment, help="A day or an RFC 3339 time.  [default: all there is]"
)
@click.option("--to", "end", metavar="TIME", type=moment, help="The same; not included.  [default: all there is]")
@click.option("--intake", metavar="NAME", help="Only this intake; - is what belongs to none.")
@click.option("--csv", "as_csv", is_flag=True, help="A header and a row an intake; the chain's verdict goes to stderr.")
def report(file: Path, begin: datetime | None, end: datetime | None, intake: str | None, as_csv: bool) -> None:
    """Account for every event of a period: what came in, where it went, what was refused and why.

    In each row: carried over + received + replayed + taken over + moved here + queued again = delivered + sent twice +
    quarantined + filtered + handed over + dropped + held. Days are UTC. Exit code 1 if the history's chain is broken or
    files cannot be read.
    """
    if begin is not None and end is not None and begin >= end:
        raise click.UsageError("--from must be before --to")
    config = loaded(file, secrets=False)
    folder = config.spool.directory / FOLDER
    try:
        folder.stat()
    except FileNotFoundError:
        failed(f"report: there is no journal {folder}: the bridge has never run")
    except OSError as error:
        remedy = "; only the bridge's own user and root may look" if isinstance(error, PermissionError) else ""
        failed(f"report: {folder}: {error.strerror}{remedy}")
    walk = JournalReader(folder)
    found = reckoned(walk, begin, end)
    if intake is not None:
        found = _only(found, intake, config)
    period = _period(begin, end)
    whole = intake is None
    if as_csv:
        click.echo(report_text.as_csv(found), nl=False)
        click.echo(report_text.chain_verdict(walk), err=True)
    else:
        click.echo(f"{period[:1].upper()}{period[1:]}\n")
        click.echo(report_text.table(found, whole=whole, terminal=sys.stdout.isatty()))
        click.echo("\n".join(report_text.as_text(found, walk, period=period, whole=whole)))
    for fault in walk.faults:
        click.echo(f"report: {printable(fault)}", err=True)
    if walk.fault_count:
        raise SystemExit(1)


def reckoned(walk: JournalReader, begin: datetime | None, end: datetime | None) -> Report:
    """The account of a period; lines that are not of the format are faults of the walk."""
    reckoning = ReportBuilder(begin, end)
    for line in walk:
        try:
            reckoning.take(line.fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            walk.fault(f"{line.place}: a line of kind {line.fields['kind']!r} that cannot be understood")
    return reckoning.finish()


def _only(found: Report, intake: str, config: Config) -> Report:
    if intake not in found.rows and intake not in config.intakes and intake != "-":
        known = ", ".join(sorted({*config.intakes, *found.rows} - {"-"}))
        raise click.UsageError(f"--intake: there is no intake {intake} in the configuration or the period; {known}")
    found.rows = {intake: found.rows.get(intake, ReportRow())}
    return found


def _period(begin: datetime | None, end: datetime | None) -> str:
    since = "the beginning" if begin is None else _shown(begin)
    return f"the period from {since} to {'now' if end is None else _shown(end)}"


def _shown(time: datetime) -> str:
    utc = time.astimezone(UTC)
    midnight = utc.time().replace(microsecond=0).isoformat() == "00:00:00"
    return date.isoformat(utc.date()) if midnight else utc.isoformat(timespec="seconds").replace("+00:00", "Z")
