"""Formats a status as the one line that Nagios and compatible monitoring systems read from a plug-in.

The exit codes and the performance data are those of the Monitoring Plugins Development Guidelines.
"""

from collections.abc import Iterator
from typing import Any

from bridge.config.faults import printable
from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED, HEALTHY, NOTICE
from bridge.monitoring.problems import headline_of

EXIT_CODES = {HEALTHY: 0, DEGRADED: 1, CRITICAL: 2}
UNKNOWN = 3
WORDS = {0: "OK", 1: "WARNING", 2: "CRITICAL", UNKNOWN: "UNKNOWN"}
MAX_TEXT = 500
"Characters of the text, at most. Agents cut longer lines, and then the performance data is lost."


def line(status: dict[str, Any]) -> tuple[str, int]:
    """Returns the line for the status of a running bridge, and the exit code."""
    summary = headline_of(status)
    code = EXIT_CODES.get(summary["state"], UNKNOWN)
    problems = [problem for problem in summary["problems"] if problem["state"] != NOTICE]
    texts = [str(problem["text"]) for problem in problems]
    text = "; ".join(texts) if texts else summary["text"].removeprefix("Healthy: ")
    return _line(code, text, " ".join([*_performance_data(status), f"problems={len(problems)};;;0"])), code


def unknown(why: str) -> tuple[str, int]:
    """Returns the line and the exit code if the state of the bridge is not known."""
    return _line(UNKNOWN, why), UNKNOWN


def stopped(text: str) -> tuple[str, int]:
    """Returns the line and the exit code if the bridge does not run."""
    return _line(2, text), 2


def _line(code: int, text: str, performance_data: str = "") -> str:
    # A vertical bar begins the performance data, so the text must have none.
    cut = printable(" ".join(text.split())).replace("|", "/")
    cut = cut if len(cut) <= MAX_TEXT else f"{cut[: MAX_TEXT - 3]}..."
    return f"SYSLOG-BRIDGE {WORDS[code]} - {cut}{f' | {performance_data}' if performance_data else ''}"


def _performance_data(status: dict[str, Any]) -> Iterator[str]:
    """Yields ``label=value[unit];warn;crit;min;max``. The unit ``c`` is a counter."""
    ledger, intakes = status.get("ledger", {}), status.get("intakes", [])
    yield f"received={ledger.get('received', 0)}c;;;0"
    yield f"delivered={ledger.get('delivered', 0)}c;;;0"
    yield f"dropped={sum(ledger.get('dropped', {}).values())}c;;;0"
    yield f"kernel_drops={sum(status.get('kernel_drops', {}).values())}c;;;0"
    yield f"waiting={sum(row.get('backlog_events') or 0 for row in intakes)};;;0"
    oldest = max((row.get("oldest_seconds") or 0.0 for row in intakes), default=0.0)
    yield f"oldest={oldest:.1f}s;;;0"
    spool = status.get("spool", {})
    if isinstance(used := spool.get("bytes"), int):
        limit = spool.get("limit_bytes")
        yield f"spool={used}B;;;0;{limit if isinstance(limit, int) else ''}"
    yield f"rejected={sum(status.get('refused_connections', {}).values())}c;;;0"
