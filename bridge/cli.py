"""The command line. Each command lives with what it does; here they only meet."""

from pathlib import Path

import click

from bridge import __version__
from bridge.collector.command import collector

DEFAULT = Path("/etc/syslog-bridge/bridge.yaml")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="syslog-bridge")
def main() -> None:
    """Syslog in, SEKOIA.IO's HTTPS log collector out, every event on disk in between.

    \b
    Example: syslog-bridge check -c bridge.yaml && syslog-bridge run -c bridge.yaml
    """


@main.command()
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), default=DEFAULT, show_default=True,
              help="Configuration file.")  # fmt: skip
@click.pass_context
def run(context: click.Context, path: Path) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C.

    \b
    Example: syslog-bridge run -c /etc/syslog-bridge/bridge.yaml
    """
    from bridge import app  # noqa: PLC0415  the other commands need no reactor

    context.exit(app.run(path))


main.add_command(collector)
