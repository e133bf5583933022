"""Formats a report as text or CSV, and states the limits of its figures."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.accounting import UNROUTED
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.rows import Report, ReportRow
from bridge.cli.options import aligned
from bridge.config.faults import printable
from bridge.util.counts import counted, verb

NO_INTAKE = "(no intake)"
TOTAL = "(total)"
_MAX_LISTED = 10
"Maximum reasons or times in a list; the others are only counted."

_COLUMNS = (
    ("carried over", "carried"), ("received", "received"), ("replayed", "replayed"), ("taken over", "taken"),
    ("moved here", "moved"), ("queued again", "again"), ("delivered", "delivered"), ("sent twice", "twice"),
    ("quarantined", "quarantined"), ("filtered", "filtered"), ("handed over", "handed"), ("dropped", "dropped"),
    ("held", "held"),
)  # fmt: skip
_ALWAYS = {"received", "delivered", "dropped", "held"}
"Columns that are shown even if all their values are 0."

CSV_COLUMNS = (
    "intake", "carried_over", "received", "replayed", "queued_again", "unexplained", "delivered", "sent_twice",
    "quarantined", "filtered", "dropped", "held", "refused", "possible_duplicates", "unconfirmed", "receipts",
    "dropped_reasons", "refused_reasons", "moved_here", "taken_over", "handed_over", "delivered_bytes",
)  # fmt: skip


def as_csv(report: Report) -> str:
    """Returns CSV with a header and one row per intake."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for intake, row in report.rows.items():
        writer.writerow(
            (
                intake, row.carried, row.received, row.replayed, row.again, row.unexplained, row.delivered, row.twice,
                row.quarantined, row.filtered, row.dropped.total(), row.held, row.refused, row.possible,
                row.unconfirmed, row.receipts, _listed(row.dropped, most=None), _listed(row.reasons, most=None),
                row.moved, row.taken, row.handed, row.size,
            )
        )  # fmt: skip
    return out.getvalue()


def as_text(report: Report, journal: JournalReader, *, period: str, whole: bool) -> Iterator[str]:
    """Yields the lines below the table. ``whole``: the report has all intakes."""
    total = report.total()
    yield from _reasons(report)
    yield ""
    if whole:
        yield (
            f"quarantine: {counted(report.quarantine_begin, 'frame')} at the beginning, {total.quarantined:+,},"
            f" {report.quarantine_end:,} at the end"
        )
    drops = {name: count for name, count in report.kernel_drops.items() if count}
    yield "dropped by the kernel: " + (_listed(Counter(drops), most=None) if drops else "none")
    unclean = f", {len(report.unclean)} after an unclean stop: {_some(report.unclean)}" if report.unclean else ""
    offline = sum(start.offline for start in report.starts)
    commands = f". {counted(offline, 'command')} ran while the bridge was stopped" if offline else ""
    yield f"starts: {len(report.starts) - offline}{unclean}{commands}"
    yield f"receipts: {counted(total.receipts, 'accepted request')} with {counted(total.receipted, 'event')}" + (
        f"; the response did not name {total.unconfirmed:,} of them" if total.unconfirmed else ""
    )
    if whole and (actions := report.actions.all()):
        yield f'operator actions: {len(actions):,}. Run "syslog-bridge report --actions" to list them'
    yield chain_verdict(journal)
    yield ""
    yield "Limits of this report:"
    for text in limitations(report, period):
        yield f"- {text}"


def table(report: Report, *, whole: bool, terminal: bool) -> str:
    """Returns the totals as a table; ``terminal``: with styles and lines."""
    rows = [(NO_INTAKE if intake == UNROUTED else intake, row) for intake, row in report.rows.items()]
    if whole:
        rows.append((TOTAL, report.total()))
    columns = [(head, name) for head, name in _COLUMNS if name in _ALWAYS or any(_figure(row, name) for _, row in rows)]
    heads = ["intake", *(head for head, _ in columns)]
    cells = [[printable(intake), *(f"{_figure(row, name):,}" for _, name in columns)] for intake, row in rows]
    if terminal:
        return _rich(heads, cells, whole=whole)
    return "\n".join(aligned((heads, *cells), numbers=True))


def _rich(heads: Sequence[str], cells: Sequence[Sequence[str]], *, whole: bool) -> str:
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(heads):
        drawn.add_column(head, justify="right" if index else "left", no_wrap=True)
    for index, row in enumerate(cells):
        drawn.add_row(*map(Text, row), style="bold" if whole and index == len(cells) - 1 else None)
    # Do not limit the width: a truncated figure would be read as a different figure.
    console = Console(force_terminal=True, width=1000)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().rstrip("\n")


def chain_verdict(journal: JournalReader) -> str:
    """Returns one line about the state of the hash chain."""
    if journal.fault_count:
        more = f" (and {journal.fault_count - 1:,} more)" if journal.fault_count > 1 else ""
        return f"hash chain BROKEN: {printable(journal.faults[0])}{more}; {counted(journal.lines, 'line')} read"
    if not journal.lines:
        return "hash chain: the journal has no lines"
    begin = "" if journal.from_beginning else f" from {journal.first} on; older lines are deleted"
    return f"hash chain intact: {counted(journal.lines, 'line')}{begin}; the last hash is {journal.last_chain}"


def limitations(report: Report, period: str) -> Iterator[str]:
    """Yields what the figures do not show, for the period of the report."""
    yield (
        "Losses before this host are not counted. For datagrams lost in this host, see dropped by the kernel. For"
        " messages lost on the way, see gaps in the senders' own sequence numbers."
    )
    yield (
        "A user who may write to the journal's folder can rewrite it completely. To detect that, keep the last hash of"
        " this report in another place and compare it with a later journal."
    )
    if report.unclean:
        yield (
            "Events filtered or dropped in the last minute before each unclean stop are missing. Received events of"
            " that minute are reconstructed from the spool and the receipts; after a power failure some of them may"
            " also be missing."
        )
    if (possible := report.total().possible) > 0:
        yield (
            f"Possible duplicates: {counted(possible, 'event')}. The responses to their requests are unknown, so they"
            " were sent again and may have been delivered twice."
        )
    if report.begins_at is not None:
        yield f"The beginning of {period} has no totals. The report uses those of {_time(report.begins_at)}."
    if report.ends_at is not None:
        yield f"The end of {period} has no totals. The report uses those of {_time(report.ends_at)}."
    if report.open_since is not None:
        yield (
            f"Events after {_time(report.open_since)} are not in the totals: a process still runs or was killed after"
            f" it wrote them. Receipts since then are of {counted(report.receipted_since, 'event')}."
        )
    if report.lost_lines:
        yield (
            f"{counted(report.lost_lines, 'line')} could not be written to the journal (the disk was full). If the"
            " receipt of an event is missing and the event was sent again after an unclean stop, it counts as received"
            " and delivered twice."
        )
    yield from _unknown_kinds(report)
    if missing := report.total().delivered + report.total().twice - report.total().receipted:
        yield (
            f"{counted(missing, 'delivered event')} without a receipt in the period."
            if missing > 0
            else (
                f"{counted(-missing, 'event')} with a receipt in the period that the totals of the period do not count"
                " as delivered."
            )
        )
    for intake, row in report.rows.items():
        if row.unexplained:
            more = row.unexplained > 0
            change = counted(abs(row.unexplained), f"{'more' if more else 'fewer'} event")
            left = "the stop before had left" if more else "were left"
            where = "in quarantine" if intake == UNROUTED else f"of intake {printable(intake)}"
            yield f"A start found {change} than {left} {where}: the files of the spool were changed."
    if report.jumps:
        yield (
            "The length of these intervals is unknown, because the clock was set or the machine was suspended:"
            f" {_some(report.jumps)}."
        )


def _unknown_kinds(report: Report) -> Iterator[str]:
    if unknown := report.unknown_kinds.total():
        yield (
            f"{counted(unknown, 'line')} of the journal {verb(unknown, 'is', 'are')} of a kind that this version does"
            f" not know ({_some(list(report.unknown_kinds))}): a later version has probably written"
            f" {verb(unknown, 'it', 'them')}."
        )


def _reasons(report: Report) -> Iterator[str]:
    for title, name in (("dropped", "dropped"), ("refused by the collector", "reasons")):
        affected = [(intake, getattr(row, name)) for intake, row in report.rows.items() if getattr(row, name).total()]
        if affected:
            yield ""
            yield f"{title}:"
        for intake, reasons in affected:
            yield f"  {NO_INTAKE if intake == UNROUTED else printable(intake)}: {_listed(reasons, most=_MAX_LISTED)}"


def _figure(row: ReportRow, name: str) -> int:
    value = getattr(row, name)
    return value.total() if isinstance(value, Counter) else int(value)


def _listed(reasons: Counter[str], *, most: int | None) -> str:
    """Returns the counts and reasons, the largest first: ``3 reason; 2 other``."""
    counted = [(reason, count) for reason, count in reasons.most_common() if count]
    shown = [f"{count:,} {printable(reason)}" for reason, count in counted[:most]]
    left = len(counted) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} more reasons" if left else "")


def _some(texts: Sequence[str]) -> str:
    left = len(texts) - _MAX_LISTED
    return ", ".join(map(printable, texts[:_MAX_LISTED])) + (f" and {left:,} more" if left > 0 else "")


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
