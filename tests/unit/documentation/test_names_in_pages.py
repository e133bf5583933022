"""Tests that the pages name commands, options, formats and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from bridge.cli.main import main
from bridge.formats import find
from tests.harness.pages import CHECKOUT, DOCS, PAGES


def _name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_and_options_exist(page: Path) -> None:
    # In code and in blocks; not in a sentence whose subject is the program.
    written = "\n".join(re.findall(r"^ *```.*?^ *```|`[^`\n]+`", page.read_text(), re.DOTALL | re.MULTILINE))
    for words in re.findall(r"syslog-bridge ((?:[a-z]+)(?: --?[a-z-]+| [^-`\s|]+)*)", written):
        first, *others = words.split()
        command = main.get_command(click.Context(main), first)
        if command is None:
            assert first == "syslog", words
            continue
        if isinstance(command, click.Group) and others:
            inner = command.get_command(click.Context(command), others[0])
            assert inner is not None, words
            command = inner
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {option for option in others if option.startswith("--")} <= options, words


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_of_the_checkout_exist(page: Path) -> None:
    for name in re.findall(r"`((?:packaging|conf|tests)/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)`", page.read_text()):
        assert (CHECKOUT / name).exists(), name


def test_formats_of_the_devices_page_exist() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", (DOCS / "devices/index.md").read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]
    assert len(named) >= 8
    for name in named:
        find(name)
