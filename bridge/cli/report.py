"""Implements ``syslog-bridge report``: accounts for all events of a period from the journal.

The command only reads files, so it works with and without a running bridge.
"""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime

import click

from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.rows import Report, ReportRow
from bridge.accounting.report.totals import ReportBuilder
from bridge.cli import report_rows, report_text
from bridge.cli.options import CliCommand, bundle, example, fail, output_option, with_spool
from bridge.cli.times import since_option, until_option
from bridge.config import Config
from bridge.config.faults import printable
from bridge.util.counts import counted, verb

FOLDER = ".ledger"
"Name of the journal's folder in the spool."


_FORMS = bundle(
    click.option("--daily", type=click.Choice((report_rows.BY_INTAKE, report_rows.BY_SOURCE)),
                 help="Print events and bytes per day instead, by intake or by source."),
    click.option("--actions", is_flag=True, help="Print what operators have changed, and who, instead."),
    output_option("csv", old={"--csv": "csv"},
                  help="With csv and json, the state of the hash chain goes to stderr."),
)  # fmt: skip


@click.command(
    cls=CliCommand,
    epilog=example(
        "syslog-bridge report --since 2026-03-01 --until 2026-04-01",
        "syslog-bridge report --since 2026-03-01 --daily source --output csv",
        "syslog-bridge report --actions",
    ),
)
@with_spool
@since_option(default="start of the journal")
@until_option(default="now")
@click.option("--intake", metavar="NAME", help="Only this intake; - for events without an intake.")
@_FORMS
def report(
    config: Config, since: datetime | None, until: datetime | None, intake: str | None, daily: str | None,
    actions: bool, output: str,
) -> None:  # fmt: skip
    """Account for every event of a period.

    Shows received, delivered, refused and dropped events, with the reasons. In each row: carried over + received +
    replayed + taken over + moved here + queued again = delivered + sent twice + quarantined + filtered + handed over +
    dropped + held. Days are UTC. Exit code 1 if the journal's hash chain is broken, files cannot be read, or a start
    found fewer events than there should be.

    The bytes of --daily intake are those of delivered events; those of --daily source are estimated from samples of the
    received messages.
    """
    if daily is not None and actions:
        raise click.UsageError("--daily cannot be combined with --actions")
    if intake is not None and (actions or daily == report_rows.BY_SOURCE):
        raise click.UsageError("--intake cannot be combined with --actions or --daily source")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    folder = config.spool.directory / FOLDER
    try:
        folder.stat()
    except FileNotFoundError:
        fail(f"report: the bridge has never run: there is no journal {folder}")
    journal = JournalReader(folder)
    result = build_report(journal, since, until)
    if intake is not None:
        result = _only(result, intake, config)
    if daily is not None:
        _print_volumes(result, daily, intake, output)
    elif actions:
        _print_actions(result, output)
    else:
        _print_totals(result, journal, _period(since, until), output, intake)
    if output != "text":
        click.echo(report_text.chain_verdict(journal), err=True)
    for fault in journal.faults:
        click.echo(f"report: {printable(fault)}", err=True)
    missing = -sum(min(0, row.unexplained) for row in result.rows.values())
    if missing:
        click.echo(
            f"report: {counted(missing, 'event')} {verb(missing, 'is', 'are')} missing. See the limits of this report",
            err=True,
        )
    if journal.fault_count or missing:
        raise SystemExit(1)


def _print_totals(result: Report, journal: JournalReader, period: str, output: str, intake: str | None) -> None:
    whole = intake is None
    if output == "csv":
        click.echo(report_text.as_csv(result), nl=False)
    elif output == "json":
        limits = list(report_text.limitations(result, period))
        verdict = report_text.chain_verdict(journal)
        click.echo(report_rows.report_as_json(result, journal, verdict=verdict, limits=limits, intake=intake))
    else:
        click.echo(f"{period[:1].upper()}{period[1:]}\n")
        click.echo(report_text.table(result, whole=whole, terminal=sys.stdout.isatty()))
        click.echo("\n".join(report_text.as_text(result, journal, period=period, whole=whole)))


def _print_volumes(result: Report, by: str, intake: str | None, output: str) -> None:
    if output == "text":
        click.echo("\n".join(report_rows.volumes_as_text(result, by, intake)))
        return
    rows = report_rows.volume_rows(result, by, intake)
    if output == "csv":
        click.echo(report_rows.as_csv(report_rows.heads(by), rows), nl=False)
    else:
        click.echo(report_rows.as_json(report_rows.heads(by), rows))


def _print_actions(result: Report, output: str) -> None:
    if output == "text":
        click.echo("\n".join(report_rows.actions_as_text(result)))
    elif output == "csv":
        click.echo(report_rows.as_csv(report_rows.action_heads(), report_rows.action_rows(result)), nl=False)
    else:
        click.echo(report_rows.actions_as_json(result))


def build_report(journal: JournalReader, begin: datetime | None, end: datetime | None) -> Report:
    """Builds the report of a period. Adds a fault to the reader for each line with an unknown format."""
    builder = ReportBuilder(begin, end)
    for place, fields in journal:
        try:
            builder.take(fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            journal.fault(f"{place}: invalid line of kind {fields['kind']!r}")
    return builder.finish()


def _only(result: Report, intake: str, config: Config) -> Report:
    if intake not in result.rows and intake not in config.intakes and intake != "-":
        known = ", ".join(sorted({*config.intakes, *result.rows} - {"-"}))
        raise click.UsageError(
            f"--intake: there is no intake {intake} in the configuration or the period. The intakes are {known}"
        )
    return replace(result, rows={intake: result.rows.get(intake, ReportRow())})


def _period(begin: datetime | None, end: datetime | None) -> str:
    since = "the start of the journal" if begin is None else _format_time(begin)
    return f"the period from {since} to {'now' if end is None else _format_time(end)}"


def _format_time(time: datetime) -> str:
    utc = time.astimezone(UTC)
    midnight = utc.time().replace(microsecond=0).isoformat() == "00:00:00"
    return date.isoformat(utc.date()) if midnight else utc.isoformat(timespec="seconds").replace("+00:00", "Z")
