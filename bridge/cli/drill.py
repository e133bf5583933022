"""Implements ``syslog-bridge drill``: runs the checks and scenarios, prints the progress and the verdict."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

import click

from bridge.cli import configuration_file
from bridge.cli.options import CliCommand, example, output_option, parsed
from bridge.config import Config, Share, load
from bridge.config.spool_place import DEFAULT_DIRECTORY
from bridge.config.units import duration, rate
from bridge.host.privileges import become_owner
from bridge.trial.drill import machine_checks
from bridge.trial.drill.machine_checks import Finding, Need
from bridge.trial.drill.processes import CollectorProcess, DrillError, GatewayProcess
from bridge.trial.drill.rate_ramp import Ramp, measure_rate
from bridge.trial.drill.scenarios import SCENARIOS, Drill, ScenarioResult
from bridge.trial.drill.senders import Numbers
from bridge.util.counts import counted

_PARTS = ("surroundings", *SCENARIOS, "ramp")
_TYPICAL_EVENT = 300.0
"Assumed bytes on disk per event, for the check of the disk space."


@dataclass
class DrillResults:
    """The results of all parts of a drill."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: list[ScenarioResult] = field(default_factory=list)
    ramps: list[Ramp] = field(default_factory=list)

    @property
    def failed_checks(self) -> list[str]:
        """Returns the names of the checks and scenarios that failed."""
        return [
            *(finding.name for finding in self.findings if not finding.ok),
            *(outcome.name for outcome in self.outcomes if not outcome.ok),
            *(f"rate over {ramp.kind}" for ramp in self.ramps if not ramp.rate),
        ]

    def verdict(self) -> list[str]:
        """Returns the final text: losses, rates, and the checks that failed."""
        sent = sum(outcome.sent for outcome in self.outcomes)
        lost = sum(outcome.lost for outcome in self.outcomes)
        twice = sum(outcome.twice for outcome in self.outcomes)
        delays = [outcome.caught_up for outcome in self.outcomes if outcome.caught_up is not None]
        lines: list[str] = []
        if self.outcomes:
            slowest = f" The slowest recovery took {max(delays):.1f} s." if delays else ""
            lines.append(
                f"{counted(sent, 'event')} sent in {counted(len(self.outcomes), 'fault scenario')}: {lost:,} lost and"
                f" not counted, {twice:,} delivered twice.{slowest}"
            )
        lines += [f"Over {ramp.kind.upper()} this machine sustains {ramp.rate:,} events/s." for ramp in self.ramps]
        failed = f"Failed: {', '.join(self.failed_checks)}. The lines marked NO say why and what to do."
        return [*lines, failed if self.failed_checks else "Passed: this machine is ready for the bridge."]


def _rate(text: str) -> int:
    return rate(text if text.endswith("/s") else f"{text}/s")


@click.command(cls=CliCommand, epilog=example("syslog-bridge drill", "syslog-bridge drill --only outage,kill --quick"))
@configuration_file.configuration_option(help="Its spool, buffers and URL are checked; may be missing.")
@click.option("--rate", "expected", metavar="N/s", type=parsed(_rate), default="500/s", show_default=True,
              help="Expected event rate.")  # fmt: skip
@click.option("--outage", metavar="TIME", type=parsed(duration), default="8h", show_default=True,
              help="Duration of a collector outage that the spool must hold.")  # fmt: skip
@click.option("--directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Directory for the drill's own spool.  [default: beside the configured spool]")  # fmt: skip
@click.option("--only", metavar="NAMES", help=f"Comma-separated list of parts to run: {', '.join(_PARTS)}")
@click.option("--quick", is_flag=True, help="Shorter faults and steps: half a minute instead of two minutes.")
@click.option("--no-connect", is_flag=True, help="Do not request the time from the configured collector.")
@output_option()
@click.pass_context
def drill(
    context: click.Context, file: Path, expected: int, outage: timedelta, directory: Path | None, only: str | None,
    quick: bool, no_connect: bool, output: str,
) -> None:  # fmt: skip
    """Test this machine with fault scenarios and load.

    The scenarios are outage, 429, 500, 413, a rejected event, kill -9 and a full spool. The drill runs a second bridge
    on loopback against a stand-in collector; the production bridge and collector are not touched. It prints a verdict
    at the end. Exit code 1 if a check or scenario failed.
    """
    parts, as_json = _chosen(only), output == "json"
    missing = not configuration_file.is_named(context) and not file.exists()
    config = None if missing else load(file, secrets=False)
    need = Need(expected, outage.total_seconds(), _TYPICAL_EVENT)
    results = DrillResults()

    def say(text: str, *, nl: bool = True) -> None:
        click.echo(text, err=as_json, nl=nl)

    if "surroundings" in parts:
        for finding in _machine_findings(config, need, no_connect):
            results.findings.append(finding)
            say(f"{_mark(finding.ok)} {finding.name}: {finding.text}")
    with _system(config, directory, quick) as system:
        chosen = [name for name in SCENARIOS if name in parts]
        for position, name in enumerate(chosen, start=1):
            description, run = SCENARIOS[name]
            say(f"   [{position}/{len(chosen)}] {name}: {description} ...")
            outcome = run(system)
            results.outcomes.append(outcome)
            say(f"{_mark(outcome.ok)} {name}: {outcome.text}")
        for kind in ("tcp", "udp") if "ramp" in parts else ():
            say(f"   ramp over {kind}: ", nl=False)
            ramp = measure_rate(system, kind, 1.0 if quick else 3.0, lambda step: say(f"{step} ", nl=False))
            results.ramps.append(ramp)
            say(f"\n{_mark(bool(ramp.rate))} {kind}: {ramp}")
    if as_json:
        click.echo(json.dumps({"good": not results.failed_checks, **asdict(results)}, indent=2))
    else:
        say("")
        say("\n".join(results.verdict()))
    raise SystemExit(1 if results.failed_checks else 0)


def _chosen(only: str | None) -> set[str]:
    if only is None:
        return set(_PARTS)
    chosen = {name.strip() for name in only.split(",")}
    if unknown := chosen - set(_PARTS):
        raise click.UsageError(f"--only: unknown part {', '.join(sorted(unknown))}. The parts are {', '.join(_PARTS)}")
    return chosen


def _machine_findings(config: Config | None, need: Need, no_connect: bool) -> Iterator[Finding]:
    if config is None:
        yield machine_checks.disk(DEFAULT_DIRECTORY, Share(80), Share(10), need)
        yield machine_checks.receive_buffer(16 << 20)
        yield machine_checks.clock(None, 0.0)
        return
    yield machine_checks.disk(config.spool.directory, config.spool.max_size, config.spool.min_free, need)
    buffers = [listener.receive_buffer for listener in config.listeners if listener.kind == "udp"]
    if buffers:
        yield machine_checks.receive_buffer(max(buffers))
    destination = next(iter(config.intakes.values())).destination
    date, now = (None, 0.0) if no_connect or destination.proxy else machine_checks.fetch_date(destination)
    yield machine_checks.clock(date, now)


@contextmanager
def _system(config: Config | None, directory: Path | None, quick: bool) -> Iterator[Drill]:
    """Runs a stand-in collector and a bridge in a temporary folder, and deletes the folder afterwards."""
    # Absolute: the configuration of the drill is in this folder, and its relative paths would start there once more.
    parent = None if directory is None else directory.absolute()
    if parent is None and config is not None:
        parent = next(folder for folder in config.spool.directory.absolute().parents if folder.exists())
    if parent is not None:
        # The owner of the folder could replace the drill's own folder while root writes to it.
        become_owner(parent)
    if not os.access(sys.executable, os.X_OK):
        raise DrillError(f"the owner of {parent} cannot run the program {sys.executable}. Give another --directory")
    try:
        folder = Path(tempfile.mkdtemp(prefix="syslog-bridge-drill-", dir=parent))
    except OSError as error:
        raise DrillError(
            f"cannot write to {parent}: {error.strerror}. Run the command as root, or give another --directory"
        ) from None
    drill_collector = CollectorProcess()
    gateway = GatewayProcess(folder, drill_collector.port, *(() if config is None else (config.spool.fsync,)))
    try:
        gateway.start()
        yield Drill(
            drill_collector, gateway, Numbers(), fault_seconds=2.0 if quick else 6.0, events=2_000 if quick else 10_000
        )
    finally:
        gateway.stop()
        drill_collector.close()
        shutil.rmtree(folder, ignore_errors=True)


def _mark(ok: bool) -> str:
    return "ok" if ok else "NO"
