"""The command line. Each command lives with what it does; here they only meet.

Those that need a reactor import it when they run: it must be ours, and the others start faster without it.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from bridge import __version__
from bridge.config import Config
from bridge.tools.check import Result, make_check
from bridge.tools.config_show import config_group, schema
from bridge.tools.explain import explain
from bridge.tools.formats import formats
from bridge.tools.import_forwarder import import_forwarder
from bridge.tools.options import configuration_option
from bridge.tools.report import report
from bridge.tools.samples_test import test
from bridge.tools.send import send
from bridge.tools.setup import make_setup
from bridge.tools.status import status
from bridge.tools.tail import tail
from bridge.tools.why import why

LOG_FORMATS = ("auto", "text", "journal", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")


# Name -> module of bridge.operate, and the command's name there.
OPERATE = {
    "drain": ("upkeep", "drain"),
    "key": ("upkeep", "key"),
    "quarantine": ("quarantine", "quarantine"),
    "reload": ("upkeep", "reload"),
    "replay": ("replay", "replay"),
    "spool": ("spool", "spool"),
    "unrouted": ("quarantine", "unrouted"),
}


class _Lazy(click.Group):
    """Commands whose modules are imported when they are named, with the first line of their help for the overview."""

    later = ("collector", "demo", "drill", *OPERATE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted([*super().list_commands(ctx), *self.later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command."""
        if cmd_name == "collector":
            from bridge.collector.command import collector  # noqa: PLC0415

            return collector
        if cmd_name == "demo":
            from bridge.demo import demo  # noqa: PLC0415

            return demo
        if cmd_name == "drill":
            from bridge.drill.command import drill  # noqa: PLC0415

            return drill
        if cmd_name in OPERATE:
            module, name = OPERATE[cmd_name]
            command: click.Command = getattr(import_module(f"bridge.operate.{module}"), name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syslog-bridge")
def main() -> None:
    """Syslog in, SEKOIA.IO's HTTPS log collector out, every event on disk in between.

    \b
    Example: syslog-bridge check -c bridge.yaml && syslog-bridge run -c bridge.yaml
    """


@main.command(epilog="\b\nExample:\n  syslog-bridge run -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="auto",
    show_default=True,
    help="text; journal: journald's levels; json: a line each; auto: journal under systemd, else text.",
)
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="The least to log.")
@click.pass_context
def run(context: click.Context, file: Path, log_format: str, log_level: str) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C."""
    from bridge import service  # noqa: PLC0415

    context.exit(service.run(file, log_format=log_format, log_level=log_level))


def _probe(config: Config, connect: bool, send_test: bool) -> Sequence[Result]:
    from bridge.probe import probe  # noqa: PLC0415

    return probe(config, connect, send_test)


for command in (
    make_check(_probe),
    config_group,
    explain,
    formats,
    import_forwarder,
    make_setup(_probe),
    report,
    schema,
    send,
    status,
    tail,
    test,
    why,
):
    main.add_command(command)
