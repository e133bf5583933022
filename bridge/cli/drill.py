"""``syslog-bridge drill``: the order of things, progress, and the verdict."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

import click

from bridge.cli.options import DEFAULT_FILE, WRONG_USAGE, failed
from bridge.config import (
    Config,
    ConfigurationError,
    Share,
    load,
)
from bridge.config.units import duration, rate
from bridge.trial.drill import machine_checks
from bridge.trial.drill.machine_checks import Finding, Need
from bridge.trial.drill.processes import CollectorProcess, DrillError, GatewayProcess
from bridge.trial.drill.rate_ramp import Ramp, measure_rate
from bridge.trial.drill.scenarios import SCENARIOS, Drill, ScenarioResult
from bridge.trial.drill.senders import Numbers

_PARTS = ("surroundings", *SCENARIOS, "ramp")
_TYPICAL_EVENT = 300.0
"Bytes on disk; the outage exercise measures the drill's own."


@dataclass
class DrillResults:
    """All that was found out."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: list[ScenarioResult] = field(default_factory=list)
    ramps: list[Ramp] = field(default_factory=list)

    @property
    def to_do(self) -> list[str]:
        """Names of what is not as it should be."""
        return [
            *(finding.name for finding in self.findings if not finding.ok),
            *(outcome.name for outcome in self.outcomes if not outcome.ok),
            *(f"rate over {ramp.kind}" for ramp in self.ramps if not ramp.rate),
        ]

    def verdict(self) -> list[str]:
        """The end, in words."""
        sent = sum(outcome.sent for outcome in self.outcomes)
        lost = sum(outcome.lost for outcome in self.outcomes)
        twice = sum(outcome.twice for outcome in self.outcomes)
        waits = [outcome.caught_up for outcome in self.outcomes if outcome.caught_up is not None]
        lines: list[str] = []
        if self.outcomes:
            slowest = f", and had caught up {max(waits):.1f} s after the longest trouble" if waits else ""
            lines.append(
                f"In {len(self.outcomes)} kinds of trouble {sent:,} events were sent: {lost:,} were lost without a"
                f" trace, {twice:,} came twice{slowest}."
            )
        for ramp in self.ramps:
            lines.append(f"Over {ramp.kind.upper()} this machine sustains {ramp.rate:,} events a second.")
        mend = f"To be mended first: {', '.join(self.to_do)}; the lines marked NO say why."
        return [*lines, mend if self.to_do else "This machine is fit for the bridge."]


def _rate(text: str) -> int:
    try:
        return rate(text if text.endswith("/s") else f"{text}/s")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog="\b\nExamples:\n  syslog-bridge drill\n  syslog-bridge drill --only outage,kill --quick")
@click.option("-c", "--config", "file", metavar="FILE", type=click.Path(path_type=Path), default=DEFAULT_FILE,
              show_default=True, help="Whose spool, buffers and URL are looked at; it may be missing.")  # fmt: skip
@click.option(
    "--rate", "expected", metavar="N/s", type=_rate, default="500/s", show_default=True, help="Events expected."
)
@click.option("--outage", metavar="TIME", type=_duration, default="8h", show_default=True,
              help="How long the spool must hold them.")  # fmt: skip
@click.option("--directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Where the drill's own spool lies.  [default: beside the configured one]")  # fmt: skip
@click.option("--only", metavar="NAMES", help=f"Parts, with commas: {', '.join(_PARTS)}")
@click.option("--quick", is_flag=True, help="Shorter troubles and steps: half a minute instead of two.")
@click.option("--no-connect", is_flag=True, help="Do not ask the configured collector for its time.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON, for programs.")
def drill(
    file: Path, expected: int, outage: timedelta, directory: Path | None, only: str | None, quick: bool,
    no_connect: bool, as_json: bool,
) -> None:  # fmt: skip
    """Rehearse on this machine what can go wrong: outage, 429, 500, 413, a poison event, kill -9, a full spool, load.

    A second bridge runs on loopback against a collector of the drill's; the real one is not touched. Ends with a
    verdict; exit code 1 where something is to be mended.
    """
    parts = _chosen(only)
    config = _configuration(file)
    need = Need(expected, outage.total_seconds(), _TYPICAL_EVENT)
    results = DrillResults()

    def say(text: str, *, nl: bool = True) -> None:
        click.echo(text, err=as_json, nl=nl)

    if "surroundings" in parts:
        for finding in _look_around(config, need, no_connect):
            results.findings.append(finding)
            say(f"{_mark(finding.ok)} {finding.name}: {finding.text}")
    try:
        with _system(config, directory, quick) as system:
            named = [name for name in SCENARIOS if name in parts]
            for position, name in enumerate(named, start=1):
                what, run = SCENARIOS[name]
                say(f"   [{position}/{len(named)}] {name}: {what} ...")
                outcome = run(system)
                results.outcomes.append(outcome)
                say(f"{_mark(outcome.ok)} {name}: {outcome.text}")
            for kind in ("tcp", "udp") if "ramp" in parts else ():
                say(f"   ramp over {kind}: ", nl=False)
                ramp = measure_rate(system, kind, 1.0 if quick else 3.0, lambda step: say(f"{step} ", nl=False))
                results.ramps.append(ramp)
                say(f"\n{_mark(bool(ramp.rate))} {kind}: {ramp}")
    except (DrillError, OSError) as error:
        failed(f"drill: {error}")
    if as_json:
        click.echo(json.dumps({"good": not results.to_do, **asdict(results)}, indent=2))
    else:
        say("")
        say("\n".join(results.verdict()))
    raise SystemExit(1 if results.to_do else 0)


def _chosen(only: str | None) -> set[str]:
    if only is None:
        return set(_PARTS)
    chosen = {name.strip() for name in only.split(",")}
    if unknown := chosen - set(_PARTS):
        raise click.UsageError(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    return chosen


def _configuration(file: Path) -> Config | None:
    if file == DEFAULT_FILE and not file.exists():
        return None
    try:
        return load(file, secrets=False)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None


def _look_around(config: Config | None, need: Need, no_connect: bool) -> Iterator[Finding]:
    if config is None:
        yield machine_checks.disk(Path("/var/lib/syslog-bridge/spool"), Share(80), Share(10), need)
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
    """The far side and the bridge, in a folder that is gone afterwards."""
    beside = directory
    if beside is None and config is not None:
        beside = next(folder for folder in config.spool.directory.parents if folder.exists())
    try:
        folder = Path(tempfile.mkdtemp(prefix="syslog-bridge-drill-", dir=beside))
    except OSError as error:
        raise DrillError(f"cannot write in {beside}: {error.strerror}; use sudo, or name a --directory") from None
    drill_collector = CollectorProcess()
    gateway = GatewayProcess(folder, drill_collector.port, *(() if config is None else (config.spool.fsync,)))
    try:
        gateway.start()
        yield Drill(
            drill_collector,
            gateway,
            Numbers(),
            fault_seconds=2.0 if quick else 6.0,
            events=2_000 if quick else 10_000,
        )
    finally:
        gateway.stop()
        drill_collector.close()
        shutil.rmtree(folder, ignore_errors=True)


def _mark(ok: bool) -> str:
    return "ok" if ok else "NO"
