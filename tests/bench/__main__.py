"""Runs the rounds: every contender once a round, in turn, so that a machine that drifts drifts for all."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.contenders import CONTENDERS
from tests.bench.load import LOADS
from tests.bench.rounds import Result, run_once
from tests.peers.unpacked import PeerMissing

_ROW = "{:<11} {:>5} {:>10} {:>14} {:>10} {:>9} {:>9} {:>8}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--load", choices=LOADS, default="W1", help="which load (default: W1)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=1_000_000, help="of one contender in one round")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="leave out the others")
    parser.add_argument("--json", type=Path, help="also write the results there")
    options = parser.parse_args()
    contenders = [name for name in CONTENDERS if not options.only or name in options.only]
    print(f"{options.load}: {LOADS[options.load].description}; {options.events:,} events; TLS out")
    print(_ROW.format("", "round", "lost", "events/CPU s", "events/s", "CPU s", "RSS MB", "posts"))
    results: list[Result] = []
    for number in range(1, options.rounds + 1):
        # Each goes first as often as it goes last.
        for contender in contenders if number % 2 else reversed(contenders):
            with tempfile.TemporaryDirectory(prefix="bench-") as directory:
                try:
                    results.append(run_once(contender, options.load, number, options.events, Path(directory)))
                except PeerMissing as missing:
                    print(missing, file=sys.stderr)
                    return 1
            _print_row(results[-1])
    ratios = _print_medians(results, contenders)
    if options.json:
        runs = [asdict(result) | {"events_per_cpu_second": result.events_per_cpu_second} for result in results]
        options.json.write_text(json.dumps({"load": options.load, "ratios": ratios, "runs": runs}, indent=1) + "\n")
    return 1 if any(result.lost for result in results) else 0


def _print_row(result: Result) -> None:
    print(
        _ROW.format(
            result.contender,
            result.round,
            result.lost,
            f"{result.events_per_cpu_second:,.0f}",
            f"{result.events_per_second:,.0f}",
            f"{result.cpu_seconds:.2f}",
            f"{result.peak_rss_mb:.0f}",
            result.requests,
        ),
        flush=True,
    )


def _print_medians(results: Sequence[Result], contenders: Sequence[str]) -> dict[str, list[float]]:
    """Print each contender's median, and the first one's ratios to the others, round by round. Returns the ratios."""
    per_cpu = {
        name: [run.events_per_cpu_second for run in sorted(results, key=lambda run: run.round) if run.contender == name]
        for name in contenders
    }
    for name, values in per_cpu.items():
        print(f"{name}: median {statistics.median(values):,.0f} events per CPU second")
    first, *others = contenders
    ratios = {}
    for other in others:
        ratios[f"{first}/{other}"] = values = [
            mine / theirs for mine, theirs in zip(per_cpu[first], per_cpu[other], strict=True)
        ]
        rounds = " ".join(f"{value:.2f}" for value in values)
        print(f"{first} / {other}: median {statistics.median(values):.2f} x per CPU second ({rounds})")
    return ratios


if __name__ == "__main__":
    sys.exit(main())
