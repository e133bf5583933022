"""Tests the import of damaged configurations: faults in the syntax, and includes that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.import_forwarder import import_forwarder
from bridge.setup.rsyslog_tree import parse_rsyslog
from bridge.setup.syslog_ng_tree import unbalanced

KEY = "abcdefgh12345678"
RSYSLOG = f"""template(name="fw" type="string" string="x [SEKOIA@53288 intake_key=\\"{KEY}\\"] %msg%")
input(type="imudp" port="514" ruleset="all")
ruleset(name="all") {{
  if $hostname startswith "a" then {{
    action(type="omfwd" target="intake.sekoia.io" template="fw")
    stop
  }}
}}
"""
SYSLOG_NG = f"""@version: 3.38
source s {{ udp(port(514)); }};
filter f {{ host("fw"); }};
destination d {{ network("intake.sekoia.io" template("x [SEKOIA@53288 intake_key=\\"{KEY}\\"] $MSG\\n")); }};
log {{ source(s); filter(f); destination(d); }};
"""


def run(folder: Path, text: str) -> str:
    """Imports a text and returns what the command prints."""
    file = folder / "given.conf"
    file.write_text(text)
    result = CliRunner().invoke(import_forwarder, [str(file), "--output", str(folder / "out")])
    said = result.output + (str(result.exception) if result.exception else "")
    assert KEY not in said
    return said


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        (RSYSLOG.replace("  }\n", ""), 3, "the { in this line is not closed"),
        (RSYSLOG + "}\n", 9, "the } in this line closes nothing"),
    ],
)
def test_brace_of_rsyslog_without_partner_is_named(tmp_path: Path, text: str, line: int, fault: str) -> None:
    said = run(tmp_path, text)
    assert any(f"given.conf:{line}:" in row and fault in row for row in said.splitlines()), said


@pytest.mark.parametrize(
    ("old", "new", "line", "fault"),
    [
        ('host("fw");', 'host("fw";', 3, "the ( in this line is not closed"),
        ('host("fw"); }', 'host("fw");', 3, "the { in this line is not closed"),
        ('host("fw");', 'host("fw"));', 3, "the { in this line is not closed"),
        ("filter(f);", "filter('f);", 5, "a quote in this line is not closed"),
        ("destination(d); };", "destination(d); }; }", 5, "the } in this line closes nothing"),
    ],
)
def test_bracket_of_syslog_ng_without_partner_is_named(
    tmp_path: Path, old: str, new: str, line: int, fault: str
) -> None:
    said = run(tmp_path, SYSLOG_NG.replace(old, new))
    assert any(f"given.conf:{line}:" in row and fault in row for row in said.splitlines()), said


def test_sound_files_have_no_such_fault() -> None:
    assert not list(unbalanced(SYSLOG_NG, "x"))
    assert not [one for one in parse_rsyslog(RSYSLOG, "x") if one.kind == "unbalanced"]


@pytest.mark.parametrize(
    ("text", "include"),
    [(RSYSLOG, "$IncludeConfig {}\n"), (SYSLOG_NG, '@include "{}"\n')],
    ids=["rsyslog", "syslog-ng"],
)
def test_each_included_file_that_is_not_read_is_named(tmp_path: Path, text: str, include: str) -> None:
    folder = tmp_path / "more.d"
    folder.mkdir()
    (folder / "1.conf").symlink_to("2.conf")
    (folder / "2.conf").symlink_to("1.conf")
    (folder / "3.conf").symlink_to(tmp_path / "given.conf")
    os.mkfifo(folder / "4.conf")
    (folder / "5.conf").write_text("# empty\n")
    said = run(tmp_path, text + include.format(f"{folder}/*.conf") + include.format(f"{folder}/9.conf"))
    for part in (
        "1.conf is a symbolic link to no file", "2.conf is a symbolic link to no file", "3.conf has been read already",
        "4.conf is not a regular file", "no file was found",
    ):  # fmt: skip
        assert part in said
    assert "5.conf is" not in said


def test_every_statement_that_no_listener_leads_to_is_listed(tmp_path: Path) -> None:
    said = run(tmp_path, RSYSLOG + "auth.* /var/log/auth.log\n*.* @@siem.example:514\n*.emerg :omusrmsg:*\n")
    for line in (9, 10, 11):
        assert f"given.conf:{line}:" in said


def test_listeners_without_intake_are_not_said_to_have_one(tmp_path: Path) -> None:
    run(tmp_path, RSYSLOG)
    assert "messages that none takes are held" in (tmp_path / "out/bridge.yaml").read_text()


def test_empty_file_is_named(tmp_path: Path) -> None:
    assert "the file is empty" in run(tmp_path, "\n")


def test_rule_that_is_lost_says_where_its_messages_go(tmp_path: Path) -> None:
    lost = '  if $rawmsg contains "b" then {\n    action(type="omfwd" target="siem.example")\n    stop\n  }\n'
    said = run(tmp_path, RSYSLOG.replace("  if $host", f"{lost}  if $host")).splitlines()
    assert any("given.conf:4:" in line and "match the routes after it, or are held" in line for line in said)
    for number in (5, 6):
        assert any(f"given.conf:{number}:" in line and "the condition in line 4" in line for line in said)


def test_intake_is_never_named_by_a_number_alone(tmp_path: Path) -> None:
    run(tmp_path, RSYSLOG.replace('"fw"', '"SEKOIA2"'))
    assert (tmp_path / "out/keys/intake-2").exists()
