"""Runs a command on the running bridge or, if none runs, in this process with the lock of the spool."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bridge.cli.options import fail, os_error_text
from bridge.config import Config
from bridge.operations import control_client, spool_summary
from bridge.operations.commands import run_on_files
from bridge.util.errors import BridgeError

JSON = dict[str, Any]


def run_command(config: Config, command: str, given: Mapping[str, object], *, description: str = "") -> JSON:
    """Runs a command and returns its result. Exits with 1 if it fails.

    With ``description``, shows the progress on stderr if that is a terminal.
    """
    with _ProgressBar(description) as on_progress:
        try:
            directory = existing_spool(config.spool.directory)
            if spool_summary.owner(directory) is not None:
                return control_client.execute(directory, command, given, on_progress)

            def progress(report: JSON) -> bool:
                on_progress(report)
                return True

            return run_on_files(config, command, dict(given), progress, lambda note: click.echo(note, err=True))
        except BridgeError as error:
            fail(f"{command}: {error}")
        except OSError as error:
            fail(f"{command}: {os_error_text(error, config.spool.directory)}")


def existing_spool(directory: Path) -> Path:
    """Returns the directory of a spool. Raises ControlError if it does not exist."""
    if not directory.is_dir():
        raise control_client.ControlError(f"the bridge has never run: there is no spool {directory}")
    return directory


def bridge_runs(config: Config) -> bool:
    """Returns True if a bridge has the lock of the spool. Raises ControlError if there is no spool."""
    return spool_summary.owner(existing_spool(config.spool.directory)) is not None


class _ProgressBar:
    """Shows a progress bar on stderr if that is a terminal, else nothing."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._progress: Progress | None = None

    def __enter__(self) -> Callable[[JSON], None]:
        if not self._description or not sys.stderr.isatty():
            return lambda report: None
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._progress.start()
        task = self._progress.add_task(self._description, total=None, count="")

        def update(report: JSON) -> None:
            assert self._progress is not None
            done = report.get("done", report.get("events"))
            total = report.get("total")
            self._progress.update(task, completed=done or 0, total=total, count="" if done is None else f"{done:,}")

        return update

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self._progress.stop()


def confirm(question: str, *, yes: bool) -> None:
    """Asks for confirmation, unless ``--yes`` was given. Exits with 1 if the answer is no."""
    if not yes and not click.confirm(question, err=True):
        raise SystemExit(1)


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the option ``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(command)
