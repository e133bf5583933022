"""Defines the option ``-c FILE``, which works before and after the command.

The file that is named nearest to the command is used, then ``$SYSLOG_BRIDGE_CONFIG``, then the default.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

DEFAULT_FILE = Path("/etc/syslog-bridge/bridge.yaml")
VARIABLE = "SYSLOG_BRIDGE_CONFIG"
"The environment variable that names the configuration."

_KEY = "bridge.cli.configuration_file"
"Key of the named file in the values that a command shares with the commands above it."

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
"Adds an option to a command."


def _chosen(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:
    """Returns the file to use, and remembers it for the commands below this one."""
    from_environment = context.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT
    if value is not None and not (from_environment and _KEY in context.meta):
        context.meta[_KEY] = value
    file: Path = context.meta.get(_KEY, DEFAULT_FILE)
    return file


def configuration_option(*, expose_value: bool = True, help: str = "Configuration file.") -> Decorator:
    """Returns a decorator that adds ``-c FILE``, which the command gets as ``file`` if ``expose_value``."""
    return click.option(
        "-c", "--config", "file", metavar="FILE", type=click.Path(path_type=Path), envvar=VARIABLE, callback=_chosen,
        expose_value=expose_value, help=f"{help}  [env var: {VARIABLE}]",
    )  # fmt: skip


def is_named(context: click.Context) -> bool:
    """Returns True if the operator has named the configuration file, by an option or by the environment."""
    return _KEY in context.meta
