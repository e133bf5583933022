"""Carrying a command out: by the running bridge, or here, with the spool's lock."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from twisted.internet import defer

from bridge.admin.control_commands import OPERATOR_ERRORS, on_spool
from bridge.cli.options import failed
from bridge.config import Config
from bridge.operations import control_client, offline_spool
from bridge.operations.command import WrongRequest
from bridge.operations.session import OfflineSession
from bridge.spool import SpoolError

News = dict[str, Any]


def act(config: Config, command: str, given: Mapping[str, object], *, what: str = "") -> News:
    """The result of a command. With ``what`` its progress is shown, where somebody looks. Ends the program where it
    cannot be carried out."""
    with _shown(what) as tell:
        try:
            directory = existing(config.spool.directory)
            if offline_spool.owner(directory) is not None:
                return control_client.do(directory, command, given, tell)
            return _alone(config, command, given, tell)
        except control_client.ControlError as error:
            failed(f"{command}: {error}")
        except (*OPERATOR_ERRORS, SpoolError, WrongRequest) as error:
            failed(f"{command}: {error}")
        except OSError as error:
            failed(f"{command}: {error.filename or config.spool.directory}: {error.strerror}{_remedy(error)}")


def existing(directory: Path) -> Path:
    """A spool's directory, if there is one."""
    if not directory.is_dir():
        raise control_client.ControlError(f"the bridge has never run: there is no spool {directory}")
    return directory


def needs_bridge(config: Config, command: str) -> bool:
    """Whether a bridge runs, for what can only be done by one. Ends the program where that cannot be told."""
    try:
        return offline_spool.owner(existing(config.spool.directory)) is not None
    except control_client.ControlError as error:
        failed(f"{command}: {error}")
    except OSError as error:
        failed(f"{command}: {error.filename}: {error.strerror}{_remedy(error)}")


def unreadable(command: str, error: OSError) -> NoReturn:
    """A file of the spool could not be read."""
    failed(f"{command}: {error.filename}: {error.strerror}{_remedy(error)}")


def _remedy(error: OSError) -> str:
    return "; only the bridge's own user and root may look: use sudo" if isinstance(error, PermissionError) else ""


def _alone(config: Config, command: str, given: Mapping[str, object], tell: control_client.Tell) -> News:
    session = OfflineSession(config)
    try:

        def progress(news: dict[str, object]) -> bool:
            tell(news)
            return True

        answers: list[Any] = []
        defer.ensureDeferred(on_spool(session)[command](dict(given), progress)).addBoth(answers.append)
        (answer,) = answers
        if hasattr(answer, "raiseException"):
            answer.raiseException()
        result: News = answer
        return result
    finally:
        session.close()
        for text in session.said:
            click.echo(text, err=True)


class _shown:
    """A bar on a terminal; nothing elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._progress: Progress | None = None

    def __enter__(self) -> Callable[[News], None]:
        if not self._what or not sys.stderr.isatty():
            return lambda news: None
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._progress.start()
        task = self._progress.add_task(self._what, total=None, count="")

        def tell(news: News) -> None:
            assert self._progress is not None
            done = news.get("done", news.get("events"))
            total = news.get("total")
            self._progress.update(task, completed=done or 0, total=total, count="" if done is None else f"{done:,}")

        return tell

    def __exit__(self, *exc: object) -> None:
        if self._progress is not None:
            self._progress.stop()


def confirmed(question: str, *, yes: bool) -> None:
    """Ask, unless ``--yes`` was given; without an answer nothing is done."""
    if not yes and not click.confirm(question, err=True):
        raise SystemExit(1)


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)
