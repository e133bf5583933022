"""Does one run: starts sink, contender and sender as processes, and waits until the last event is counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from tests.bench.contenders import CONTENDERS, Running, Sink
from tests.bench.load import LOADS
from tests.bench.measure import cpu_seconds, disk_writes, limit_cores, peak_rss_mb
from tests.bench.mix import SITE
from tests.bench.sink import Counts
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process

_REPOSITORY = Path(__file__).resolve().parents[2]

# After this time without a further event, the rest counts as lost. Datagrams get lost, streams may stall.
_STALLED_SECONDS = {"udp": 8.0, "tcp": 30.0, "tls": 30.0}

# The wall rate is measured up to this share: the last events wait for max_age of their batch, which is a setting.
_WALL_SHARE = 0.9


@dataclass(frozen=True)
class Result:
    """Result of one contender with one load."""

    contender: str
    load: str
    round: int
    rate: int
    "Events sent per second; 0: as fast as they were read."
    events: int
    delivered: int
    requests: int
    events_per_second: float
    "Rate of the first nine tenths, from the first byte sent."
    cpu_seconds: float
    "User and system time of the contender's process tree, until the last event."
    peak_rss_mb: float
    delay_p99: float | None
    "Seconds from sending to the collector's answer, if the load has send times."
    wire_bytes: int = 0
    "Bytes that the sink received, TLS and headers included."
    disk_bytes: int = 0
    "Bytes that the contender gave to the disk until the last event, without those of files deleted before."
    write_calls: int = 0
    "Write calls of the contender, to files and sockets."
    series: str = ""
    "The series of the run; only runs of one series are compared."

    @property
    def events_per_cpu_second(self) -> float:
        return self.delivered / self.cpu_seconds

    @property
    def lost(self) -> int:
        """Returns the number of lost events; a negative value counts duplicates."""
        return self.events - self.delivered


def run_once(
    contender: str, load: str, round_number: int, events: int, directory: Path, *, rate: int = 0, mix: Path = SITE,
    cores: int | None = None,
) -> Result:  # fmt: skip
    """Starts sink and contender, sends the load, waits for the last event, stops both. ``rate`` 0: the load's rate;
    ``mix``: the devices of a site load; ``cores``: number of CPU cores that the contender may use."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "sink.pem"))
    counts, delays = directory / "counts", directory / "delays"
    Counts.create(counts)
    target = Sink(free_port(), directory / "authority.pem", directory / "sink.pem")
    options = ["--port", str(target.port), "--certificate", str(target.certificate), "--counts", str(counts)]
    if load == "delay":
        options += ["--delays", str(delays)]
    sink = _module("tests.bench.sink", options, directory)
    rate = rate or LOADS[load].rate
    try:
        sink.wait_until(lambda: accepts(target.port), "listening")
        running = CONTENDERS[contender](replace(LOADS[load], mix=mix), target, directory / contender.replace(" ", "-"))
        try:
            # The cost of starting is not compared.
            pid = running.process.pid
            if cores is not None:
                limit_cores(pid, cores)
            cpu_before, (disk_before, calls_before) = cpu_seconds(pid), disk_writes(pid)
            sender = ["--load", load, "--port", str(running.port), "--events", str(events), "--rate", str(rate)]
            sender += ["--authority", str(target.authority), "--mix", str(mix)]
            delivered, speed = _send(
                running, sender, events, counts, directory, _STALLED_SECONDS[LOADS[load].transport]
            )
            disk, calls = disk_writes(pid)
            received = Counts.read(counts)
            return Result(
                contender=contender,
                load=load,
                round=round_number,
                rate=rate,
                events=events,
                delivered=delivered,
                requests=received.requests,
                events_per_second=speed,
                cpu_seconds=cpu_seconds(pid) - cpu_before,
                peak_rss_mb=peak_rss_mb(pid),
                delay_p99=_p99(delays) if delays.exists() else None,
                wire_bytes=received.wire_bytes,
                disk_bytes=disk - disk_before,
                write_calls=calls - calls_before,
            )
        finally:
            running.process.terminate()
    finally:
        sink.kill()


def _send(
    running: Running, options: Sequence[str], events: int, counts: Path, directory: Path, patience: float
) -> tuple[int, float]:
    """Sends the load. Returns how many events the sink counted, and the wall rate."""
    sender = _module("tests.bench.load", options, directory)
    delivered, progressed, most_at, most = 0, time.monotonic(), 0.0, 0
    while delivered < events and (sender.exit_code is None or time.monotonic() < progressed + patience):
        if running.process.exit_code is not None:
            print(f"{running.process.name} exited: {running.process.stderr}", file=sys.stderr)
            break
        if sender.exit_code:
            raise AssertionError(f"the sender failed: {sender.stderr}")
        time.sleep(0.005)
        now = Counts.read(counts).events
        if now > delivered:
            delivered, progressed = now, time.monotonic()
            if not most_at and delivered >= events * _WALL_SHARE:
                most_at, most = progressed, delivered
    if sender.exit_code is None:
        if delivered < events:
            sender.kill()
        else:
            sender.wait()
    # The sender prints the monotonic time of its first byte, so that its start is not counted.
    return delivered, most / (most_at - float(sender.stdout.split()[0])) if most_at else 0.0


def _p99(delays: Path) -> float:
    """Returns the p99 of lines `SECONDS EVENTS` that the sink writes."""
    found = sorted((float(seconds), int(events)) for seconds, events in map(str.split, delays.open()))
    left = sum(events for _, events in found) * 0.99
    for seconds, events in found:
        left -= events
        if left <= 0:
            return seconds
    return 0.0


def _module(name: str, options: Sequence[str], directory: Path) -> Process:
    argv = [sys.executable, "-m", name, *options]
    return Process(argv, directory=directory, name=name, env={"PYTHONPATH": str(_REPOSITORY)})
