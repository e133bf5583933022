"""Defines the command ``syslog-bridge`` and loads its subcommands on demand.

The module of a subcommand is imported only when the subcommand is used. So each one starts as fast as possible, and
those that need a reactor can install the bridge's reactor first.
"""

import os
import sys
from io import FileIO, TextIOWrapper
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from bridge import __version__
from bridge.cli.configuration_file import DEFAULT_FILE, configuration_option
from bridge.cli.imports import import_now
from bridge.cli.registry import COMMANDS, GROUPS
from bridge.cli.suggest import SuggestingGroup

WIDTH = 80
"Columns of the help and of questions, at most."


class _LazyGroup(SuggestingGroup):
    """Imports the module of a command when the command is used. The list of commands needs none."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Makes the context of a command. Its output has no colours if ``NO_COLOR`` is set."""
        color = {"color": False} if os.environ.get("NO_COLOR") else {}
        return super().make_context(info_name, args, parent, **color | extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            entry = COMMANDS[cmd_name]
            self.add_command(getattr(import_now(f"bridge.cli.{entry.module}"), entry.attribute), cmd_name)
        return self.commands.get(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns the commands and options that begin with a word."""
        commands = [
            CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by group."""
        width = max(map(len, COMMANDS))
        for group in GROUPS:
            with formatter.section(group):
                rows = [(name.ljust(width), entry.summary) for name, entry in COMMANDS.items() if entry.group == group]
                formatter.write_dl(rows)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH})
@configuration_option(
    expose_value=False, help=f"Configuration file; also after the command.  [default: {DEFAULT_FILE}]"
)
@click.version_option(__version__, prog_name="syslog-bridge")
def main() -> None:
    """Receive syslog and deliver it to SEKOIA.IO's HTTPS log collector, with every
    event buffered on disk.

    \b
    Example:
      syslog-bridge check -c bridge.yaml && syslog-bridge run -c bridge.yaml
    """
    sys.stdout = _written_whole(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another locale than UTF-8 gets escapes for the characters that it cannot show.
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")


def _written_whole(stream: TextIO) -> TextIO:
    """Returns a stream that writes whole lines, also with PYTHONUNBUFFERED.

    The interpreter's own stream then loses the rest of a line if the process is stopped while the pipe is full.
    """
    raw = getattr(stream, "buffer", None)
    if not isinstance(raw, FileIO):
        return stream
    # The descriptor stays open, as for the interpreter's own stream.
    return open(raw.fileno(), "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False)
