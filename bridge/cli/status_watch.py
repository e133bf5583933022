"""Shows the status in a terminal, updated every two seconds and limited to its height (``status --watch``)."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.cli.status_text import age, rate_text
from bridge.config.faults import printable
from bridge.monitoring.problems import headline_of
from bridge.util.spans import size

UPDATE_INTERVAL = 2.0
"Seconds between two updates."

_COLORS = {"healthy": "green", "degraded": "yellow", "critical": "red"}
_NUMBERS = ("In/s", "Out/s", "Waiting", "Events", "Events/s")
_LONG = ("Last error", "Clock")
_STATES = {"idle": "green", "delivering": "green"}


def watch(read_status: Callable[[], dict[str, Any]], console: Console) -> None:
    """Shows the status until Ctrl-C. Does not catch the errors of ``read_status``."""
    try:
        with Live(screen(read_status(), console.height), console=console, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(UPDATE_INTERVAL)
                live.update(screen(read_status(), console.height), refresh=True)
    except KeyboardInterrupt:
        return


def screen(status: dict[str, Any], height: int) -> RenderableType:
    """Draws one screen. Text of the status is not read as markup, and control characters are escaped."""
    summary = headline_of(status)
    # The problems come first, because rich cuts off the bottom of what does not fit the terminal.
    title = f"syslog-bridge on {status.get('gateway', '?')}, {str(status.get('taken', ''))[11:19]} UTC"
    panel = Panel(
        _problems(summary), border_style=_COLORS[summary["state"]], title=_plain(title), subtitle="Ctrl-C to quit"
    )
    intakes = _table("Intake", "State", "In/s", "Out/s", "Waiting", "Oldest", "Last error")
    for row in status.get("intakes", []):
        state = str(row.get("state"))
        intakes.add_row(
            _plain(row.get("name")), Text(state, style=_STATES.get(state, "red")),
            rate_text(row.get("received_per_second")), rate_text(row.get("delivered_per_second")),
            f"{row.get('backlog_events', 0):,} ({size(row.get('backlog_bytes') or 0)})",
            age(row.get("oldest_seconds")), _plain(row.get("last_error") or ""),
        )  # fmt: skip
    left = height - 8 - len(summary["problems"]) - len(status.get("intakes", [])) - 6
    sources = _table("Source", "Listener", "Intake", "Events", "Events/s", "Last seen", "Clock")
    for row in status.get("sources", [])[: max(3, left)]:
        remedy = row.get("clock_remedy")
        sources.add_row(
            _plain(row.get("name") or row.get("address")), _plain(row.get("listener")),
            _plain(row.get("intake") or "-"), f"{row.get('events', 0):,}",
            rate_text(row.get("events_per_second")), f"{age(row.get('silent_seconds'))} ago",
            Text(printable(str(row.get("clock") or "-")), style="yellow" if remedy else ""),
        )  # fmt: skip
    return Group(panel, intakes, sources)


def _problems(summary: dict[str, Any]) -> Text:
    lines = [Text(printable(summary["text"]), style="bold")]
    for problem in summary["problems"][:6]:
        if not summary["text"].startswith(problem["text"]):
            lines.append(Text(printable(problem["text"])))
        if problem["remedy"]:
            lines.append(Text(f"  remedy: {printable(problem['remedy'])}", style="dim"))
    return Text("\n").join(lines)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    for head in heads:
        table.add_column(
            head, justify="right" if head in _NUMBERS else "left", no_wrap=head not in _LONG, overflow="ellipsis"
        )
    return table


def _plain(value: object) -> Text:
    return Text(printable(str(value)))
