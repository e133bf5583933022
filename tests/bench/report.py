"""Prints result rows and the summary, and writes results as JSON and as a plot for the performance page."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import plan
from tests.bench.load import LOADS, SITES
from tests.bench.rounds import Result

_ROW = "{:<18} {:<9} {:>5} {:>8} {:>8} {:>12} {:>9} {:>7} {:>7} {:>6} {:>6} {:>7} {:>7} {:>7}"


@dataclass(frozen=True)
class Line:
    """One target: the measured value and what it must be."""

    says: str
    value: float
    must: float
    aim: float
    unit: str
    "x (a ratio: more is better), MB or s (less is better)."
    rounds: Sequence[float]

    @property
    def met(self) -> str:
        """Returns which target is reached: aim, must or missed."""

        def holds(bound: float) -> bool:
            return self.value >= bound if self.unit == "x" else self.value <= bound

        return "aim" if holds(self.aim) else "must" if holds(self.must) else "missed"


def print_head(series: str) -> None:
    """Prints the loads of a series and the column heads."""
    loads = dict.fromkeys(load for _, load in plan.SERIES.get(series, [("", "W3")]))
    for load in loads:
        print(f"{load}: {LOADS[load].description}")
    print(
        _ROW.format(
            "",
            "load",
            "round",
            "rate",
            "lost",
            "events/CPU s",
            "events/s",
            "CPU s",
            "RSS MB",
            "posts",
            "p99",
            "wire B",
            "disk B",
            "writes",
        )
    )


def print_row(result: Result) -> None:
    """Prints one run."""
    print(
        _ROW.format(
            result.contender,
            result.load,
            result.round,
            result.rate or "-",
            result.lost,
            f"{result.events_per_cpu_second:,.0f}",
            f"{result.events_per_second:,.0f}",
            f"{result.cpu_seconds:.2f}",
            f"{result.peak_rss_mb:.0f}",
            result.requests,
            "-" if result.delay_p99 is None else f"{result.delay_p99:.2f}",
            *(
                f"{value / max(1, result.delivered):.{digits}f}"
                for value, digits in ((result.wire_bytes, 0), (result.disk_bytes, 0), (result.write_calls, 3))
            ),
        ),
        flush=True,
    )


def summary(results: Sequence[Result]) -> list[Line]:
    """Returns all targets for which there are results."""
    lines, steps = [], plan.steps(results)
    for name in SITES:
        highest = plan.steps(results, name)
        if "bridge" in highest and highest.get("syslog-ng"):
            must, aim = (max(150_000, highest["syslog-ng"]) / highest["syslog-ng"], 200_000 / highest["syslog-ng"])
            says = f"{name}, highest rate without loss: {highest['bridge']:,}/s over {highest['syslog-ng']:,}/s"
            ratio = highest["bridge"] / highest["syslog-ng"]
            lines.append(Line(says, ratio, must, max(must, aim), "x", [ratio]))
    for bar in plan.BARS:
        if ratios := bar.ratios(results):
            lines.append(Line(bar.says, statistics.median(ratios), bar.must, bar.aim, "x", ratios))
    if steps.get("syslog-ng") and "bridge" in steps:
        ratio = steps["bridge"] / steps["syslog-ng"]
        says = f"W3, highest rate without loss: {steps['bridge']:,}/s over {steps['syslog-ng']:,}/s"
        lines.append(Line(says, ratio, 1.25, 1.25, "x", [ratio]))
    if (rss := plan.median_rss(results)) is not None:
        lines.append(Line("W1, peak RSS", rss, *plan.MAX_RSS_MB, "MB", [rss]))
    if (delay := plan.median_delay(results)) is not None:
        lines.append(Line("delay to acceptance at 50,000/s, p99", delay, *plan.MAX_DELAY, "s", [delay]))
    return lines


def print_summary(lines: Sequence[Line]) -> None:
    """Prints one row per target."""
    print(f"\n{'':<62} {'median':>9} {'must':>7} {'aim':>7}  met     rounds")
    for line in lines:
        rounds = " ".join(f"{value:.2f}" for value in line.rounds)
        print(
            f"{line.says:<62} {line.value:>7.2f} {line.unit:<2} {line.must:>6g} {line.aim:>7g}  {line.met:<7} {rounds}"
        )


def read_json(path: Path) -> list[Result]:
    """Reads the runs that ``write_json`` has written."""
    runs = json.loads(path.read_text())["runs"]
    return [Result(**{name: value for name, value in run.items() if name != "events_per_cpu_second"}) for run in runs]


def write_json(path: Path, results: Sequence[Result], lines: Sequence[Line]) -> None:
    """Writes all runs and all targets."""
    runs = [asdict(result) | {"events_per_cpu_second": result.events_per_cpu_second} for result in results]
    bars = [asdict(line) | {"met": line.met} for line in lines]
    machine = f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    path.write_text(json.dumps({"machine": machine, "bars": bars, "runs": runs}, indent=1) + "\n")


def write_plot(path: Path, lines: Sequence[Line]) -> None:
    """Draws the ratios as horizontal bars in SVG, with a mark at the required value."""
    ratios = [line for line in lines if line.unit == "x"]
    if not ratios:
        return
    left, width, height, top = 380, 420, 26, 34
    scale = width / max(max(line.value, line.must) for line in ratios)
    dark = 'fill="#333333"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}"'
        f' height="{top + height * len(ratios) + 14}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="20" {dark}>Events per CPU second, as a ratio, every event on disk; the mark is the bar to'
        " pass</text>",
    ]
    for number, line in enumerate(ratios):
        y = top + number * height
        value, must = line.value * scale, line.must * scale
        parts += [
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end" {dark}>{line.says.partition(":")[0]}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{value:.1f}" height="{height - 9}" fill="#2b6cb0"/>',
            f'<rect x="{left + must - 1:.1f}" y="{y}" width="2" height="{height - 3}" fill="#c05621"/>',
            f'<text x="{left + max(value, must) + 6:.1f}" y="{y + 15}" {dark}>{line.value:.2f} x</text>',
        ]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
