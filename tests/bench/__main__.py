"""Runs the rounds: every contender once per round, in turn, so that a change of the machine affects all."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tests.bench import plan, report
from tests.bench.contenders import CONTENDERS, grant_receive_buffers
from tests.bench.load import LOADS
from tests.bench.mix import SITE
from tests.bench.rounds import Result, run_once
from tests.peers import rsyslog_http
from tests.peers.unpacked import PeerMissing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--load", choices=[*plan.SERIES, "ladder"], action="append", help="run only these loads (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor for the numbers of events: 0.5 takes half the time"
    )
    parser.add_argument(
        "--mix", type=Path, default=SITE, help="devices of the site loads (default: tests/bench/mixes/site.yaml)"
    )
    parser.add_argument("--cores", type=int, help="number of CPU cores that a contender may use (default: all)")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="run only these contenders")
    parser.add_argument("--add", type=Path, action="append", default=[], help="add the runs of an earlier --json file")
    parser.add_argument("--no-runs", action="store_true", help="run nothing, report only what --add reads")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--plot", type=Path, help="draw the ratios to this SVG file")
    options = parser.parse_args()
    if why := grant_receive_buffers():
        print(why, file=sys.stderr)
    results: list[Result] = []
    for file in options.add:
        results += further_rounds(results, report.read_json(file))
    before = len(results)
    missing = False
    for name in () if options.no_runs else options.load or [*plan.SERIES, "ladder"]:
        # A peer that is not installed ends its series only: the other runs took minutes.
        try:
            if name == "ladder":
                _ladder(options.only or ["bridge", "syslog-ng"], options.rounds, results)
                continue
            report.print_head(name)
            for result in _series(
                name, options.rounds, options.scale, options.only, mix=options.mix.resolve(), cores=options.cores
            ):
                results.append(result)
                report.print_row(result)
        except PeerMissing as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            missing = True
    summary = report.summary(results)
    report.print_summary(summary)
    if options.json:
        report.write_json(options.json, results, summary)
    if options.plot:
        report.write_plot(options.plot, summary)
    lost = any(result.lost for result in results[before:] if LOADS[result.load].transport != "udp")
    return 1 if missing or lost else 0


def further_rounds(before: list[Result], runs: list[Result]) -> list[Result]:
    """Renumbers runs of another time as further rounds, since only runs of one round are compared."""
    last = {
        series: max(run.round for run in before if run.series == series) for series in {run.series for run in before}
    }
    return [replace(run, round=run.round + last.get(run.series, 0)) for run in runs]


def _series(
    name: str, rounds: int, scale: float, only: list[str] | None, *, mix: Path, cores: int | None
) -> Iterable[Result]:  # fmt: skip
    runs = [run for run in plan.SERIES[name] if not only or run[0] in only]
    if not rsyslog_http.is_built() and any(run[0] == "rsyslog" for run in runs):
        print("rsyslog is left out: `sh tests/peers/build-omhttp` builds it", file=sys.stderr)
        runs = [run for run in runs if run[0] != "rsyslog"]
    for number in range(1, rounds + 1):
        # Alternate the order, so that each contender runs first as often as last.
        for contender, load in runs if number % 2 else reversed(runs):
            events = plan.EVENTS.get((contender, load), plan.DEFAULT_EVENTS) * plan.EVENT_FACTORS.get(name, 1)
            yield replace(_run(contender, load, number, int(events * scale), mix=mix, cores=cores), series=name)


def _ladder(contenders: list[str], tries: int, results: list[Result]) -> None:
    """Runs the rates of the ladder from the lowest up, for each contender until it loses events."""
    report.print_head("ladder")
    climbing = list(contenders)
    for rate in plan.LADDER:
        for number in range(1, tries + 1):
            for contender in climbing.copy():
                result = _run(contender, "W3", number, rate * plan.LADDER_SECONDS, rate=rate)
                report.print_row(result)
                results.append(result)
                if result.lost:
                    climbing.remove(contender)


def _run(
    contender: str, load: str, number: int, events: int, *, rate: int = 0, mix: Path = SITE, cores: int | None = None
) -> Result:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        return run_once(contender, load, number, events, Path(directory), rate=rate, mix=mix, cores=cores)


if __name__ == "__main__":
    sys.exit(main())
