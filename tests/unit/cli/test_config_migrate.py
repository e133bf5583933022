"""Tests ``config migrate``: what it prints, and that it replaces files as a whole, with copies."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli.main import main
from bridge.operations import config_migration

OLD = "include: [conf.d/*]\nspool: {directory: here}\nadmin: {self_events: ops}   # alarms\n"
NEW = "include: [conf.d/*]\nspool: {directory: here}\nadmin: {alerts_intake: ops} # alarms\n"
INCLUDED = "sources:\n  - {source: 192.0.2.7, limit: 5/s, expect: 5m}\n"
CURRENT = "timezone: UTC\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.yaml").write_text(INCLUDED)
    (tmp_path / "conf.d" / "b.yaml").write_text(CURRENT)
    (tmp_path / "bridge.yaml").write_text(OLD)
    (tmp_path / "bridge.yaml").chmod(0o640)
    return tmp_path / "bridge.yaml"


def migrate(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["config", "migrate", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def test_result_is_printed_and_no_file_is_changed(file: Path) -> None:
    before = {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()}
    result = migrate(file)
    assert result.stdout == NEW
    more = file.parent / "conf.d"
    assert result.stderr.splitlines() == [
        f"{file}: 1 old name", f"{more}/a.yaml: 2 old names", f"{more}/b.yaml: no old names",
        "Included files are not printed. Use --in-place to replace them too.",
    ]  # fmt: skip
    assert migrate("-c", file).stdout == NEW
    assert {path: path.read_bytes() for path in file.parent.rglob("*") if path.is_file()} == before


def test_files_are_replaced_in_place_with_copies_that_are_not_included(file: Path) -> None:
    copy, included_copy = file.parent / "bridge.yaml.bak", file.parent / "conf.d" / ".a.yaml.bak"
    lines = migrate("--in-place", file).stdout.splitlines()
    assert lines[0] == f"{file}: 1 old name replaced. The file as it was is {copy}."
    assert lines[1] == f"{file.parent}/conf.d/a.yaml: 2 old names replaced. The file as it was is {included_copy}."
    assert lines[2] == f"{file.parent}/conf.d/b.yaml: no old names"
    assert (file.read_text(), copy.read_text(), included_copy.read_text()) == (NEW, OLD, INCLUDED)
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert "no old names" in migrate("--in-place", file).stdout
    # An earlier copy is never replaced.
    file.write_text(OLD)
    migrate("--in-place", file)
    assert copy.with_name("bridge.yaml.bak.1").read_text() == OLD
    names = {path.name for path in file.parent.rglob("*") if path.is_file()}
    assert names == {"a.yaml", "b.yaml", ".a.yaml.bak", "bridge.yaml", "bridge.yaml.bak", "bridge.yaml.bak.1"}


def test_link_stays_and_its_file_is_replaced(file: Path) -> None:
    link = file.with_name("link.yaml")
    link.symlink_to(file.name)
    migrate("--in-place", link)
    assert link.is_symlink() and file.read_text() == NEW
    assert link.with_name("link.yaml.bak").read_text() == OLD


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("admin: {self_events: a, alerts_intake: a}\n", "1:9: self_events is the old name of alerts_intake"),
        ("admin: {self_events: [\n", "2:1: not valid YAML"),
        ("include: [more.yaml]\nspool: {share: {}}\n", "2:9: share is the old name of cluster"),
        ('admin: {"self\\x5fevents": a}\n', "1:9: this file cannot be rewritten"),
    ],
    ids=["both names", "syntax", "both names in two files", "escaped"],
)
def test_fault_changes_no_file(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(text)
    (tmp_path / "more.yaml").write_text("cluster: {exit: a}\n")
    result = migrate("--in-place", file, code=2)
    assert f"{file}:{fault}" in result.stderr and result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridge.yaml", "more.yaml"]
    assert file.read_text() == text


def test_failed_write_leaves_the_file_and_no_copy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(config_migration, "replace_in", full)
    assert f"{file}: No space left on device" in migrate("--in-place", file, code=1).stderr
    assert file.read_text() == OLD and not file.with_name("bridge.yaml.bak").exists()


def test_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    result = migrate(tmp_path / "none.yaml", code=2)
    assert f"{tmp_path}/none.yaml:1:1: cannot read the file: No such file" in result.stderr
