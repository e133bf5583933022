"""Compares the cost of an event in the bridge between loads that differ from W11 in one respect.

    python -m tests.bench.cliffs [--mix FILE] [--seconds 4] [--rounds 3] [--rate 50000] [--load "random seconds"]

Prints one row per load: CPU time per event, its ratio to W11 within a round (median), and the loss.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.contenders import grant_receive_buffers
from tests.bench.load import CLIFFS
from tests.bench.mix import SITE
from tests.bench.rounds import Result, run_once

MOST = 2.0
"An event of any load costs at most so many times one of W11."
_ROW = "{:<16} {:>9} {:>7} {:>7} {:>8} {:>7}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cliffs", description=__doc__.splitlines()[0])
    parser.add_argument("--mix", type=Path, default=SITE, help="devices (default: tests/bench/mixes/site.yaml)")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=50_000, help="messages per second")
    parser.add_argument("--load", choices=CLIFFS, action="append", help="run only these loads and W11")
    options = parser.parse_args()
    if why := grant_receive_buffers():
        print(why, file=sys.stderr)
    names = ["W11", *(name for name in CLIFFS if name != "W11" and (not options.load or name in options.load))]
    events = int(options.seconds * options.rate)
    found: dict[str, list[Result]] = {name: [] for name in names}
    for number in range(1, options.rounds + 1):
        # Alternate the order, so that each load runs first as often as last.
        for name in names if number % 2 else reversed(names):
            with tempfile.TemporaryDirectory(prefix="bench-") as directory:
                result = run_once(
                    "bridge",
                    f"cliff {name}",
                    number,
                    events,
                    Path(directory),
                    rate=options.rate,
                    mix=options.mix.resolve(),
                )
            found[name].append(result)
            print(f"{number} {name}: {result.events_per_cpu_second:,.0f}, {result.lost:,} lost", file=sys.stderr)
    print_table(found)
    return 0


def print_table(found: dict[str, list[Result]]) -> None:
    """Prints one row per load."""
    print(_ROW.format("load", "µs/event", "ratio", "at most", "lost", "RSS MB", ""))
    for name, results in found.items():
        cost = statistics.median(1e6 * cost_of(result) for result in results)
        lost, memory = max(result.lost for result in results), max(result.peak_rss_mb for result in results)
        values = (f"{cost:.1f}", f"{ratio(results, found['W11']):.2f}", MOST, f"{lost:,}", f"{memory:.0f}")
        print(_ROW.format(name, *values, CLIFFS[name][0]))


def ratio(results: list[Result], base: list[Result]) -> float:
    """Returns the median ratio of the cost of an event to that of the base in the same round."""
    return statistics.median(cost_of(one) / cost_of(other) for one, other in zip(results, base, strict=True))


def cost_of(result: Result) -> float:
    """Returns the CPU seconds per delivered event; infinite if none was delivered."""
    return result.cpu_seconds / result.delivered if result.delivered else math.inf


if __name__ == "__main__":
    sys.exit(main())
