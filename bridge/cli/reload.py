"""``syslog-bridge reload``: applies the configuration file to the running bridge."""

from pathlib import Path

import click

from bridge.cli.execute import act, needs_bridge
from bridge.cli.options import configuration_option, failed, loaded


@click.command(epilog="\b\nExample:\n  syslog-bridge reload -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
def reload(file: Path) -> None:
    """Have the running bridge read its configuration again, as systemctl reload does, and tell what became of it."""
    config = loaded(file, secrets=False)
    if not needs_bridge(config, "reload"):
        failed("reload: no bridge is running")
    click.echo(act(config, "reload", {})["text"])
