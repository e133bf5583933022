"""Defines the times of the command line: ``--since`` and ``--until``."""

from datetime import UTC, datetime

import click

from bridge.cli.configuration_file import Decorator
from bridge.cli.old_names import RenamedOption
from bridge.cli.options import time
from bridge.config.faults import printable

_FORMS = "a time, a day or an age, such as 2026-03-01T07:24:00Z, 2026-03-01 or -1h"


def moment(text: str) -> datetime:
    """Parses ``now``, an age such as ``-1h``, an RFC 3339 time, or a day; without an offset it is UTC."""
    now = datetime.now(UTC)
    if text == "now":
        return now
    if not text.startswith("-"):
        return time(text, _FORMS)
    from bridge.config.units import duration  # noqa: PLC0415  slow to import, and not needed for --help

    try:
        return now - duration(text[1:])
    except (ValueError, OverflowError):
        raise click.BadParameter(f"'{printable(text)}' is not {_FORMS}") from None


def since_option(*, default: str | None) -> Decorator:
    """Returns a decorator that adds ``--since TIME``; ``default`` describes its default, None: it is required."""
    return _option("--since", "--from", "Start of the period: a time, a day, or -1h, -7d.", default)


def until_option(*, default: str | None) -> Decorator:
    """Returns a decorator that adds ``--until TIME``; ``default`` describes its default, None: it is required."""
    return _option("--until", "--to", "End of the period, not included.", default)


def _option(name: str, old: str, help: str, default: str | None) -> Decorator:
    described = help if default is None else f"{help}  [default: {default}]"
    return click.option(
        name, cls=RenamedOption, old={old: None}, metavar="TIME", type=moment, required=default is None, help=described
    )
