"""The command line. Each command lives with what it does; here they only meet.

A command's module is imported when the command is named: each starts as fast as it can, and those that need a reactor
can install ours first.
"""

import gc
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from bridge import __version__

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.setup.check_result import StepResult

LOG_FORMATS = ("auto", "text", "journal", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")

# Name -> module below `bridge`, and the command's name there.
_COMMANDS = {
    "collector": ("cli.collector", "collector"),
    "config": ("cli.config", "config_group"),
    "demo": ("cli.demo", "demo"),
    "drain": ("cli.drain", "drain"),
    "drill": ("cli.drill", "drill"),
    "explain": ("cli.explain", "explain"),
    "formats": ("cli.formats", "formats"),
    "import": ("cli.import_forwarder", "import_forwarder"),
    "key": ("cli.key", "key"),
    "quarantine": ("cli.quarantine", "quarantine"),
    "reload": ("cli.reload", "reload"),
    "replay": ("cli.replay", "replay"),
    "report": ("cli.report", "report"),
    "schema": ("cli.schema", "schema"),
    "send": ("cli.send", "send"),
    "spool": ("cli.spool", "spool"),
    "status": ("cli.status", "status"),
    "tail": ("cli.tail", "tail"),
    "test": ("cli.test", "test"),
    "unrouted": ("cli.quarantine", "unrouted"),
    "why": ("cli.why", "why"),
}


def _module(name: str) -> ModuleType:
    """``bridge.NAME``. What a module makes lives as long as the process: not to look for garbage among it meanwhile
    saves a sixth of the time in which a bridge starts."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"bridge.{name}")
    finally:
        if enabled:
            gc.enable()


def _probe(config: "Config", connect: bool, send_test: bool) -> "Sequence[StepResult]":
    results: Sequence[StepResult] = _module("setup.connection_check").probe(config, connect, send_test)
    return results


def _check() -> click.Command:
    command: click.Command = _module("cli.check").make_check(_probe)
    return command


def _setup() -> click.Command:
    command: click.Command = _module("cli.setup").make_setup(_probe)
    return command


def _run() -> click.Command:
    configuration_option: Callable[[Callable[..., None]], Callable[..., None]]
    configuration_option = _module("cli.options").configuration_option

    @click.command(epilog="\b\nExample:\n  syslog-bridge run -c /etc/syslog-bridge/bridge.yaml")
    @configuration_option
    @click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="auto",
        show_default=True,
        help="text; journal: journald's levels; json: a line each; auto: journal under systemd, else text.",
    )
    @click.option(
        "--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="The least to log."
    )
    @click.pass_context
    def run(context: click.Context, file: Path, log_format: str, log_level: str) -> None:
        """Run in the foreground until SIGTERM or Ctrl-C."""
        context.exit(_module("app.run").run(file, log_format=log_format, log_level=log_level))

    return run


# Those that are put together here.
_MADE: dict[str, Callable[[], click.Command]] = {"check": _check, "run": _run, "setup": _setup}


class _Lazy(click.Group):
    """Commands whose modules are imported when they are named, or when the overview asks for their help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted([*_COMMANDS, *_MADE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command."""
        if cmd_name not in self.commands:
            if cmd_name in _MADE:
                self.add_command(_MADE[cmd_name](), cmd_name)
            elif cmd_name in _COMMANDS:
                module, name = _COMMANDS[cmd_name]
                self.add_command(getattr(_module(module), name), cmd_name)
        return self.commands.get(cmd_name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syslog-bridge")
def main() -> None:
    """Syslog in, SEKOIA.IO's HTTPS log collector out, every event on disk in between.

    \b
    Example: syslog-bridge check -c bridge.yaml && syslog-bridge run -c bridge.yaml
    """
