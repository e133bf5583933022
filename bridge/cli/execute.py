"""Runs a command on the running bridge or, if none runs, in this process with the lock of the spool."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bridge.cli.options import command_name, fail, os_error_text
from bridge.config import Config
from bridge.operations import control_client, spool_owner
from bridge.operations.commands import run_on_files
from bridge.util.errors import BridgeError

# Rich loads this module with the first progress bar. Root loads it before it becomes the user of the spool, who may not
# be allowed to read it.
import_module("rich._emoji_codes")

JSON = dict[str, Any]


def run_command(
    config: Config, command: str, given: Mapping[str, object], *, description: str = "", after_error: str = ""
) -> JSON:
    """Runs a command and returns its result. Exits with 1 if it fails.

    With ``description``, shows the progress on stderr if that is a terminal. ``after_error`` is a line that follows the
    error.
    """
    with _progress_bar(description) as on_progress:
        try:
            directory = existing_spool(config.spool.directory)
            if spool_owner.owner(directory) is not None:
                return control_client.execute(directory, command, given, on_progress)

            def progress(report: JSON) -> bool:
                on_progress(report)
                return True

            return run_on_files(config, command, dict(given), progress, lambda note: click.echo(note, err=True))
        except BridgeError as error:
            fail("\n".join(filter(None, (f"{_typed(command)}: {error}", after_error))))
        except OSError as error:
            fail(f"{_typed(command)}: {os_error_text(error, config.spool.directory)}")


def _typed(command: str) -> str:
    """Returns the name that the user has typed: ``spool move``, not ``spool-move``."""
    context = click.get_current_context(silent=True)
    return command if context is None else command_name(context)


def existing_spool(directory: Path) -> Path:
    """Returns the directory of a spool. Raises ControlError if it does not exist."""
    if not directory.is_dir():
        raise control_client.never_ran(directory)
    return directory


def require_bridge(config: Config, command: str) -> None:
    """Exits with 1 if no bridge runs. Raises ControlError if there is no spool."""
    if not bridge_runs(config):
        fail(f"{command}: no bridge is running. Start it with systemctl start syslog-bridge")


def bridge_runs(config: Config) -> bool:
    """Returns True if a bridge has the lock of the spool. Raises ControlError if there is no spool."""
    return spool_owner.owner(existing_spool(config.spool.directory)) is not None


@contextmanager
def _progress_bar(description: str) -> Iterator[Callable[[JSON], None]]:
    """Shows a progress bar on stderr if that is a terminal, else nothing. Yields a function that takes each report."""
    if not description or not sys.stderr.isatty():
        yield lambda report: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[count]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=None, count="")

        def update(report: JSON) -> None:
            done, total = report.get("done", report.get("events")), report.get("total")
            progress.update(task, completed=done or 0, total=total, count="" if done is None else f"{done:,}")

        yield update


def fail_if_interrupted(result: JSON, items: str) -> None:
    """Exits with 1 if a command was interrupted; ``items`` says what it has not changed."""
    if result["interrupted"]:
        fail(f"interrupted. The remaining {items} were not changed")
