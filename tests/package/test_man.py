"""Tests that the man page names exactly the existing commands and is well-formed."""

import re
import shutil
import subprocess

import click
import pytest

from bridge.cli.main import main
from tests.package.conftest import CHECKOUT

PAGE = CHECKOUT / "packaging/syslog-bridge.1"


def test_man_page_names_every_command():
    section = PAGE.read_text().split(".SH COMMANDS")[1].split(".SH OPTIONS")[0]
    named = set(re.findall(r"^\.TP\n\.B ([a-z]+)", section, re.MULTILINE))
    assert named == set(main.list_commands(click.Context(main)))


def test_man_page_has_no_warnings():
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(PAGE)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
