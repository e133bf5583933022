"""Defines options, option types and helpers that several commands share."""

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
"""Exit code of wrong usage and of a configuration with errors."""


def configuration_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the option ``-c FILE``, which the command gets as ``file``."""
    return click.option(
        "-c", "--config", "file", metavar="FILE", type=click.Path(path_type=Path), default=DEFAULT_FILE,
        show_default=True, help="Configuration file.",
    )(command)  # fmt: skip


class Bundle:
    """Adds several options to a command."""

    def __init__(self, *options: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._options = options

    def __call__(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """Adds the options in the given order."""
        for option in reversed(self._options):
            command = option(command)
        return command


def load_config(file: Path, *, secrets: bool = True) -> Config:
    """Loads the configuration. If it has errors, prints each on a line of stderr and exits with 2."""
    try:
        return load(file, secrets=secrets)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None


def fail(text: str) -> NoReturn:
    """Prints an error on stderr and exits with 1."""
    click.echo(text, err=True)
    raise SystemExit(1)


# Option types. click calls them with the text of the option; they raise BadParameter if the text is invalid.


def address(text: str) -> Address:
    """Parses an IP address. An IPv4-mapped address is returned as IPv4, as a listener does."""
    try:
        parsed = ip_address(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not an IP address, such as 192.0.2.7 or 2001:db8::7") from None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return parsed if mapped is None else mapped


def duration_seconds(text: str) -> float:
    """Parses a duration such as 30m; returns seconds."""
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def time(text: str) -> datetime:
    """Parses an RFC 3339 time; without an offset it is UTC."""
    parsed = clock_time(text)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def clock_time(text: str) -> datetime:
    """Parses an RFC 3339 time with or without an offset."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a time, such as 2026-11-23T07:24:00Z") from None
