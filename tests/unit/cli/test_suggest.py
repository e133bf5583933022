"""Tests the suggestions for unknown commands and options."""

import pytest
from click.testing import CliRunner

from bridge.cli.main import main
from bridge.cli.suggest import OTHER_NAMES


def error(*arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    return result.stderr.rstrip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chek", "'check'"), ("statsu", "'status'"), ("STATUS", "'status'"), ("validate", "'check'"),
        ("spool lst", "'list'"), ("spool rm", "'purge'"), ("purge", "'quarantine purge' or 'spool purge'"),
        ("list", "'quarantine list' or 'spool list' or 'unrouted list'"),
    ],
)  # fmt: skip
def test_unknown_command_suggests_others(typed, meant):
    *_, name = typed.split()
    assert error(*typed.split()) == f"Error: No such command '{name}'. Did you mean {meant}?"


def test_nothing_is_suggested_for_a_word_like_none():
    assert error("xyzzy") == "Error: No such command 'xyzzy'."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("check --conect", "--connect"), ("quarantine list --limt 3", "--limit"), ("--versoin", "--version")],
)
def test_unknown_option_suggests_others(typed, meant):
    text = error(*typed.split())
    assert "No such option" in text
    assert meant in text


def test_names_of_other_programs_lead_to_commands():
    known = {*main.list_commands(None), "list", "purge"}
    assert set(OTHER_NAMES.values()) <= known
    assert not set(OTHER_NAMES) & set(main.list_commands(None))
