"""Formats the status of a running bridge so that a usual site fits a screen of 24 lines at 80 columns.

From the top: health, intakes with their rates, what was received, delivered and waits, then what needs attention.
``status --sources`` (``status_text``) shows everything.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.cli.options import aligned
from bridge.cli.status_text import age, counts_text, rate_text, spool_line, wrapped
from bridge.config.faults import printable
from bridge.monitoring.problems import headline_of
from bridge.util.counts import counted

WIDTH = 80
HEIGHT = 23
"Lines of a screen, without the prompt of the shell."
MAX_INTAKES, MAX_WITH_PROBLEMS = 8, 5
"Rows of the table of intakes, without and with other problems than that of the first sentence."
MAX_NAME = 24
"Characters of an intake's name that are shown."

_HEADS = ("intake", "state", "in/s", "out/s", "delivered", "waiting", "oldest")
_GOOD_STATES = ("idle", "delivering")

JSON = dict[str, Any]


def screen(status: JSON, *, width: int | None = None) -> str:
    """Returns the lines for a terminal of ``width`` columns. None: sentences are not wrapped, as for a pipe."""
    summary = headline_of(status)
    first, others = _problems(summary)
    health = [printable(summary["text"]), *first]
    rows = MAX_WITH_PROBLEMS if others else MAX_INTAKES
    middle = ["", *_intakes(status.get("intakes", []), rows), "", *_totals(status)]
    # The other lines: the title of what needs attention, the last line, and an empty line before each.
    left = HEIGHT - _lines(health) - _lines(middle) - 4
    shown, left_out = _fitting(others, left)
    attention = ["", "Needs attention", *shown] if shown else []
    more = f"... and {counted(left_out, 'more problem')}. " if left_out else ""
    end = f"{more}Details: syslog-bridge status --sources"
    return "\n".join(wrapped([*health, *middle, *attention, "", end], width))


def _problems(summary: JSON) -> tuple[list[str], list[list[str]]]:
    """Returns the remedy of the problem in the first sentence, and the lines of each other problem."""
    first: list[str] = []
    others: list[list[str]] = []
    for problem in summary["problems"]:
        remedy = [f"  remedy: {printable(problem['remedy'])}"] if problem["remedy"] else []
        # A sentence that begins with "Healthy" has no text of a notice.
        if not first and not others and summary["text"].startswith(problem["text"]):
            first = remedy
        else:
            others.append([f"! {printable(problem['text'])}", *remedy])
    return first, others


def _fitting(problems: Sequence[list[str]], left: int) -> tuple[list[str], int]:
    """Returns the lines of the problems that fit, at least of one, and the number of the others."""
    shown: list[str] = []
    for position, lines in enumerate(problems):
        if position and _lines([*shown, *lines]) > left:
            return shown, len(problems) - position
        shown += lines
    return shown, 0


def _intakes(rows: Sequence[JSON], most: int) -> list[str]:
    """Returns the table: intakes with a problem first, then those with waiting events, then the busiest."""
    if not rows:
        return ["no intakes"]
    ordered = sorted(
        rows, key=lambda row: (row.get("state") in _GOOD_STATES, -_late(row), -(row.get("received_per_second") or 0.0))
    )
    count = len(rows) if len(rows) <= most else most - 1
    table = aligned([_HEADS, *map(_cells, ordered[:count])], numbers=True)
    return table if count == len(rows) else [*table, f"... and {counted(len(rows) - count, 'more intake')}"]


def _late(row: JSON) -> int:
    """Returns the waiting events of an intake; 0 if it delivers, where waiting events are in transit."""
    return 0 if row.get("state") in _GOOD_STATES else int(row.get("backlog_events") or 0)


def _cells(row: JSON) -> tuple[str, ...]:
    name = printable(str(row.get("name")))
    return (
        name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}...",
        printable(str(row.get("state"))),
        rate_text(row.get("received_per_second")), rate_text(row.get("delivered_per_second")),
        _count(row.get("delivered")), _count(row.get("backlog_events")), age(row.get("oldest_seconds")),
    )  # fmt: skip


def _count(value: int | None) -> str:
    """Formats a number in at most seven characters, such as 999,999 or 12.3 M."""
    if value is None:
        return "-"
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:,}"


def _totals(status: JSON) -> Iterable[str]:
    ledger = status.get("ledger", {})
    waiting = sum(int(ledger.get(name) or 0) for name in ("spooled", "buffered"))
    dropped = ledger.get("dropped", {})
    parts = [
        f"received {_count(ledger.get('received'))}", f"delivered {_count(ledger.get('delivered'))}",
        f"waiting {_count(waiting)}", f"quarantined {_count(ledger.get('quarantined'))}",
        f"dropped {_count(sum(dropped.values()))}" + (f" ({counts_text(dropped)})" if any(dropped.values()) else ""),
    ]  # fmt: skip
    yield f"since start: {', '.join(parts)}"
    yield from spool_line(status.get("spool"))


def _lines(lines: Iterable[str]) -> int:
    return len(wrapped(lines, WIDTH))
