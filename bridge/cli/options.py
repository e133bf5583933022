"""What the commands share: the option ``-c``, and a configuration or all that is wrong with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import click

from bridge.config import Config, ConfigurationError, load
from bridge.config.units import duration
from bridge.routing.conditions import Address

DEFAULT_FILE = Path("/etc/syslog-bridge/bridge.yaml")

WRONG_USAGE = 2
"""Exit code of wrong usage and of a configuration with faults."""


def configuration_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``-c FILE``, passed as ``file``."""
    return click.option(
        "-c", "--config", "file", metavar="FILE", type=click.Path(path_type=Path), default=DEFAULT_FILE,
        show_default=True, help="The configuration.",
    )(command)  # fmt: skip


class Bundle:
    """Several options that belong together."""

    def __init__(self, *options: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._options = options

    def __call__(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """Add them, in their order."""
        for option in reversed(self._options):
            command = option(command)
        return command


def loaded(file: Path, *, secrets: bool = True) -> Config:
    """The configuration; where it has faults, each is a line on stderr and the program ends with 2."""
    try:
        return load(file, secrets=secrets)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None


def failed(text: str) -> NoReturn:
    """The work failed: one line on stderr, exit 1."""
    click.echo(text, err=True)
    raise SystemExit(1)


# Types of options: functions, which click calls with the text, and which refuse it in words.


def address(text: str) -> Address:
    """An IP address; a mapped IPv4 address is IPv4, as it is for a listener."""
    try:
        given = ip_address(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is no IP address, such as 192.0.2.7 or 2001:db8::7") from None
    mapped = getattr(given, "ipv4_mapped", None)
    return given if mapped is None else mapped


def span(text: str) -> float:
    """A duration such as 30m, in seconds."""
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def time(text: str) -> datetime:
    """An RFC 3339 time; without an offset it is UTC."""
    given = clock_time(text)
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def clock_time(text: str) -> datetime:
    """An RFC 3339 time, which may lack its offset."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is no time, such as 2026-11-23T07:24:00Z") from None
