"""Implements ``syslog-bridge run``. The bridge itself is imported when it starts, not for ``--help``."""

from pathlib import Path

import click

from bridge.cli.imports import import_now
from bridge.cli.options import configuration_option, example

LOG_FORMATS = ("auto", "text", "journal", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")


@click.command(epilog=example("syslog-bridge run -c /etc/syslog-bridge/bridge.yaml"))
@configuration_option
@click.option("--log-format", type=click.Choice(LOG_FORMATS), default="auto", show_default=True,
              help="text; journal: with journald priorities; json: one object per line; auto: journal or text.",
              )  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True, help="Lowest level to log."
)
@click.pass_context
def run(context: click.Context, file: Path, log_format: str, log_level: str) -> None:
    """Run the bridge in the foreground until SIGTERM or Ctrl-C. SIGHUP reloads the configuration."""
    context.exit(import_now("bridge.app.run").run(file, log_format=log_format, log_level=log_level))
