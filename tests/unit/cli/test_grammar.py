"""Tests that all commands have one grammar. The tests are made from the registry, so a new command is tested too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli.main import main
from bridge.cli.registry import COMMANDS, GROUPS
from bridge.spool.quarantine_entry import QuarantineEntry
from tests.harness.imported import run_and_list_modules

COLUMNS = 80
Words = tuple[str, ...]


def _leaves(group: click.Group, context: click.Context, above: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*above, name)
        if isinstance(command, click.Group):
            yield from _leaves(command, context, words)
        else:
            yield words, command


LEAVES = dict(_leaves(main, click.Context(main)))
"The words of each command -> the command, also those of groups, such as ``spool list``."
GROUPED: list[Words] = [(name,) for name in COMMANDS if (name,) not in LEAVES]
EVERY = pytest.mark.parametrize("words", LEAVES, ids=" ".join)

NO_CONFIGURATION = {("schema",), ("formats",), ("import",), ("send",), ("collector",), ("demo",)}
"Commands that read no configuration file."
NEED_A_FILE = set(LEAVES) - NO_CONFIGURATION - {("explain",), ("run",), ("setup",)}
"Commands that cannot work without one: explain has a built-in one, setup writes it, and run has a log."
NO_FORMAT = {
    ("run",): "logs", ("setup",): "asks", ("import",): "writes files", ("schema",): "is JSON",
    ("config", "migrate"): "prints a configuration", ("key", "set"): "prints no data",
    ("spool", "export"): "writes JSON lines to a file",
    ("send",): "prints no data", ("collector",): "writes JSON lines to a file", ("demo",): "logs",
}  # fmt: skip
"Commands without ``--output text|json``, and why."
CHANGES: dict[Words, Words] = {
    ("spool", "purge"): (), ("spool", "move"): ("--containing", "x", "--to", "all"), ("quarantine", "purge"): (),
    ("quarantine", "retry"): (), ("unrouted", "reroute"): (),
    ("replay",): ("--intake", "all", "--since", "-1h"),
}  # fmt: skip
"Commands that change events, and their arguments."
ASKS = {("spool", "purge"), ("spool", "move"), ("quarantine", "purge")}
"Those that need an answer, whatever they find."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration whose spool has a waiting event and a held frame. No bridge runs."""
    spool = tmp_path / "spool"
    (spool / "all").mkdir(parents=True)
    (spool / "format").write_text("1\n")
    (spool / "lock").write_text("1\n")
    (spool / "all" / "1795415040000000-1795415040000-1-10.lines").write_text("caf\u00e9 one\n")
    (spool / ".quarantine" / "unrouted").mkdir(parents=True)
    held = QuarantineEntry(1795415040000, "udp", "192.0.2.7", "<13>caf\u00e9".encode(), "no route matches")
    (spool / ".quarantine" / "unrouted" / "1795415040000000-1.jsonl").write_bytes(held.line())
    file = tmp_path / "bridge.yaml"
    file.write_text(
        'collector: {url: "http://127.0.0.1:9"}\nlisteners: [{name: udp, udp: "127.0.0.1:5514"}]\n'
        "intakes: {all: {intake_key: {file: key}}}\nunrouted: {intake: all}\n"
        "spool: {directory: spool, archive: {max_age: 1d}}\n"
    )
    (tmp_path / "key").write_text("k" * 16)
    (tmp_path / "samples.yaml").write_text("- {frame: '<13>x', expect: {intake: all}}\n")
    return file


def invoke(*words: str, **environment: str) -> Result:
    # No terminal, and nothing to read.
    return CliRunner(env=environment).invoke(main, words, input="", terminal_width=COLUMNS)


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), *GROUPED, *LEAVES], ids=lambda words: " ".join(words) or "syslog-bridge")
def test_help_fits_80_columns_and_has_an_example(words: Words) -> None:
    result = invoke(*words, "--help")
    assert result.exit_code == 0, result.output
    assert [line for line in result.output.splitlines() if len(line) > COLUMNS] == []
    assert result.output.isascii()
    assert "Example" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_in_the_list_is_the_first_sentence_of_the_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    summary = COMMANDS[name].summary
    assert " ".join((command.help or "").split()).startswith(summary.removesuffix("."))
    assert COMMANDS[name].group in GROUPS
    assert summary.endswith(".")


def test_list_of_commands_is_grouped() -> None:
    lines = invoke("--help").output.splitlines()
    assert [line.rstrip(":") for line in lines if line.rstrip(":") in GROUPS] == list(GROUPS)


# --- options mean one thing -------------------------------------------------------------------------------------------


def option(command: click.Command, name: str) -> click.Option | None:
    return next((each for each in command.params if isinstance(each, click.Option) and name in each.opts), None)


@EVERY
def test_every_command_on_a_configuration_takes_it(words: Words) -> None:
    assert (option(LEAVES[words], "--config") is None) == (words in NO_CONFIGURATION)


@EVERY
def test_every_command_that_prints_data_has_the_output_formats(words: Words) -> None:
    found = option(LEAVES[words], "--output")
    if words in NO_FORMAT:
        assert found is None or not isinstance(found.type, click.Choice)
    else:
        assert found is not None and isinstance(found.type, click.Choice)
        assert list(found.type.choices)[:2] == ["text", "json"]
        assert found.default == "text"


@EVERY
def test_shared_options_have_one_meaning(words: Words) -> None:
    meanings: dict[str, Words] = {
        "--source": ("ADDRESS", "SENDER", "NETWORKS"), "--from": ("ADDRESS",), "--since": ("TIME",),
        "--until": ("TIME",),
    }  # fmt: skip
    for name, metavars in meanings.items():
        found = option(LEAVES[words], name)
        assert found is None or found.metavar in metavars, name
    count = option(LEAVES[words], "--count")
    assert count is None or isinstance(count.type, click.IntRange)
    for name in ("--dry-run", "--yes", "--exit-code"):
        found = option(LEAVES[words], name)
        assert found is None or found.is_flag


@EVERY
def test_old_spellings_are_not_shown(words: Words) -> None:
    shown = invoke(*words, "--help").output
    for old in ("--json", "--csv", "--limit"):
        assert f" {old}" not in shown
    if words != ("schema",):
        assert " --format text" not in shown


# --- arguments --------------------------------------------------------------------------------------------------------


@EVERY
def test_unknown_option_exits_with_2_and_names_the_help(words: Words) -> None:
    result = invoke(*words, "--no-such-option")
    assert result.exit_code == 2
    assert "No such option" in result.stderr and "--no-such-option" in result.stderr
    assert f"Try 'main {' '.join(words)} -h' for help." in result.stderr or "--help" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", sorted(NEED_A_FILE), ids=" ".join)
def test_missing_configuration_exits_with_2_and_is_named(words: Words, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    arguments = {
        ("replay",): ["--intake", "all", "--since", "-1h"], ("spool", "move"): ["--intake", "a", "--to", "b"],
        ("why",): ["192.0.2.7"], ("test",): ["samples.yaml"], ("key", "set"): ["all"],
    }.get(words, [])  # fmt: skip
    result = invoke(*words, *arguments, "-c", missing)
    assert result.exit_code == 2
    # The errors of the configuration are the result of check.
    assert "none.yaml:1:1: cannot read the file" in (result.stdout if words == ("check",) else result.stderr)


def test_configuration_is_named_before_and_after_the_command_and_by_the_environment(file: Path, tmp_path: Path) -> None:
    wrong = str(tmp_path / "none.yaml")
    for words in (
        ("-c", str(file), "spool", "list"),
        ("spool", "-c", str(file), "list"),
        ("spool", "list", "-c", str(file)),
        ("-c", wrong, "spool", "list", "-c", str(file)),
        ("-c", wrong, "spool", "-c", str(file), "list"),
    ):
        result = invoke(*words, SYSLOG_BRIDGE_CONFIG=wrong)
        assert result.exit_code == 0, (words, result.output)
        assert "all" in result.stdout
    assert invoke("spool", "list", SYSLOG_BRIDGE_CONFIG=str(file)).exit_code == 0
    assert invoke("-c", wrong, "spool", "list", SYSLOG_BRIDGE_CONFIG=str(file)).exit_code == 2


OLD_SPELLINGS = (
    ("status", "--json"), ("spool", "list", "--json"), ("spool", "show", "--limit", "1", "--source", "caf\u00e9"),
    ("quarantine", "list", "--json", "--limit", "1"), ("unrouted", "list", "--json"), ("formats", "--json"),
    ("check", "--format", "json"), ("config", "show", "--effective"), ("drill", "--json", "--help"),
    ("report", "--csv", "--help"), ("explain", "--json"), ("spool", "export", "--source", "one"),
    ("replay", "--intake", "all", "--from", "2026-01-01", "--to", "2026-01-02", "--dry-run"),
)  # fmt: skip


@pytest.mark.parametrize("words", OLD_SPELLINGS, ids=" ".join)
def test_old_spellings_work(file: Path, words: Words) -> None:
    configuration = () if words[0] == "formats" else ("-c", str(file))
    result = invoke(*words, *configuration)
    assert result.exit_code == 0, result.output
    if "--json" in words and "--help" not in words and words[0] != "explain":
        json.loads(result.stdout.splitlines()[0] if words[0] in ("formats", "quarantine") else result.stdout)


# --- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_dry_run_counts_and_changes_nothing(file: Path, words: Words) -> None:
    before = {path: path.stat().st_mtime_ns for path in (file.parent / "spool" / "all").iterdir()}
    text = invoke(*words, *CHANGES[words], "--dry-run", "-c", str(file))
    assert text.exit_code == 0, text.output
    assert text.stdout.startswith("would ")
    result = invoke(*words, *CHANGES[words], "--dry-run", "--output", "json", "-c", str(file))
    counts = json.loads(result.stdout)
    assert counts["dry_run"] is True
    assert {path: path.stat().st_mtime_ns for path in (file.parent / "spool" / "all").iterdir()} == before


@pytest.mark.parametrize("words", sorted(ASKS), ids=" ".join)
def test_without_a_terminal_a_confirmation_is_refused(file: Path, words: Words) -> None:
    result = invoke(*words, *CHANGES[words], "-c", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{' '.join(words)}: needs a confirmation, and there is no terminal" in result.stderr
    assert "--yes" in result.stderr and "--dry-run" in result.stderr


def test_dry_run_counts_what_purge_then_deletes(file: Path) -> None:
    assert invoke("spool", "purge", "--dry-run", "-c", str(file)).stdout == "would delete 1 event: all 1\n"
    assert invoke("spool", "purge", "--host", "one", "--dry-run", "-c", str(file)).stdout.startswith("would delete 1 ")
    assert invoke("spool", "purge", "--host", "two", "--dry-run", "-c", str(file)).stdout == "would delete 0 events\n"
    assert invoke("quarantine", "purge", "--dry-run", "-c", str(file)).stdout == ("would delete 1 frame: unrouted 1\n")
    done = invoke("spool", "purge", "--yes", "--output", "json", "-c", str(file))
    assert json.loads(done.stdout)["purged"] == 1


def test_question_on_a_terminal_has_the_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cli.changes.has_terminal", lambda: True)
    words = ["spool", "purge", "-c", str(file)]
    refused = CliRunner().invoke(main, words, input="n\n")
    assert refused.exit_code == 1
    assert "Delete 1 waiting event of ALL intakes?" in refused.stderr
    accepted = CliRunner().invoke(main, words, input="y\n")
    assert (accepted.exit_code, accepted.stdout) == (0, "1 event deleted\n")


def test_no_color_removes_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.commands, "red", click.Command("red", callback=lambda: click.secho("x", fg="red")))
    colored = CliRunner().invoke(main, ["red"], color=True)
    assert colored.stdout == "\x1b[31mx\x1b[0m\n"
    assert CliRunner(env={"NO_COLOR": "1"}).invoke(main, ["red"], color=True).stdout == "x\n"


# --- on a pipe, without a terminal, in a C locale ---------------------------------------------------------------------

RIGHT: dict[Words, tuple[list[str], int] | str] = {
    ("run",): "runs until it is stopped", ("setup",): "has tests of its own", ("import",): "has tests of its own",
    ("send",): "sends to a network", ("collector",): "runs until it is stopped", ("demo",): "runs a reactor",
    ("drill",): "takes half a minute", ("key", "set"): "reads a key", ("report",): ([], 1),
    ("reload",): ([], 1), ("drain",): (["--dry-run"], 0), ("check",): ([], 0), ("config", "show"): ([], 0),
    ("config", "migrate"): ([], 0),
    ("schema",): ([], 0), ("formats",): ([], 0), ("status",): ([], 0), ("why",): (["192.0.2.7"], 1),
    ("tail",): (["-n", "1"], 1), ("spool", "list"): ([], 0), ("spool", "show"): ([], 0), ("spool", "export"): ([], 0),
    ("spool", "move"): (["--intake", "all", "--to", "all", "--dry-run"], 0), ("spool", "purge"): (["--dry-run"], 0),
    ("quarantine", "list"): ([], 0), ("quarantine", "retry"): (["--dry-run"], 0),
    ("quarantine", "purge"): (["--dry-run"], 0), ("unrouted", "list"): ([], 0),
    ("unrouted", "reroute"): (["--dry-run"], 0),
    ("replay",): (["--intake", "all", "--since", "-1h", "--dry-run"], 0), ("explain",): ([], 0),
    ("test",): (["samples.yaml"], 0), ("discover",): ([], 1),
}  # fmt: skip
"Each command -> arguments and exit code without a running bridge, or why it is not run here."

_RUN_ALL = """
import json, sys, traceback
from bridge.cli.main import main

codes = {}
for words in json.loads(sys.argv[1]):
    try:
        main(words, prog_name="syslog-bridge")
    except SystemExit as error:
        codes[" ".join(words)] = error.code or 0
    except BaseException:
        codes[" ".join(words)] = traceback.format_exc()
sys.stdout.flush()
with open(sys.argv[2], "w") as file:
    json.dump(codes, file)
"""


def test_every_command_is_in_the_table() -> None:
    assert set(RIGHT) == set(LEAVES)


def test_commands_work_on_a_pipe_without_a_terminal_in_a_c_locale(file: Path) -> None:
    calls = {
        words: [*words, *found[0], *([] if words in NO_CONFIGURATION else ["-c", file.name])]
        for words, found in RIGHT.items()
        if not isinstance(found, str)
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))
    } | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": str(COLUMNS), "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL, json.dumps(list(calls.values())), "codes.json"], env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, cwd=file.parent, timeout=120, check=True,
    )  # fmt: skip
    codes = json.loads((file.parent / "codes.json").read_text())
    expected = {" ".join(call): RIGHT[words][1] for words, call in calls.items()}
    assert codes == expected, done.stderr.decode(errors="replace")
    assert "caf\u00e9 one" in done.stdout.decode()
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


# --- imports ----------------------------------------------------------------------------------------------------------


def test_help_imports_neither_twisted_nor_the_models() -> None:
    done, found = run_and_list_modules("--help")
    assert done.returncode == 0, done.stderr
    assert {name for name in found if name.split(".")[0] in ("twisted", "pydantic", "yaml", "rich")} == set()
    ours = {name for name in found if name.startswith("bridge.") and not name.startswith("bridge.cli")}
    assert ours == set()


@pytest.mark.parametrize("group", ["spool", "quarantine", "unrouted", "config", "key"])
def test_help_of_a_group_cuts_no_sentence(group: str) -> None:
    text = " ".join(invoke(group, "--help").stdout.split())
    command = main.get_command(click.Context(main), group)
    assert isinstance(command, click.Group)
    for each in command.commands.values():
        assert each.get_short_help_str(limit=1000) in text
    assert "..." not in text.partition("Commands:")[2]


def test_dry_run_of_a_move_rejects_the_target_that_the_move_rejects(file: Path) -> None:
    words = ("spool", "move", "--intake", "all", "--to", "other", "-c", str(file))
    dry, done = invoke(*words, "--dry-run"), invoke(*words, "--yes")
    assert (dry.exit_code, dry.stderr) == (done.exit_code, done.stderr)
    assert dry.stderr == "spool move: intake other is not in the configuration. Its intakes are all\n"


def test_lists_say_when_they_are_empty_or_cut(file: Path) -> None:
    waiting = file.parent / "spool" / "all" / "1795415041000000-1795415041000-2-8.lines"
    waiting.write_text("two\nsix\n")
    words = ("spool", "show", "-c", str(file))
    assert invoke(*words, "-n", "2").stderr == "... the oldest 2. More events wait: use --count to see them\n"
    assert invoke(*words, "-n", "3").stderr == ""
    assert invoke(*words, "--host", "nowhere").stderr == "no such events wait\n"
    folder = file.parent / "spool" / ".quarantine" / "unrouted"
    line = next(folder.iterdir()).read_bytes()
    (folder / "1795415041000000-1.jsonl").write_bytes(line)
    words = ("quarantine", "list", "-c", str(file))
    assert invoke(*words, "-n", "1").stdout.endswith("unrouted: 2 (the latest 1 are shown: use --count for more)\n")
    assert invoke(*words).stdout.endswith("unrouted: 2\n")
