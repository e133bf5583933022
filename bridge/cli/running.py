"""Implements ``syslog-bridge reload`` and ``drain``: operations of the running bridge as a whole."""

from datetime import timedelta
from pathlib import Path

import click

from bridge.cli.changes import end_dry_run, print_result
from bridge.cli.execute import bridge_runs, existing_spool, require_bridge, run_command
from bridge.cli.options import CliCommand, configuration_option, example, fail, output_option, parsed, with_spool
from bridge.config import Config, ConfigurationError, load
from bridge.config.units import duration
from bridge.host.privileges import become_owner
from bridge.operations.selection import count_waiting
from bridge.spool.partition import EventFilter
from bridge.util.counts import counted, verb


def _confirmation_time(text: str) -> timedelta:
    given = duration(text)
    if not timedelta(seconds=1) <= given <= timedelta(days=7):
        raise ValueError("the time to confirm must be 1s to 7d")
    return given


_UNCHANGED = "reload: nothing was changed. A running bridge keeps its configuration"


class _ReloadCommand(CliCommand):
    after_faults = _UNCHANGED


@click.command(
    cls=_ReloadCommand,
    epilog=example("syslog-bridge reload", "syslog-bridge reload --confirm 5m && syslog-bridge reload --confirmed"),
)
@click.option(
    "--confirm",
    "within",
    metavar="TIME",
    type=parsed(_confirmation_time),
    help="Go back to the previous configuration after this time, unless reload --confirmed is run.",
)
@click.option("--confirmed", is_flag=True, help="Keep the configuration that waits for this confirmation.")
@with_spool
@output_option()
def reload(config: Config, within: timedelta | None, confirmed: bool, output: str) -> None:
    """Reload the configuration of the running bridge.

    Does the same as systemctl reload, and prints the result.

    With --confirm 5m the bridge goes back to the previous configuration after five minutes, unless you run reload
    --confirmed before. So a change that cuts off the senders or the collector is undone. A restart does not end the
    wait. The files on disk are never changed. A reload without --confirm does not confirm.
    """
    if within is not None and confirmed:
        raise click.UsageError("--confirm begins the wait and --confirmed ends it: give one of them")
    require_bridge(config, "reload")
    given: dict[str, object] = {"confirmed": True} if confirmed else {}
    if within is not None:
        given = {"confirm_seconds": int(within.total_seconds())}
    result = run_command(config, "reload", given, after_error=_UNCHANGED)
    print_result(output, result, [result["text"]])


@click.command(cls=CliCommand, epilog=example("syslog-bridge drain --timeout 30m && systemctl stop syslog-bridge"))
@configuration_option
@click.option(
    "--timeout", metavar="TIME", type=parsed(duration), default="30m", show_default=True, help="Maximum duration."
)
@click.option("--dry-run", is_flag=True, help="Show the waiting events, and change nothing.")
@output_option()
def drain(file: Path, timeout: timedelta, dry_run: bool, output: str) -> None:
    """Close the listeners and deliver all waiting events.

    Use it before a gateway is decommissioned. Exit code 0 if no events are left, else 1. The bridge keeps running and
    delivering; its listeners stay closed until a reload or a restart. If no bridge is running, this command delivers
    the events in the spool itself.
    """
    # Root reads the program and the keys before it becomes the user of the spool, who may not be allowed to read them.
    from bridge.app.offline_drain import drain_spool  # noqa: PLC0415

    config, complete = load(file, secrets=False), _with_secrets(file)
    become_owner(config.spool.directory)
    if dry_run:
        counts = count_waiting(existing_spool(config.spool.directory), None, EventFilter())
        end_dry_run("close the listeners and deliver", "event", counts, output)
    if bridge_runs(config):
        result = run_command(config, "drain", {"timeout_seconds": int(timeout.total_seconds())}, description="draining")
    elif isinstance(complete, ConfigurationError):
        raise complete
    else:
        result = drain_spool(complete, timeout.total_seconds())
    left_over = int(result["left"])
    left = [f"{intake}: {counted(count, 'event')}" for intake, count in result["by_intake"].items()]
    print_result(output, result, left if left_over else ["drained: no events are left"])
    if not left_over:
        return
    are = verb(left_over, "is", "are")
    fail(f'drain: {counted(left_over, "event")} {are} left. Run "syslog-bridge status" to see why')


def _with_secrets(file: Path) -> Config | ConfigurationError:
    """Returns the configuration with its secrets, which only a command without a running bridge needs, or its error."""
    try:
        return load(file)
    except ConfigurationError as error:
        return error
