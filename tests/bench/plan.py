"""Defines the runs, their order, and the targets that they must reach."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.load import SITE_RATES, SITES, SPREADS, at_rate
from tests.bench.rounds import Result

Run = tuple[str, str]
"""A contender and a load."""

# Enough events for more than a second of CPU time, which the kernel counts in hundredths.
EVENTS: dict[Run, int] = {
    ("syslog-ng on disk", "W1"): 250_000,
    ("bridge", "W4"): 600_000,
    ("syslog-ng", "W4"): 500_000,
    ("bridge", "W4 apart"): 300_000,
    ("syslog-ng", "W4 apart"): 500_000,
    ("bridge", "W7"): 120_000,
    ("syslog-ng", "W7"): 120_000,
    ("bridge", "W3"): 400_000,
    ("syslog-ng", "W3"): 400_000,
    ("bridge", "delay"): 300_000,
    ("bridge", "W1 small"): 300_000,
    ("bridge", "W6 small"): 300_000,
}
EVENTS |= {("bridge", f"scatter {name}"): 50_000 for name in SPREADS}
SITE_SECONDS = 10
_SITE_CONTENDERS = ("bridge", "syslog-ng", "syslog-ng on disk", "rsyslog")
EVENTS |= {
    (contender, at_rate(name, rate)): rate * SITE_SECONDS
    for contender in _SITE_CONTENDERS
    for name in SITES
    for rate in SITE_RATES
}
DEFAULT_EVENTS = 1_000_000
EVENT_FACTORS = {"watched": 4}
"""Factor for the events of a series. The page polls every few seconds, and requests everything when it opens."""

SERIES: dict[str, Sequence[Run]] = {
    **{
        name: [(contender, at_rate(name, rate)) for rate in SITE_RATES for contender in _SITE_CONTENDERS]
        for name in SITES
    },
    "W1": [("bridge", "W1"), ("syslog-ng", "W1"), ("syslog-ng on disk", "W1")],
    "W2": [("bridge", "W2"), ("syslog-ng", "W2")],
    "W3": [("bridge", "W3"), ("syslog-ng", "W3")],
    "W4": [("bridge", "W4"), ("syslog-ng", "W4")],
    "W4 apart": [("bridge", "W4 apart"), ("syslog-ng", "W4 apart")],
    "W5 W8 W10": [("bridge", "W5"), ("bridge", "W1"), ("bridge", "W8"), ("bridge", "W10")],
    "scatter": [("bridge", f"scatter {name}") for name in SPREADS],
    "W6": [("bridge", "W6"), ("syslog-ng", "W6")],
    "TLS": [("bridge", "W1"), ("bridge", "W6"), ("bridge", "W1 small"), ("bridge", "W6 small")],
    "W7": [("bridge", "W7"), ("syslog-ng", "W7")],
    "W9": [("bridge", "W9"), ("syslog-ng", "W1")],
    "delay": [("bridge", "delay")],
    "share": [("bridge", "W1"), ("bridge sharing", "W1")],
    "watched": [("bridge", "W1"), ("bridge watched", "W1")],
}
"""Runs of one round, in turn, so that a change of the machine affects all of them."""

LADDER = (25_000, 50_000, 75_000, 100_000, 125_000, 150_000, 175_000, 200_000, 225_000, 250_000, 300_000)
"""Datagrams per second; the highest step without loss in all tries counts."""
LADDER_SECONDS = 2


@dataclass(frozen=True)
class Bar:
    """A ratio of events per CPU second within one round, and its targets."""

    series: str
    over: Run
    under: Run
    must: float
    aim: float
    says: str

    def ratios(self, results: Sequence[Result]) -> list[float]:
        """Returns one ratio per round."""

        def per_round(run: Run) -> dict[int, float]:
            return {
                result.round: result.events_per_cpu_second
                for result in results
                if result.series == self.series and (result.contender, result.load) == run
            }

        over, under = per_round(self.over), per_round(self.under)
        return [over[number] / under[number] for number in sorted(over.keys() & under.keys())]


def _site_bars(name: str, must: float, aim: float) -> Iterable[Bar]:
    """Yields a bar per rate; only the one at 100,000/s is required."""
    for rate in (100_000, *(other for other in SITE_RATES if other != 100_000)):
        load = at_rate(name, rate)
        required = (must, aim, "") if rate == 100_000 else (1.0, aim, " (no bar)")
        says = f"{name} at {rate:,}/s over syslog-ng in memory{required[2]}"
        yield Bar(name, ("bridge", load), ("syslog-ng", load), *required[:2], says)
    load = at_rate(name, 100_000)
    says = f"{name} at 100,000/s over its reliable disk buffer"
    yield Bar(name, ("bridge", load), ("syslog-ng on disk", load), must, aim, says)
    yield Bar(name, ("bridge", load), ("rsyslog", load), must, aim, f"{name} at 100,000/s over rsyslog in memory")


BARS = (
    *_site_bars("W11", 1.3, 2.0),
    *_site_bars("W12", 1.3, 2.0),
    *_site_bars("W11L", 1.3, 2.0),
    Bar("W1", ("bridge", "W1"), ("syslog-ng", "W1"), 2.4, 3.0, "W1 over syslog-ng in memory"),
    Bar("W1", ("bridge", "W1"), ("syslog-ng on disk", "W1"), 6.0, 8.0, "W1 over its reliable disk buffer"),
    Bar("W2", ("bridge", "W2"), ("syslog-ng", "W2"), 1.9, 2.5, "W2 over syslog-ng in memory"),
    Bar("W3", ("bridge", "W3"), ("syslog-ng", "W3"), 1.4, 2.0, "W3 over syslog-ng in memory"),
    Bar("W4", ("bridge", "W4"), ("syslog-ng", "W4"), 1.1, 1.5, "W4 over syslog-ng in memory"),
    Bar("W4 apart", ("bridge", "W4 apart"), ("syslog-ng", "W4 apart"), 1.3, 1.7, "the same, a connection each"),
    Bar("W5 W8 W10", ("bridge", "W5"), ("bridge", "W1"), 0.70, 0.85, "W5 over the bridge's own W1"),
    Bar("W5 W8 W10", ("bridge", "W8"), ("bridge", "W1"), 0.70, 0.85, "W8 over the bridge's own W1"),
    Bar("W5 W8 W10", ("bridge", "W10"), ("bridge", "W1"), 0.50, 0.70, "W10 over the bridge's own W1"),
    Bar("scatter", ("bridge", "scatter 1 year"), ("bridge", "scatter 1 s"), 0.33, 0.5, "random clocks over right ones"),
    Bar("W6", ("bridge", "W6"), ("syslog-ng", "W6"), 1.0, 1.0, "W6 over syslog-ng in memory (no bar)"),
    Bar("TLS", ("bridge", "W6"), ("bridge", "W1"), 1 / 1.6, 1 / 1.25, "W6 over W1: TLS in costs 1.6 times at most"),
    Bar("TLS", ("bridge", "W6 small"), ("bridge", "W1 small"), 0.4, 0.6, "the same, a record for each message"),
    Bar("W7", ("bridge", "W7"), ("syslog-ng", "W7"), 1.0, 2.0, "W7 over syslog-ng in memory"),
    Bar("watched", ("bridge watched", "W1"), ("bridge", "W1"), 0.95, 1.0, "W1 while the page is open, over W1"),
    Bar("share", ("bridge sharing", "W1"), ("bridge", "W1"), 0.5, 0.6, "W1 by the shared queues, over W1"),
    Bar("W9", ("bridge", "W9"), ("syslog-ng", "W1"), 1.2, 1.2, "W9 over syslog-ng's W1 without gzip"),
)
MAX_RSS_MB = (90, 80)
"""Peak RSS of the bridge in W1: must, aim."""
MAX_DELAY = (2.5, 2.25)
"""p99 delay at 50,000/s in seconds: max_age (2 s) plus 500 ms (must), 250 ms (aim)."""


def steps(results: Sequence[Result], series: str = "") -> dict[str, int]:
    """Returns each contender's highest rate without loss in all tries: of the ladder, or of the series of a site."""
    # Runs of the ladder have no series.
    climbed = [result for result in results if result.series == series and (series or result.load == "W3")]
    lost = {(result.contender, result.rate) for result in climbed if result.lost}
    found = dict.fromkeys((result.contender for result in climbed), 0)
    for result in climbed:
        if (result.contender, result.rate) not in lost:
            found[result.contender] = max(found[result.contender], result.rate)
    return found


def median_rss(results: Sequence[Result]) -> float | None:
    """Returns the median peak RSS of the bridge in W1, in MB."""
    found = [r.peak_rss_mb for r in results if (r.contender, r.load) == ("bridge", "W1")]
    return statistics.median(found) if found else None


def median_delay(results: Sequence[Result]) -> float | None:
    """Returns the median p99 delay of the bridge, in seconds."""
    found = [r.delay_p99 for r in results if r.contender == "bridge" and r.delay_p99 is not None]
    return statistics.median(found) if found else None
