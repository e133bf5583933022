"""Formats all of a status as text: one sentence first, then tables. Only the keys of the contract are required."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any

from bridge.cli.options import aligned
from bridge.config.faults import printable
from bridge.monitoring.problems import headline_of
from bridge.monitoring.problems.space import full_in, limit_text
from bridge.util.counts import counted, verb
from bridge.util.spans import size

_MAX_ROWS = 30
_MAX_ENDED = 5


def of_running(status: dict[str, Any], *, width: int | None = None) -> str:
    """Formats the status of a running bridge (``/api/status``).

    Sentences, but not tables, are wrapped for a terminal of ``width`` columns. None: they are not, as for a pipe.
    """
    summary = headline_of(status)
    lines = [*wrapped(_headline(summary), width), *_ended(summary), *_listeners(status)]
    lines += _intakes(status.get("intakes", []))
    if spool := spool_line(status.get("spool")):
        lines += ["", *wrapped(spool, width)]
    lines += _cluster_node(status.get("fleet"))
    counts = status.get("sources_count", {})
    heads = ("address", "listener", "route", "intake", "events", "last seen", "clock")
    lines += _table("sources", heads, map(_source, status.get("sources", [])), counts.get("total"))
    clocks = (
        (row.get("name") or row.get("address"), row.get("text"), row.get("remedy")) for row in status.get("clocks", [])
    )
    lines += _table("wrong clocks", ("source", "offset", "remedy"), clocks, counts.get("clock"))
    keys = ("address", "listener", "events", "last_seen")
    unrouted = (map(row.get, keys) for row in status.get("unrouted", []))
    lines += _table("unrouted", ("address", "listener", "events", "last seen"), unrouted)
    keyed = (map(row.get, keys[:3]) for row in status.get("sources_with_intake_keys", []))
    lines += _table("intake key in the text (removed; change the template of the relay)", keys[:3], keyed)
    columns: tuple[str, ...] = ("source", "listener", "intake", "payload", "structured data", "format that fits")
    unsent = (
        (source_of(row), *map(row.get, columns[1:4]), ", ".join(row.get("ids", [])), row.get("format"))
        for row in status.get("unsent_structured_data", [])
    )
    total = counts.get("unsent_data")
    lines += _table("structured data that events do not have (payload: auto sends it)", columns, unsent, total)
    refused = (
        (", ".join(row.get("names", [])), *map(row.get, ("listener", "address", "last_seen", "pattern")))
        for row in status.get("clients_not_in_client_names", [])
    )
    columns = ("client", "listener", "address", "last seen", "pattern to accept it")
    total = status.get("clients_not_in_client_names_count")
    lines += _table("clients that client_names refuses", columns, refused, total)
    lines += ["", *wrapped(_ledger(status.get("ledger", {})), width, indent=14)]
    for name, title in (
        ("quarantine", "quarantined: "), ("redactions", "redacted: "),
        ("match_limit_exceeded", "match limit exceeded: "), ("truncated", "truncated: "),
        ("possible_duplicates", "possible duplicates: "),
    ):  # fmt: skip
        table = status.get(name)
        if isinstance(table, dict) and any(table.values()):
            lines.append(f"{title}{counts_text(table)}")
    return "\n".join(lines)


def of_files(status: dict[str, Any]) -> str:
    """Formats the status of a spool without a running bridge."""
    waiting = sum(row["backlog_events"] for row in status["intakes"])
    backlog = (
        f"{counted(waiting, 'event')} {verb(waiting, 'waits', 'wait')} in {status['spool']}"
        if waiting
        else f"no events wait in {status['spool']}"
    )
    lines = [f"The bridge is not running; {backlog}."]
    lines += _intakes(status["intakes"])
    if any(status["quarantine"].values()):
        lines += ["", f"quarantined: {counts_text(status['quarantine'])}"]
    if status["possible_duplicates"]:
        lines.append(
            f"possible duplicates: {status['possible_duplicates']:,} of these events may have been accepted already"
        )
    if status["foreign_files"]:
        are = verb(status["foreign_files"], "is no batch", "are no batches")
        them = verb(status["foreign_files"], "it", "them")
        lines.append(f"{counted(status['foreign_files'], 'file')} {are}: the next start moves {them} to quarantine")
    if status.get("unreadable_files"):
        their = verb(status["unreadable_files"], "its", "their")
        lines.append(
            f"{counted(status['unreadable_files'], 'file')} cannot be read: {their} events are not counted above"
        )
    return "\n".join(lines)


def _headline(summary: dict[str, Any]) -> Iterator[str]:
    """Yields the first sentence with its remedy, and a line for each problem that is not in it, with its remedy."""
    yield printable(summary["text"])
    for problem in summary["problems"][:_MAX_ROWS]:
        # A sentence that begins with "Healthy" has no text of a notice.
        if not summary["text"].startswith(problem["text"]):
            yield f"! {printable(problem['text'])}"
        if problem["remedy"]:
            yield f"  remedy: {printable(problem['remedy'])}"
    if (more := len(summary["problems"]) - _MAX_ROWS) > 0:
        yield f"... and {counted(more, 'more problem')}; use --output json to see all"


def wrapped(lines: Iterable[str], width: int | None, *, indent: int = 2) -> list[str]:
    """Breaks lines between words; the further lines are indented, by default as the remedy of a problem."""
    if width is None:
        return list(lines)
    return [
        part for line in lines
        for part in wrap(line, width, subsequent_indent=" " * indent, break_on_hyphens=False)
        or [""]
    ]  # fmt: skip


def _ended(summary: dict[str, Any]) -> list[str]:
    rows = ((row["ended"], row["since"] or "-", row["text"]) for row in summary["ended"][:_MAX_ENDED])
    return _table("ended", ("ended", "began", "problem"), rows, len(summary["ended"]))


def spool_line(spool: object) -> list[str]:
    """Returns a line with the room in the spool, and when it is full; none if it is not known."""
    if not isinstance(spool, dict) or not spool.get("limit_bytes"):
        return []
    used = f"{size(spool['bytes'])} of {size(spool['limit_bytes'])} used ({limit_text(spool)})"
    return [f"spool: {used}; {full_in(spool.get('full_in_seconds'))}"]


def _listeners(status: dict[str, Any]) -> list[str]:
    listeners = status.get("listeners")
    if not isinstance(listeners, dict):
        return []
    drops, rejected = status.get("kernel_drops"), status.get("refused_connections")
    details = status.get("listener_details") or {}
    # A Unix socket has a path instead of a port.
    rows = [
        (name, str(port or details.get(name, {}).get("address", "-")), _value(drops, name), _value(rejected, name))
        for name, port in listeners.items()
    ]
    return _table("listeners", ("name", "port", "dropped by the kernel", "rejected connections"), rows)


def _value(table: object, name: str) -> object:
    return table.get(name, 0) if isinstance(table, dict) else 0


def _intakes(intakes: Sequence[dict[str, Any]]) -> list[str]:
    rows = (
        (
            row.get("name"), row.get("state"), row.get("backlog_events"), size(row.get("backlog_bytes") or 0),
            age(row.get("oldest_seconds")), row.get("last_error") or "",
        )
        for row in intakes
    )  # fmt: skip
    return _table("intakes", ("name", "state", "events", "bytes", "oldest", "last error"), rows)


def _cluster_node(cluster_node: object) -> list[str]:
    if not isinstance(cluster_node, dict):
        return []
    rows = (
        (
            row.get("intake"), row.get("batches"), row.get("couriers"), row.get("handed_over"), row.get("taken_over"),
            row.get("trouble") or "",
        )
        for row in cluster_node.get("queues", [])
    )  # fmt: skip
    table = _table(
        f"shared backlog: {printable(str(cluster_node.get('broker')))}",
        ("intake", "batches in queue", "couriers", "handed over", "taken over", "last error"), rows,
    )  # fmt: skip
    alone = cluster_node.get("alone") or []
    local = [f"  delivered by this node alone: {printable(', '.join(alone))}"] if alone else []
    couriers = cluster_node.get("couriers")
    shares = "one courier has the request rate" if couriers == 1 else f"{couriers} couriers share the request rate"
    return [*table, *local, f"  role {cluster_node.get('role')}; {shares}"]


def source_of(row: dict[str, Any]) -> str:
    """Returns the address of a source, and its name if it has one."""
    name = f" ({row['name']})" if row.get("name") else ""
    return f"{row.get('address')}{name}"


def _source(row: dict[str, Any]) -> tuple[object, ...]:
    offset, clock = row.get("clock_offset_seconds"), row.get("clock")
    return (
        source_of(row), row.get("listener"), row.get("route"), row.get("intake"), row.get("events"),
        row.get("last_seen"), clock or ("" if offset is None else f"{round(offset):+,} s"),
    )  # fmt: skip


def _ledger(ledger: dict[str, Any]) -> Iterator[str]:
    from bridge.accounting.ledger import IN, OUT  # noqa: PLC0415  imports the spool, which the short status does not need

    # These counters exist only if the backlog is shared. Do not show them as 0 otherwise.
    unused = {name for name in ("taken_over", "handed_over") if not ledger.get(name)}
    left = [name for name in IN if name in ledger and name not in unused]
    right = [name for name in OUT if name in ledger and name not in unused]
    yield "ledger   in:  " + ", ".join(f"{name} {ledger[name]:,}" for name in left)
    dropped = ledger.get("dropped", {})
    drops = f", dropped {sum(dropped.values()):,}" + (f" ({counts_text(dropped)})" if dropped else "")
    yield "         out: " + ", ".join(f"{name} {ledger[name]:,}" for name in right) + drops


def counts_text(table: dict[str, int]) -> str:
    """Lists the counts of a table that are not 0."""
    return ", ".join(f"{name} {count:,}" for name, count in table.items() if count)


def _table(title: str, heads: Sequence[str], rows: Iterable[Iterable[object]], total: int | None = None) -> list[str]:
    """Returns the lines of a table, none if it has no rows. ``total``: number of rows, if ``rows`` has not all."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return []
    shown = cells[:_MAX_ROWS]
    left_out = (total or len(cells)) - len(shown)
    hint = "; use --output json to see all" if len(cells) > _MAX_ROWS else ""
    more = [f"  ... and {left_out:,} more{hint}"] if left_out > 0 else []
    return ["", title, *(f"  {line}" for line in aligned((heads, *shown))), *more]


def _cell(value: object) -> str:
    # Error texts and names come from other hosts. Control characters in them must not reach the terminal.
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else printable(str(value))


def rate_text(value: float | None) -> str:
    """Formats a rate in events per second; ``-`` if it is not known."""
    return "-" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def age(seconds: float | None) -> str:
    """Formats a duration in its two largest units, such as ``3 m 20 s``; ``-`` for None."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, length, below, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // smaller} {below}"
    return f"{whole} s"
