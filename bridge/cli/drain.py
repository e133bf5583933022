"""``syslog-bridge drain``: delivers everything that waits before a gateway is taken away."""

from pathlib import Path

import click

from bridge.cli.execute import act, needs_bridge
from bridge.cli.options import (
    configuration_option,
    failed,
    loaded,
    span,
)
from bridge.operations.command import CommandError


@click.command(epilog="\b\nExample:\n  syslog-bridge drain --timeout 30m && systemctl stop syslog-bridge")
@configuration_option
@click.option("--timeout", type=span, default="30m", show_default=True, help="Give up after so long.")
def drain(file: Path, timeout: float) -> None:
    """Take no more messages, and deliver all that is there: before a gateway is taken away.

    Exit code 0: nothing is left; 1: this is left. The bridge goes on running and delivering, with its listeners closed
    until a reload opens them again. Without a running bridge, its spool is emptied by this command.
    """
    config = loaded(file, secrets=False)
    if needs_bridge(config, "drain"):
        result = act(config, "drain", {"timeout_seconds": int(timeout)}, what="draining")
    else:
        from bridge.app.offline_drain import drain_spool  # noqa: PLC0415

        try:
            result = drain_spool(loaded(file), timeout)
        except CommandError as error:
            failed(f"drain: {error}")
    if not result["left"]:
        click.echo("drained: nothing is left")
        return
    for intake, count in result["by_intake"].items():
        click.echo(f"{intake}: {count:,} events")
    failed(f"drain: {result['left']:,} events are left; syslog-bridge status tells why")
