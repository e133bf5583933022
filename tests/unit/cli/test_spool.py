"""Tests ``spool show --unreadable``: which files it lists, and which options cannot be combined with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.batching import Group
from bridge.cli.spool import spool
from tests.harness.builders import NOON, build_spool

CONFIGURATION = """
collector: {region: FRA1}
listeners: [{udp: "127.0.0.1:0"}]
intakes: {all: {intake_key: kkkkkkkkkkkkkkkk}}
unrouted: {intake: all}
spool: {directory: spool}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Returns the configuration of a spool with a batch that can be read and three that cannot."""
    opened = build_spool(tmp_path / "spool")
    for second in range(4):
        ms = (NOON + second) * 1000
        opened.append(Group("all", "lines", NOON + second, ms, ms, 1, b"event %d\n" % second))
    opened.seal_all()
    opened.close()
    os.mkfifo(tmp_path / "fifo")
    for path in sorted((tmp_path / "spool" / "all").iterdir())[1:]:
        path.unlink()
        path.symlink_to(tmp_path / "fifo")
    (tmp_path / "bridge.yaml").write_text(CONFIGURATION)
    return tmp_path / "bridge.yaml"


def show(file: Path, *options: str) -> Result:
    return CliRunner().invoke(spool, ["show", "--unreadable", *options, "-c", str(file)])


def test_all_files_are_listed_up_to_the_limit(file: Path) -> None:
    result = show(file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["all", "1"]] * 3
    assert all(line.endswith(": a FIFO, not a regular file") for line in result.stdout.splitlines())
    limited = show(file, "--count", "1")
    assert limited.stdout.splitlines() == result.stdout.splitlines()[:1]
    assert limited.stderr == "2 more files cannot be read. Raise --count to list them\n"


@pytest.mark.parametrize("option", ["--source", "--containing"])
def test_a_text_cannot_be_searched_in_files_that_cannot_be_read(file: Path, option: str) -> None:
    result = show(file, option, "event")
    assert result.exit_code == 2
    assert "the text of these events is not known" in result.stderr
    assert result.stdout == ""
