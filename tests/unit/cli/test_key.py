"""Tests that ``key set`` tries a key before it writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli.main import main
from bridge.config import Config
from bridge.setup.check_result import StepResult

KEY = "n" * 16


class Collector:
    """Answers the trial of a key."""

    def __init__(self, text: str, *, ok: bool = False, refused: bool = False) -> None:
        self.keys: list[str] = []
        self._answer = StepResult("https://c.example/plain/batch", ("fw",), "event", ok, text, key_refused=refused)

    def __call__(self, config: Config, connect: bool, send_test: bool) -> list[StepResult]:
        assert (list(config.intakes), connect, send_test) == (["fw"], False, True)
        self.keys.append(config.intakes["fw"].intake_key.reveal())
        return [self._answer]


def accepts() -> Collector:
    return Collector("accepted as 7", ok=True)


def refuses() -> Collector:
    return Collector("the collector answered 401", refused=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "fw").write_text("old")
    file = tmp_path / "bridge.yaml"
    file.write_text(
        'collector: {url: "http://127.0.0.1:9"}\nlisteners: [{udp: "127.0.0.1:5514"}]\nunrouted: {intake: fw}\n'
        "intakes: {fw: {intake_key: {file: keys/fw}}, other: {intake_key: {file: keys/missing}}}\n"
        f"spool: {{directory: {tmp_path / 'spool'}}}\n"
    )
    return file


def set_key(file: Path, collector: Collector, *options: str) -> Result:
    words = ["key", "set", "fw", "-c", str(file), *options]
    return CliRunner().invoke(main, words, input=f"{KEY}\n", obj=collector)


def written(file: Path) -> str:
    return (file.parent / "keys" / "fw").read_text()


def test_key_that_works_is_written(file: Path) -> None:
    collector = accepts()
    result = set_key(file, collector)
    assert result.exit_code == 0, result.output
    assert "the collector accepts the key (accepted as 7)" in result.stdout
    assert (collector.keys, written(file)) == ([KEY], f"{KEY}\n")
    assert KEY not in result.output


def test_refused_key_is_not_written_unless_forced(file: Path) -> None:
    result = set_key(file, refuses())
    assert result.exit_code == 1
    assert "the collector refuses the key: the collector answered 401. Nothing was changed" in result.stderr
    assert written(file) == "old"
    forced = set_key(file, refuses(), "--force")
    assert (forced.exit_code, written(file)) == (0, f"{KEY}\n")
    assert "warning: the collector refuses the key" in forced.stderr


def test_key_is_written_with_a_warning_if_the_collector_cannot_be_reached(file: Path) -> None:
    result = set_key(file, Collector("no connection (No route to host)"))
    assert (result.exit_code, written(file)) == (0, f"{KEY}\n")
    assert "cannot tell whether the key works" in result.stderr


def test_dry_run_tries_the_key_and_writes_nothing(file: Path) -> None:
    collector = accepts()
    result = set_key(file, collector, "--dry-run")
    assert (result.exit_code, collector.keys, written(file)) == (0, [KEY], "old")
    assert "would write" in result.stdout


def test_no_test_asks_no_collector(file: Path) -> None:
    collector = refuses()
    assert set_key(file, collector, "--no-test").exit_code == 0
    assert (collector.keys, written(file)) == ([], f"{KEY}\n")
    assert set_key(file, collector, "--no-test", "--dry-run").exit_code == 2
