"""One run: sink, contender and sender as processes, until the last event is counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.bench.contenders import CONTENDERS, Running, Target
from tests.bench.measure import cpu_seconds, peak_rss_mb
from tests.bench.sink import Counts
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process

_REPOSITORY = Path(__file__).resolve().parents[2]

# This long without a single event more, and the rest counts as lost.
_STALLED_SECONDS = 30.0

# The wall rate is taken to here: the last events wait for a batch to come of age, which is a setting and no speed.
_WALL_SHARE = 0.9


@dataclass(frozen=True)
class Result:
    """One contender's run of one load."""

    contender: str
    load: str
    round: int
    events: int
    delivered: int
    requests: int
    events_per_second: float  # of the first nine tenths, from the first byte sent
    cpu_seconds: float  # user and system, the contender's process tree, until the last event
    peak_rss_mb: float

    @property
    def events_per_cpu_second(self) -> float:
        return self.delivered / self.cpu_seconds

    @property
    def lost(self) -> int:
        """Negative: so many came twice."""
        return self.events - self.delivered


def run_once(contender: str, load: str, round_number: int, events: int, directory: Path) -> Result:
    """Start sink and contender, send the load, wait for the last event, stop both."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "sink.pem"))
    counts = directory / "counts"
    Counts.create(counts)
    target = Target(free_port(), directory / "authority.pem")
    sink_options = ["--port", str(target.port), "--certificate", str(directory / "sink.pem"), "--counts", str(counts)]
    sink = _module("tests.bench.sink", sink_options, directory)
    try:
        sink.wait_until(lambda: accepts(target.port), "it listens")
        running = CONTENDERS[contender](target, directory / contender)
        try:
            # What starting costs is not compared.
            cpu_before = cpu_seconds(running.process.pid)
            delivered, rate = _send(running, load, events, counts, directory)
            return Result(
                contender=contender,
                load=load,
                round=round_number,
                events=events,
                delivered=delivered,
                requests=Counts.read(counts).requests,
                events_per_second=rate,
                cpu_seconds=cpu_seconds(running.process.pid) - cpu_before,
                peak_rss_mb=peak_rss_mb(running.process.pid),
            )
        finally:
            running.process.terminate()
    finally:
        sink.kill()


def _send(running: Running, load: str, events: int, counts: Path, directory: Path) -> tuple[int, float]:
    """Send the load. Returns how many events the sink counted, and the wall rate."""
    sender = _module(
        "tests.bench.load", ["--load", load, "--port", str(running.port), "--events", str(events)], directory
    )
    delivered, progressed, most_at = 0, time.monotonic(), 0.0
    while delivered < events and time.monotonic() < progressed + _STALLED_SECONDS:
        if running.process.exit_code is not None:
            print(f"{running.process.name} exited: {running.process.stderr}", file=sys.stderr)
            break
        time.sleep(0.005)
        now = Counts.read(counts).events
        if now > delivered:
            delivered, progressed = now, time.monotonic()
            if not most_at and delivered >= events * _WALL_SHARE:
                most_at, most = progressed, delivered
    if delivered < events:
        sender.kill()
        return delivered, 0.0
    sender.wait()
    # The sender tells its first byte on the same clock: its own start is not the contender's time.
    return delivered, most / (most_at - float(sender.stdout))


def _module(name: str, options: Sequence[str], directory: Path) -> Process:
    argv = [sys.executable, "-m", name, *options]
    return Process(argv, directory=directory, name=name, env={"PYTHONPATH": str(_REPOSITORY)})
