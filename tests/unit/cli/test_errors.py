"""Tests how a command reports an error whose text is for the operator."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli.options import CliCommand, CliGroup
from bridge.config import ConfigurationError, Fault
from bridge.util.errors import BridgeError


def run(error: Exception) -> Result:
    @click.group()
    def main() -> None: ...

    @main.group(cls=CliGroup)
    def spool() -> None: ...

    @spool.command("list")
    def list_() -> None:
        raise error

    @main.command(cls=CliCommand)
    def status() -> None:
        raise error

    nested = CliRunner().invoke(main, ["spool", "list"])
    plain = CliRunner().invoke(main, ["status"])
    assert nested.exit_code == plain.exit_code
    assert nested.stderr == plain.stderr.replace("status: ", "spool list: ")
    return nested


def test_text_and_hint_follow_the_name_of_the_command() -> None:
    result = run(BridgeError("the spool is locked", "Stop the other process"))
    assert (result.exit_code, result.stderr) == (1, "spool list: the spool is locked. Stop the other process\n")


def test_a_wrong_configuration_exits_with_2_and_begins_with_its_place() -> None:
    result = run(ConfigurationError([Fault("b.yaml", 3, 5, "wrong."), Fault("b.yaml", 4, 1, "also wrong.")]))
    assert (result.exit_code, result.stderr) == (2, "b.yaml:3:5: wrong.\nb.yaml:4:1: also wrong.\n")


def test_an_unreadable_file_is_named_with_the_remedy() -> None:
    result = run(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/spool/lock"))
    assert result.exit_code == 1
    assert result.stderr == (
        "spool list: /spool/lock: Permission denied. Run the command as root or as the bridge's user."
        " That user must own all files of the spool\n"
    )


def test_an_error_without_a_file_is_reported_by_its_reason() -> None:
    assert run(OSError(errno.EIO, os.strerror(errno.EIO))).stderr == "spool list: Input/output error\n"


@pytest.mark.parametrize("error", [ValueError("a defect"), BrokenPipeError(errno.EPIPE, "closed", str(Path("x")))])
def test_a_defect_keeps_its_trace_and_a_closed_pipe_is_left_to_click(error: Exception) -> None:
    result = run(error)
    assert result.exit_code == 1
    assert "spool list" not in result.stderr
