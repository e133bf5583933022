"""Tests that the operator's pages name the metrics, alarms, options and files that exist."""

import re

import click
import pytest

from bridge.cli.main import main
from bridge.formats import find
from bridge.monitoring.metric_table import METRICS
from tests.package.conftest import CHECKOUT

DOCS = CHECKOUT / "packaging/docs"
PAGES = sorted(DOCS.rglob("*.md"))
BRIDGE = "\n".join(path.read_text() for path in sorted((CHECKOUT / "bridge").rglob("*.py")))


def table(page: str, heading: str) -> str:
    return (DOCS / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]


def test_every_metric_is_documented():
    columns = re.findall(r"^\| ([^|]+) \|", table("operate/monitoring.md", "Metrics"), re.MULTILINE)
    documented = {re.sub(r"_total$", "", name) for column in columns for name in re.findall(r"`([a-z_]+)", column)}
    assert set(METRICS) == documented - {"syslog_bridge_"}


def test_every_alarm_is_documented():
    raised = set(re.findall(r'alarms\.on\(\s*"([a-z]+)"', BRIDGE)) | {"clock"}
    documented = set(re.findall(r"^\| `([a-z]+)`", table("operate/monitoring.md", "Alarms"), re.MULTILINE))
    assert raised - documented == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_commands_and_options_exist(page):
    context = click.Context(main)
    # In code and in blocks; not in a sentence whose subject is the program.
    written = "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", page.read_text(), re.DOTALL | re.MULTILINE))
    for command, rest in re.findall(r"syslog-bridge ([a-z]+)((?: --?[a-z-]+| [^-`\s|]+)*)", written):
        found = main.get_command(context, command)
        if found is None:
            assert command in ("syslog",), command
            continue
        subcommand = re.match(r" ([a-z]+)", rest)
        if isinstance(found, click.Group) and subcommand is not None:
            found = found.get_command(context, subcommand[1])
            assert found is not None, (command, subcommand[1])
        options = {name for parameter in found.params for name in parameter.opts}
        for option in re.findall(r" (--[a-z-]+)", rest):
            assert option in options, (command, option)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_files_of_the_checkout_exist(page):
    for name in re.findall(r"`(packaging/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)`", page.read_text()):
        assert (CHECKOUT / name).exists(), name


def test_formats_of_the_devices_page_exist():
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", (DOCS / "devices/index.md").read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]
    assert len(named) >= 8
    for name in named:
        find(name)
