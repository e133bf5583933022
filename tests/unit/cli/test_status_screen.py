"""Tests that ``status`` fits a screen, shows what matters first, and imports neither spool nor parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.cli.status_screen import screen
from tests.harness.imported import run_and_list_modules
from tests.harness.status_server import running_bridge

REMEDY = "check the network between the gateway and the collector, then run syslog-bridge check --connect"


def intake(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "name": f"intake-{number}", "state": "delivering", "received_per_second": 100.0 + number,
        "delivered_per_second": 99.5, "delivered": 12_345_678, "backlog_events": 7, "backlog_bytes": 700,
        "oldest_seconds": 0.4, "last_error": None,
    } | changed  # fmt: skip


def problem(number: int) -> dict[str, Any]:
    return {
        "state": "degraded", "severity": "degraded", "kind": "silence", "since": None, "affected": [],
        "text": f"Source 192.0.2.{number} (branch-office-firewall-{number}) has sent nothing for 3 h 20 m.",
        "remedy": REMEDY,
    }  # fmt: skip


def status(intakes: list[dict[str, Any]], problems: list[dict[str, Any]]) -> dict[str, Any]:
    text = f"{problems[0]['text']} And {len(problems) - 1} more problems below." if problems else "Healthy: all well."
    return {
        "headline": {
            "state": "degraded" if problems else "healthy", "text": text, "problems": problems, "ended": [],
        },
        "ledger": {
            "received": 98_765_432, "delivered": 98_765_000, "spooled": 400, "buffered": 0, "quarantined": 32,
            "dropped": {"purged": 3},
        },
        "intakes": intakes,
        "spool": {"bytes": 3_000_000, "limit_bytes": 9 << 30, "max_size_bytes": 9 << 30, "full_in_seconds": None},
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 8, 60])
@pytest.mark.parametrize("problems", [0, 1, 3, 40])
def test_status_fits_24_lines_at_80_columns(count: int, problems: int) -> None:
    shown = screen(status([intake(n) for n in range(count)], [problem(n) for n in range(problems)]), width=80)
    lines = shown.splitlines()
    assert len(lines) < 24, shown
    assert max(map(len, lines)) <= 80
    assert "since start: received 98.8 M, delivered 98.8 M, waiting 400, quarantined 32, dropped 3 (purged 3)" in (
        " ".join(shown.split())
    )
    if count == 60:
        assert f"... and {56 if problems > 1 else 53} more intakes" in shown
    if problems == 40:
        assert "more problems" in lines[-1] + lines[-2]
    assert "status --sources" in shown


def test_order_is_health_intakes_totals_attention() -> None:
    shown = screen(status([intake(1)], [problem(1), problem(2)]))
    places = [shown.index(text) for text in ("192.0.2.1 ", "remedy:", "intake-1", "since start:", "Needs attention")]
    assert places == sorted(places)
    assert shown.count("192.0.2.1 ") == 1, "the problem of the first sentence is not repeated"
    assert shown.index("192.0.2.2 ") > places[-1]


def test_intakes_with_a_problem_come_first_and_long_names_are_cut() -> None:
    rows = [intake(n) for n in range(20)] + [intake(99, name="x" * 64, state="parked", backlog_events=5_000)]
    table = screen(status(rows, [])).split("\n\n")[1].splitlines()
    assert table[1].split()[:2] == ["x" * 21 + "...", "parked"]
    assert table[2].split()[0] == "intake-19", "then the busiest"
    assert max(map(len, table)) <= 80


def test_status_of_an_older_version_without_rates_is_shown() -> None:
    old = {
        "ledger": {"received": 5, "delivered": 5}, "kernel_drops": {}, "sources": [], "unrouted": [],
        "intakes": [{"name": "a", "state": "idle", "backlog_events": 0, "backlog_bytes": 0, "oldest_seconds": None}],
    }  # fmt: skip
    shown = screen(old)
    assert "a" in shown and "received 5, delivered 5, waiting 0, quarantined -, dropped 0" in shown


def test_text_of_other_hosts_reaches_the_terminal_escaped() -> None:
    hostile = problem(1) | {"text": "bad \x1b[2J text", "remedy": "\x07"}
    assert not {"\x1b", "\x07"} & set(screen(status([intake(1, name="\x1b[1m")], [problem(2), hostile])))


def test_status_imports_neither_spool_nor_parser(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "bridge.yaml").write_text(f"spool: {{directory: {spool}}}\nanother: key\n")
    with running_bridge(spool, status([intake(1)], [])):
        done, found = run_and_list_modules("status", "-c", str(tmp_path / "bridge.yaml"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Healthy: all well."), done.stderr
    for package in ("bridge.spool", "bridge.syslog", "bridge.config.model", "pydantic", "twisted"):
        assert {name for name in found if name == package or name.startswith(f"{package}.")} == set()
