"""Configures every test run: `--long`, the import root, and the totals that `tests/run` adds up."""

from __future__ import annotations

import os
import signal
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline for examples: a busy machine is not a fault of the code.
settings.register_profile("syslog-bridge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("syslog-bridge")

# The tests import their helpers as `tests.harness`, `tests.peers`; importlib mode leaves sys.path alone.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from tests.harness import examples  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked `long`: the full numbers")


def pytest_configure(config: pytest.Config) -> None:
    examples.LONG = config.getoption("--long")
    # A shell starts background jobs with SIGINT ignored, and every program that a test starts would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        kept = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept
    if worker := getattr(config, "workerinput", None):
        items[:] = _distribute(items, worker["workercount"])


def _distribute(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Reorders the tests: `--dist=worksteal` gives each worker an equal piece of the list, and an idle worker takes
    tests from the end of another's piece. Each piece begins with its share of the heavy tests: none starts late.
    """
    heavy = sorted((item for item in items if _weight(item)), key=_weight, reverse=True)
    light = iter([item for item in items if not _weight(item)])
    pieces: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for item in heavy:
        min(pieces, key=lambda piece: sum(map(_weight, piece))).append(item)
    for i, piece in enumerate(pieces):
        size = len(items) * (i + 1) // workers - len(items) * i // workers
        piece.extend(islice(light, max(0, size - len(piece))))
    return [item for piece in pieces for item in piece] + list(light)


def _weight(item: pytest.Item) -> int:
    marker = item.get_closest_marker("weight")
    return marker.args[0] if marker else 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Appends this run's totals to the file that `tests/run` named."""
    file = os.environ.get("TESTS_RUN_TOTALS")
    if not file or hasattr(terminalreporter.config, "workerinput"):
        return  # the run itself adds up its workers
    stats = terminalreporter.stats
    count = {name: len(stats.get(name, ())) for name in ("passed", "xfailed", "failed", "error", "skipped")}
    # An expected failure counts as passed.
    passed, failed = count["passed"] + count["xfailed"], count["failed"] + count["error"]
    lines = [f"total {passed} {failed} {count['skipped']}"]
    lines += [f"skipped {_reason(report)}" for report in stats.get("skipped", ())]
    with Path(file).open("a") as totals:
        totals.writelines(f"{line}\n" for line in lines)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's longrepr is (path, line, "Skipped: reason").
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())
