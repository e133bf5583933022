"""For every test: `--long`, the import root, and the totals that `tests/run` adds up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example is judged by its time: a busy machine is no fault of the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# The tests import their helpers as `tests.harness`, `tests.peers`; importlib mode leaves sys.path alone.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked `long`: the full numbers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The longest begins first: at the end everybody else would wait for it.
    items.sort(key=lambda item: "test_long_outage" not in item.nodeid)
    if config.getoption("--long"):
        return
    kept = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Append this run's totals to the file that `tests/run` named."""
    file = os.environ.get("TESTS_RUN_TOTALS")
    if not file or hasattr(terminalreporter.config, "workerinput"):
        return  # the workers of a run are summed up by the run
    stats = terminalreporter.stats
    count = {name: len(stats.get(name, ())) for name in ("passed", "xfailed", "failed", "error", "skipped")}
    # An expected failure that failed is as it should be.
    passed, failed = count["passed"] + count["xfailed"], count["failed"] + count["error"]
    lines = [f"total {passed} {failed} {count['skipped']}"]
    lines += [f"skipped {_reason(report)}" for report in stats.get("skipped", ())]
    with Path(file).open("a") as totals:
        totals.writelines(f"{line}\n" for line in lines)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's longrepr is (path, line, "Skipped: reason").
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())
