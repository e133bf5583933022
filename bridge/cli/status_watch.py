"""Shows the status in a terminal, updated every two seconds and limited to its height (``status --watch``)."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.cli.status_text import age, size
from bridge.config.faults import printable
from bridge.monitoring import headline

UPDATE_INTERVAL = 2.0
"Seconds between two updates."

_COLORS = {"well": "green", "attention": "yellow", "trouble": "red"}
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
    summary = headline.of(status)
    color = _COLORS[summary["state"]]
    # The problems come first, because rich cuts off the bottom of what does not fit the terminal.
    parts: list[RenderableType] = [
        Panel(_problems(summary), border_style=color, title=_plain(_title(status)), subtitle="Ctrl-C to quit")
    ]
    intakes = _table("Intake", "State", "In/s", "Out/s", "Waiting", "Oldest", "Last error")
    for row in status.get("intakes", []):
        state = str(row.get("state"))
        intakes.add_row(
            _plain(row.get("name")), Text(state, style=_STATES.get(state, "red")),
            _rate(row.get("received_per_second")), _rate(row.get("delivered_per_second")),
            f"{row.get('backlog_events', 0):,} ({size(row.get('backlog_bytes') or 0)})",
            age(row.get("oldest_seconds")), _plain(row.get("last_error") or ""),
        )  # fmt: skip
    parts.append(intakes)
    left = height - 8 - len(summary["problems"]) - len(status.get("intakes", [])) - 6
    sources = _table("Source", "Listener", "Intake", "Events", "Events/s", "Last seen", "Clock")
    for row in status.get("sources", [])[: max(3, left)]:
        remedy = row.get("clock_remedy")
        sources.add_row(
            _plain(row.get("name") or row.get("address")), _plain(row.get("listener")),
            _plain(row.get("intake") or "-"), f"{row.get('events', 0):,}",
            _rate(row.get("events_per_second")), f"{age(row.get('silent_seconds'))} ago",
            Text(printable(str(row.get("clock") or "-")), style="yellow" if remedy else ""),
        )  # fmt: skip
    parts.append(sources)
    return Group(*parts)


def _title(status: dict[str, Any]) -> str:
    return f"syslog-bridge on {status.get('gateway', '?')}, {str(status.get('taken', ''))[11:19]} UTC"


def _problems(summary: dict[str, Any]) -> Text:
    return Text("\n").join(_lines(summary))


def _lines(summary: dict[str, Any]) -> Iterator[Text]:
    yield Text(printable(summary["text"]), style="bold")
    for number, problem in enumerate(summary["problems"][:6]):
        if number:
            yield Text(printable(problem["text"]))
        if problem["remedy"]:
            yield Text(f"  remedy: {printable(problem['remedy'])}", style="dim")


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    for head in heads:
        table.add_column(
            head, justify="right" if head in _NUMBERS else "left", no_wrap=head not in _LONG, overflow="ellipsis"
        )
    return table


def _plain(value: object) -> Text:
    return Text(printable(str(value)))


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"
