"""Tests that the generated parts of the pages have every row of the tables that they come from."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from documentation import alarms, configuration, generated, log_lines, man
from documentation.markdown import cell

from bridge.admin.openapi import PATHS
from bridge.cli.main import main
from bridge.config.descriptions import descriptions
from bridge.explain.products import PRODUCTS
from bridge.formats import FORMATS
from bridge.monitoring.alarm_kinds import KINDS
from bridge.monitoring.metric_table import METRICS
from bridge.monitoring.rejection_reasons import REASONS

CHECKOUT = Path(__file__).parents[3]
DOCS = CHECKOUT / "packaging/docs"


def _first_column(markdown: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", markdown, re.MULTILINE)


def test_every_part_is_on_a_page_and_every_marker_has_a_part() -> None:
    used = {name for page in DOCS.rglob("*.md") for name in generated.MARKER.findall(page.read_text())}
    assert used == set(generated.PARTS)


def test_every_key_of_the_configuration_is_in_the_reference() -> None:
    shown = set(re.findall(r"^###? `([^`]+)`", generated.PARTS["configuration"](), re.MULTILINE))
    expected = {key.path for key in configuration.all_keys() if ".except." not in key.path}
    assert expected - shown - {path for path in expected if path.removesuffix("[]") in shown} == set()
    assert all(path in {key.path for key in configuration.all_keys()} for path in descriptions())


def test_each_section_of_the_configuration_is_one_chapter() -> None:
    chapters = re.findall(r"^## (.*)$", generated.PARTS["configuration"](), re.MULTILINE)
    assert len(chapters) == len(set(chapters))
    assert chapters[:2] == ["Top level", "`collector`"]


@pytest.mark.parametrize(
    ("path", "type_text", "default"),
    [
        ("spool.max_size", "size, or a share of the filesystem such as `80%`", "80%"),
        ("listeners[].mode", "octal permissions", "0666"),
        ("listeners[].idle_timeout", "duration or `never`", "never"),
        ("listeners[].max_connections", "whole number from `1` to `1000000`", "1000"),
        ("batch.max_bytes", "size from `1KiB` to `10MiB`", "5MB"),
        ("collector.max_request_rate", "number from `0.01` to `100000`", "50"),
        ("spool.fsync", "`never` `backlog` `always`", "backlog"),
        ("intakes.NAME.intake_key", "[secret](secrets.md)", ""),
        ("redact[].pattern", "one or a list: name of a [pattern](redaction.md)", ""),
        ("routes[].facility", "one or a list: facility, such as `auth` or `local0`, or 0 to 23", ""),
    ],
)
def test_types_bounds_and_defaults_are_those_of_the_models(path: str, type_text: str, default: str) -> None:
    key = next(key for key in configuration.all_keys() if key.path == path)
    assert (key.type, key.default) == (type_text, default)


def test_every_command_is_in_the_reference_and_once_in_the_man_page() -> None:
    names = main.list_commands(click.Context(main))
    shown = re.findall(r"^## `([a-z]+)`", generated.PARTS["commands"](), re.MULTILINE)
    assert sorted(shown) == sorted(names)
    in_man = re.findall(r"^\.SS ([a-z]+)$", man.commands_page(), re.MULTILINE)
    assert sorted(in_man) == sorted(names)


def test_every_problem_has_an_action_and_an_alert() -> None:
    assert set(alarms.actions()) == set(KINDS)
    assert _first_column(alarms.problems_markdown()) == list(KINDS)
    assert {described.alert for described in KINDS.values()} <= {rule["alert"] for rule in alarms.rules()}
    assert _first_column(alarms.alerts_markdown()) == [rule["alert"] for rule in alarms.rules()]
    assert _first_column(alarms.rejections_markdown()) == list(REASONS)


def test_every_metric_is_in_the_table_and_is_exported() -> None:
    shown = [name.partition("{")[0] for name in _first_column(generated.PARTS["metrics"]())]
    assert shown == [kind.exported(name) for name, kind in METRICS.items()]
    exporter = (CHECKOUT / "bridge/monitoring/metrics.py").read_text()
    assert [name for name in METRICS if f'"{name}"' not in exporter] == []


def test_alert_rules_use_existing_metrics() -> None:
    existing = {kind.exported(name) for name, kind in METRICS.items()}
    for rule in alarms.rules():
        for name in re.findall(r"syslog_bridge_[a-z_]+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in existing, rule["alert"]


def test_every_warning_and_error_of_the_log_has_an_entry() -> None:
    lines = log_lines.lines()
    assert len(lines) > 25
    assert set(lines) - set(log_lines.actions()) == set()
    assert set(log_lines.actions()) - set(lines) == set()


def test_formats_products_and_paths_are_complete() -> None:
    assert _first_column(generated.PARTS["formats"]())[1:] == list(FORMATS)
    products = generated.PARTS["products"]()
    assert [each.name for each in PRODUCTS if f"| {cell(each.name)} |" not in products] == []
    assert re.findall(r"^## `GET /([^`]+)`", generated.PARTS["http-api"](), re.MULTILINE) == list(PATHS)


@pytest.mark.parametrize("part", sorted(generated.PARTS))
def test_tables_have_as_many_cells_in_each_row(part: str) -> None:
    text = re.sub(r"```.*?```", "", generated.PARTS[part](), flags=re.DOTALL)
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block.splitlines()[0]
