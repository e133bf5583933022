"""Defines options, option types and helpers that several commands share."""

import errno
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce, wraps
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from bridge.cli import configuration_file
from bridge.cli.configuration_file import Decorator
from bridge.cli.old_names import RenamedOption
from bridge.cli.suggest import SuggestingGroup
from bridge.config.faults import ConfigurationError, printable
from bridge.host.privileges import become_owner
from bridge.util.errors import BridgeError

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.routing.conditions import Address
    from bridge.setup.check_result import StepResult

T = TypeVar("T")

WRONG_USAGE = 2
"""Exit code of wrong usage and of a configuration with errors."""
_WHOLE = 1000
"""Characters of a first sentence; click shows 45 and cuts the rest off."""


configuration_option = configuration_file.configuration_option()
"""Adds the option ``-c FILE``, which the command gets as ``file``."""


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the option ``-c FILE`` and passes the configuration as the first argument, read without its secrets."""

    @configuration_option
    @wraps(command)
    def loaded(file: Path, **given: object) -> None:
        from bridge.config import load  # noqa: PLC0415  slow to import, and not needed for --help

        command(load(file, secrets=False), **given)

    return loaded


def with_spool(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the option ``-c FILE`` and passes the configuration as ``configured`` does, for a command on its spool.

    If root runs the command on the spool of another user, the command has the rights of that user only.
    """

    @wraps(command)
    def owned(config: "Config", **given: object) -> None:
        become_owner(config.spool.directory)
        command(config, **given)

    return configured(owned)


def output_option(*others: str, help: str = "", old: Mapping[str, str | None] = MappingProxyType({})) -> Decorator:
    """Returns a decorator that adds ``--output text|json``, which the command gets as ``output``.

    ``others`` are more formats, ``old`` the old spellings besides ``--json``. ``help`` explains the formats.
    """
    formats = ("text", "json", *others)
    return click.option(
        "--output", cls=RenamedOption, old={"--json": "json", **old}, type=click.Choice(formats), default="text",
        show_default=True, help=help or "Output format.",
    )  # fmt: skip


def count_option(help: str, *, default: int) -> Decorator:
    """Returns a decorator that adds ``-n``/``--count``: how many messages a command shows, at most."""
    return click.option(
        "-n", "--count", cls=RenamedOption, old={"--limit": None}, metavar="N", type=WholeNumber(1), default=default,
        show_default=True, help=help,
    )  # fmt: skip


def bundle(*options: Decorator) -> Decorator:
    """Returns a decorator that adds several options to a command, in the given order."""
    return lambda command: reduce(lambda decorated, option: option(decorated), reversed(options), command)


def probe(config: "Config", connect: bool, send_test: bool) -> "Sequence[StepResult]":
    """Tests the connection to the collector; imported on use, because the test needs the HTTP client."""
    from bridge.setup import connection_check  # noqa: PLC0415

    return connection_check.probe(config, connect, send_test)


def fail(text: str, code: int = 1) -> NoReturn:
    """Prints an error on stderr and exits with ``code``."""
    click.echo(text, err=True)
    raise SystemExit(code)


class CliCommand(click.Command):
    """Prints an error whose text is for the operator and exits; other exceptions are defects and keep their trace."""

    after_faults = ""
    "Line that follows the faults of a configuration."

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command. Exits with 2 if the configuration has errors, with 1 after other errors."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            # Each fault begins with its own place.
            fail("\n".join(filter(None, (str(error), self.after_faults))), WRONG_USAGE)
        except BridgeError as error:
            fail(f"{command_name(ctx)}: {error}")
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click exits quietly when the reader of stdout has closed the pipe.
            fail(f"{command_name(ctx)}: {os_error_text(error)}")


class CliGroup(SuggestingGroup):
    """A command with subcommands, such as ``spool list``. Takes ``-c FILE`` for them, as the program does."""

    command_class = CliCommand

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        configuration_file.configuration_option(expose_value=False)(self)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes each subcommand with the whole first sentence of its help."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=_WHOLE)) for name, command in commands])


def example(*commands: str) -> str:
    """Returns the end of a command's help: one example, or several."""
    return "\n  ".join([f"\b\nExample{'s' * (len(commands) > 1)}:", *commands])


def command_name(ctx: click.Context) -> str:
    """Returns the command as typed, without the program: ``spool list``."""
    parent = ctx.parent
    above = "" if parent is None or parent.parent is None else f"{parent.command.name} "
    return f"{above}{ctx.command.name}"


def os_error_text(error: OSError, path: Path | None = None) -> str:
    """Returns file, reason and remedy of an error; ``path`` is the file if the error names none."""
    place = error.filename or path
    remedy = ""
    if isinstance(error, PermissionError):
        # Root has become the owner of the spool, who cannot use what root left there.
        remedy = ". Run the command as root or as the bridge's user. That user must own all files of the spool"
    return f"{f'{place}: ' if place else ''}{error.strerror or error}{remedy}"


def aligned(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Returns the lines of a table. ``numbers``: align all columns but the first to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    align = str.rjust if numbers else str.ljust
    return ["  ".join((row[0].ljust(first), *map(align, row[1:], others))).rstrip() for row in rows]


# Option types. click calls them with the text of the option; they raise BadParameter if the text is invalid.


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


def address(text: str) -> "Address":
    """Parses an IP address. An IPv4-mapped address is returned as IPv4, as a listener does."""
    try:
        parsed = ip_address(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not an IP address, such as 192.0.2.7 or 2001:db8::7") from None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return parsed if mapped is None else mapped


def parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Returns an option type: a parser whose ValueError has a text for the operator."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(printable(str(error))) from None

    return convert


def time(text: str, expected: str = "a time, such as 2026-11-23T07:24:00Z") -> datetime:
    """Parses an RFC 3339 time, or a day; without an offset it is UTC. ``expected`` is for the error."""
    parsed = clock_time(text, expected)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def clock_time(text: str, expected: str = "a time, such as 2026-11-23T07:24:00Z") -> datetime:
    """Parses an RFC 3339 time with or without an offset."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not {expected}") from None
