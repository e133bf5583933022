"""Defines the command ``syslog-bridge`` and loads its subcommands on demand.

The module of a subcommand is imported only when the subcommand is used. So each one starts as fast as possible, and
those that need a reactor can install the bridge's reactor first.
"""

import gc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from bridge import __version__
from bridge.cli.suggest import SuggestingGroup

LOG_FORMATS = ("auto", "text", "journal", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")

# Command name -> its module in `bridge.cli`, and the name of the click command in that module.
_COMMANDS = {
    name: (name, name)
    for name in ("check", "collector", "demo", "drill", "explain", "formats", "key", "quarantine", "replay", "report",
                 "send", "setup", "spool", "status", "tail", "test", "why")
} | {
    "config": ("config", "config_group"),
    "drain": ("running", "drain"),
    "import": ("import_forwarder", "import_forwarder"),
    "reload": ("running", "reload"),
    "schema": ("config", "schema"),
    "unrouted": ("quarantine", "unrouted"),
}  # fmt: skip


def _module(name: str) -> ModuleType:
    """Imports ``bridge.NAME`` without garbage collection.

    The objects of a module live as long as the process. Not collecting during the import saves a sixth of the start
    time of a bridge.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"bridge.{name}")
    finally:
        if enabled:
            gc.enable()


def _run() -> click.Command:
    configuration_option: Callable[[Callable[..., None]], Callable[..., None]]
    configuration_option = _module("cli.options").configuration_option

    @click.command(epilog="\b\nExample:\n  syslog-bridge run -c /etc/syslog-bridge/bridge.yaml")
    @configuration_option
    @click.option("--log-format", type=click.Choice(LOG_FORMATS), default="auto", show_default=True,
                  help="text; journal: with journald priorities; json: one object per line; auto: journal or text."
                  )  # fmt: skip
    @click.option(
        "--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="Lowest level to log."
    )
    @click.pass_context
    def run(context: click.Context, file: Path, log_format: str, log_level: str) -> None:
        """Run the bridge in the foreground until SIGTERM or Ctrl-C. SIGHUP reloads the configuration."""
        context.exit(_module("app.run").run(file, log_format=log_format, log_level=log_level))

    return run


class _Lazy(SuggestingGroup):
    """Imports the module of a command when the command is used or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*_COMMANDS, "run"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            if cmd_name == "run":
                self.add_command(_run(), cmd_name)
            elif cmd_name in _COMMANDS:
                module, name = _COMMANDS[cmd_name]
                self.add_command(getattr(_module(f"cli.{module}"), name), cmd_name)
        return self.commands.get(cmd_name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syslog-bridge")
def main() -> None:
    """Receive syslog and deliver it to SEKOIA.IO's HTTPS log collector, with every event buffered on disk.

    \b
    Example: syslog-bridge check -c bridge.yaml && syslog-bridge run -c bridge.yaml
    """
