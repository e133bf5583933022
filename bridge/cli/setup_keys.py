"""Reads the intake keys of ``setup``: from a file, a folder, stdin, or the user."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bridge.cli import setup_answers
from bridge.cli.options import parsed
from bridge.cli.setup_answers import SetupAnswers
from bridge.cli.setup_discover import DiscoveredAnswers
from bridge.util.files import read_regular

Answers = SetupAnswers | DiscoveredAnswers
_LARGEST_KEY = 4096
"Maximum bytes of a key file, so that a file given by mistake is not read completely."


def check_key_file(key_file: str | None, *, non_interactive: bool) -> None:
    """Raises UsageError if the option cannot be used so, before the first question."""
    if non_interactive and key_file is None:
        raise click.UsageError("--non-interactive needs --key-file FILE, or --key-file - with the key on stdin")
    if not non_interactive and not sys.stdin.isatty() and key_file == "-":
        raise click.UsageError("the key is read from stdin, so questions cannot be answered: add --non-interactive")
    if key_file not in (None, "-") and not (path := Path(str(key_file))).is_dir():
        _read_key(path)


def with_keys(answers: Answers, key_file: str | None) -> tuple[Answers, dict[str, str]]:
    """Returns the answers and the key of each intake. Of several discovered intakes, the user may leave out some."""
    if key_file is not None:
        return answers, _given_keys(answers.intakes, key_file)
    if isinstance(answers, SetupAnswers):
        return answers, _ask_keys(answers.intakes)
    while not (keys := _ask_keys(answers.intakes, optional=len(answers.intakes) > 1)):
        click.echo("Enter the key of at least one intake.")
    return answers.only(keys), keys


def after_change(answers: Answers, keys: dict[str, str]) -> tuple[Answers, dict[str, str]]:
    """Returns changed answers with the keys so far, or with new ones if there are other intakes now."""
    if isinstance(answers, SetupAnswers) and len(keys) == 1:
        # The intake may have another name now.
        return answers, dict(zip(answers.intakes, keys.values(), strict=True))
    return (answers, keys) if set(answers.intakes) == set(keys) else with_keys(answers, None)


def _ask_keys(intakes: Sequence[str], *, optional: bool = False) -> dict[str, str]:
    about = "not shown; Enter holds its messages until there is a key" if optional else "not shown"

    def key_of(text: str) -> str:
        return setup_answers.key(text) if text.strip() or not optional else ""

    keys: dict[str, str] = {}
    for intake in intakes:
        keys[intake] = click.prompt(
            f"Intake key of {intake} ({about})", hide_input=True, value_proc=parsed(key_of),
            default="" if optional else None, show_default=False,
        )  # fmt: skip
    return {intake: key for intake, key in keys.items() if key}


def _given_keys(intakes: Sequence[str], key_file: str) -> dict[str, str]:
    """Reads the key from a file or stdin, or those of several intakes from the files of a folder."""
    path = Path(key_file)
    if path.is_dir():
        if missing := [name for name in intakes if not (path / name).exists()]:
            text = f"{path} has no key of {', '.join(missing)}. Write each key to a file with the name of its intake"
            raise click.BadParameter(text, param_hint="--key-file")
        return {name: _read_key(path / name) for name in intakes}
    if len(intakes) > 1:
        text = f"there are several intakes: {', '.join(intakes)}. Name a folder with a file for each, of the same name"
        raise click.BadParameter(text, param_hint="--key-file")
    return {intakes[0]: _key(sys.stdin.read(_LARGEST_KEY)) if key_file == "-" else _read_key(path)}


def _key(text: str) -> str:
    return parsed(setup_answers.key)(text)


def _read_key(file: Path) -> str:
    try:
        return _key(read_regular(file, _LARGEST_KEY).decode())
    except OSError as error:
        text = f"cannot read {file}: {error.strerror}. To pass the key through a pipe, use --key-file -"
        raise click.BadParameter(text, param_hint="--key-file") from None
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is not UTF-8 text", param_hint="--key-file") from None
