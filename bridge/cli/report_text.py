"""A report for people and for spreadsheets, and in words what it cannot know."""

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
from bridge.config.faults import printable

NO_INTAKE = "(no intake)"
ALL = "(all together)"
_MOST_SHOWN = 10
"Reasons or times in a list; the rest are counted."

_COLUMNS = (
    ("carried over", "carried"), ("received", "received"), ("replayed", "replayed"), ("taken over", "taken"),
    ("moved here", "moved"),
    ("queued again", "again"),
    ("delivered", "delivered"), ("sent twice", "twice"), ("quarantined", "quarantined"), ("filtered", "filtered"),
    ("handed over", "handed"), ("dropped", "dropped"), ("held", "held"),
)  # fmt: skip
_ALWAYS = {"received", "delivered", "dropped", "held"}
"Columns that are shown even where they are all 0."

CSV_COLUMNS = (
    "intake", "carried_over", "received", "replayed", "queued_again", "unexplained", "delivered", "sent_twice",
    "quarantined", "filtered", "dropped", "held", "refused", "possible_duplicates", "unconfirmed", "receipts",
    "dropped_reasons", "refused_reasons", "moved_here", "taken_over", "handed_over",
)  # fmt: skip


def as_csv(report: Report) -> str:
    """A header, and a row an intake."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for intake, row in report.rows.items():
        writer.writerow(
            (
                intake, row.carried, row.received, row.replayed, row.again, row.unexplained, row.delivered, row.twice,
                row.quarantined, row.filtered, row.dropped.total(), row.held, row.refused, row.possible,
                row.unconfirmed, row.receipts, _listed(row.dropped, most=None), _listed(row.reasons, most=None),
                row.moved, row.taken, row.handed,
            )
        )  # fmt: skip
    return out.getvalue()


def as_text(report: Report, walk: JournalReader, *, period: str, whole: bool) -> Iterator[str]:
    """Lines below the table's heading; ``whole``: all intakes are in the report."""
    total = report.total()
    yield from _reasons(report)
    yield ""
    if whole:
        moved = total.quarantined
        yield (
            f"quarantine: {report.quarantine_begin:,} frames at the beginning, {moved:+,}, {report.quarantine_end:,} at"
            " the end"
        )
    lost = {name: count for name, count in report.kernel_drops.items() if count}
    yield "kernel drops: " + (_listed(Counter(lost), most=None) if lost else "none")
    unclean = report.unclean
    yield f"starts: {len(report.starts)}" + (
        f", {len(unclean)} after an unclean stop: {_some(unclean)}" if unclean else ""
    )
    yield f"receipts: {total.receipts:,} accepted requests with {total.receipted:,} events" + (
        f", of which {total.unconfirmed:,} were not named by the answer" if total.unconfirmed else ""
    )
    yield chain_verdict(walk)
    yield ""
    yield "What this report cannot know:"
    for text in unknowable(report, period):
        yield f"- {text}"


def table(report: Report, *, whole: bool, terminal: bool) -> str:
    """The accounts as a table; with colour and rules only for a terminal."""
    rows = [(NO_INTAKE if intake == UNROUTED else intake, row) for intake, row in report.rows.items()]
    if whole:
        rows.append((ALL, report.total()))
    columns = [(head, name) for head, name in _COLUMNS if name in _ALWAYS or any(_figure(row, name) for _, row in rows)]
    heads = ["intake", *(head for head, _ in columns)]
    cells = [[printable(intake), *(f"{_figure(row, name):,}" for _, name in columns)] for intake, row in rows]
    if terminal:
        return _rich(heads, cells, whole=whole)
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    return "\n".join(
        "  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))).rstrip() for row in (heads, *cells)
    )


def _rich(heads: Sequence[str], cells: Sequence[Sequence[str]], *, whole: bool) -> str:
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, head in enumerate(heads):
        made.add_column(head, justify="right" if at else "left", no_wrap=True)
    for at, row in enumerate(cells):
        made.add_row(*map(Text, row), style="bold" if whole and at == len(cells) - 1 else None)
    # As wide as it needs: a figure that is cut to fit would be another figure.
    console = Console(force_terminal=True, width=1000)
    with console.capture() as captured:
        console.print(made)
    return captured.get().rstrip("\n")


def chain_verdict(walk: JournalReader) -> str:
    """One line on the chain."""
    if walk.fault_count:
        more = f" (and {walk.fault_count - 1:,} more)" if walk.fault_count > 1 else ""
        return f"chain BROKEN: {printable(walk.faults[0])}{more}; {walk.lines:,} lines could be read"
    if not walk.lines:
        return "chain: there are no lines"
    begin = "" if walk.from_beginning else f" from {walk.first} on, what was before is not kept"
    return f"chain whole: {walk.lines:,} lines{begin}; the last is {walk.last_chain}"


def unknowable(report: Report, period: str) -> Iterator[str]:
    """What the figures leave open, for the period at hand."""
    yield (
        "what was lost before this host. Of datagrams lost in the host, kernel drops say how many; of messages that"
        " never came, only gaps in the senders' own sequence numbers."
    )
    yield (
        "whether someone who may write the ledger's folder has written it anew: keep the last chain elsewhere (this"
        " report names it), then a later report can be checked against it."
    )
    if report.unclean:
        yield (
            "what was filtered or dropped in the last minute before each unclean stop. What was received then is"
            " reconstructed from what the next start found and from the receipts; after a power cut some of these may"
            " be missing too."
        )
    if (possible := report.total().possible) > 0:
        yield f"whether {possible:,} events of requests without a known answer were accepted, and so came twice."
    if report.begins_at is not None:
        yield f"the accounts at the beginning of {period}: those of {_time(report.begins_at)} stand for them."
    if report.ends_at is not None:
        yield f"the accounts at the end of {period}: those of {_time(report.ends_at)} stand for them."
    if report.open_since is not None:
        yield (
            f"what came after the accounts of {_time(report.open_since)}, the last of a process that still runs or was"
            f" killed; {report.receipted_since:,} events have receipts since then."
        )
    if report.lost_lines:
        yield (
            f"what {report.lost_lines:,} lines said that could not be written (a full disk). Without its receipt, an"
            " event that was sent again after an unclean stop looks like one received and delivered anew."
        )
    if missing := report.total().delivered + report.total().twice - report.total().receipted:
        yield (
            f"who has taken {missing:,} delivered events: no receipt of the period names them."
            if missing > 0
            else (f"in which minute {-missing:,} events were delivered whose receipts lie in the period.")
        )
    for intake, row in report.rows.items():
        if row.unexplained:
            what = "more events than the stop before had left" if row.unexplained > 0 else "fewer events than were left"
            where = "in quarantine" if intake == UNROUTED else f"of intake {printable(intake)}"
            yield f"why a start found {abs(row.unexplained):,} {what} {where}: someone has touched the spool."
    if report.jumps:
        yield f"how long these intervals were, the clock was set or the machine slept: {_some(report.jumps)}."


def _reasons(report: Report) -> Iterator[str]:
    for title, name in (("dropped", "dropped"), ("refused by the collector", "reasons")):
        said = [(intake, getattr(row, name)) for intake, row in report.rows.items() if getattr(row, name).total()]
        if said:
            yield ""
            yield f"{title}:"
        for intake, reasons in said:
            yield f"  {NO_INTAKE if intake == UNROUTED else printable(intake)}: {_listed(reasons, most=_MOST_SHOWN)}"


def _figure(row: ReportRow, name: str) -> int:
    value = getattr(row, name)
    return value.total() if isinstance(value, Counter) else int(value)


def _listed(reasons: Counter[str], *, most: int | None) -> str:
    """``3 of this; 2 of that``"""
    told = [(reason, count) for reason, count in reasons.most_common() if count]
    shown = [f"{count:,} {printable(reason)}" for reason, count in told[:most]]
    left = len(told) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} more reasons" if left else "")


def _some(texts: Sequence[str]) -> str:
    left = len(texts) - _MOST_SHOWN
    return ", ".join(map(printable, texts[:_MOST_SHOWN])) + (f" and {left:,} more" if left > 0 else "")


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
