"""Measures the timestamp error of many quiet intakes under a request rate.

    python -m tests.bench.intakes [--intakes 50] [--rate 2] [--seconds 20]
        [--case plain:20] [--case plain:50] [--case array:20]

Each intake has one source, which sends a few events per second, with the time in the text. A stand-in collector writes
the time that it received for each event. A case is ``small_batches`` and ``max_request_rate``.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.bridge import Bridge
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE, Process

CASES = ("plain:20", "plain:50", "array:20")
_ROW = "{:<10} {:>7} {:>7} {:>11} {:>8} {:>8} {:>8} {:>8}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intakes", description=__doc__.splitlines()[0])
    parser.add_argument("--intakes", type=int, default=50)
    parser.add_argument("--rate", type=float, default=2.0, help="events per second of each intake")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--case", action="append", help=f"small_batches:max_request_rate (default: {', '.join(CASES)})")
    options = parser.parse_args()
    print(_ROW.format("case", "sent", "arrived", "requests/s", "p50 s", "p99 s", "max s", "delay99", "status"))
    for case in options.case or CASES:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            print(_run(case, options.intakes, options.rate, options.seconds, Path(directory)), flush=True)
    return 0


def _run(case: str, intakes: int, rate: float, seconds: float, directory: Path) -> str:
    """Runs one case and returns its row."""
    small_batches, _, request_rate = case.partition(":")
    port, output = free_port(), directory / "events"
    names = [f"in{number}" for number in range(intakes)]
    with ExitStack() as stack:
        argv = [SYSLOG_BRIDGE, "collector", "--listen", f"127.0.0.1:{port}", "--output", str(output)]
        collector = Process(argv, directory=directory, name="collector")
        stack.callback(collector.terminate)
        bridge = Bridge(
            directory / "bridge", collector_url=f"http://127.0.0.1:{port}", intakes={name: {} for name in names}
        )
        settings = bridge.configuration["collector"]
        settings["max_request_rate"] = float(request_rate)
        if small_batches != "plain":
            settings["small_batches"] = small_batches
        bridge.configuration["routes"] = [
            {"source": _address(number), "intake": name} for number, name in enumerate(names)
        ]
        bridge.start()
        stack.callback(bridge.stop)
        sent = _send(bridge.udp, intakes, rate, seconds)
        # The headline of the loaded bridge, before its backlog is gone.
        status = bridge.status()
        deadline = time.monotonic() + 30
        while bridge.ledger()["delivered"] < sent and time.monotonic() < deadline:
            time.sleep(0.2)
        errors, delays, requests = _errors(output, joined=small_batches == "array")
    values = (_share(errors, 0.5), _share(errors, 0.99), max(errors), _share(delays, 0.99))
    figures = [f"{value:.2f}" for value in values]
    return _ROW.format(case, sent, len(errors), f"{requests / seconds:.0f}", *figures, status["headline"]["text"])


def _address(number: int) -> str:
    return f"127.0.5.{number + 1}"


def _send(port: int, intakes: int, rate: float, seconds: float) -> int:
    """Sends events of all sources, at random moments, for some seconds. Returns their number."""
    moments = random.Random(1)
    due = sorted((moments.uniform(0, seconds), source) for source in range(intakes) for _ in range(int(rate * seconds)))
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(intakes)]
        for number, each in enumerate(sockets):
            each.bind((_address(number), 0))
            each.connect(("127.0.0.1", port))
        begun = time.monotonic()
        for moment, source in due:
            if (wait := begun + moment - time.monotonic()) > 0:
                time.sleep(wait)
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
            sockets[source].send(f"<134>1 {stamp} host{source} app - - - {stamp} event of source {source}".encode())
    return len(due)


def _errors(output: Path, *, joined: bool) -> tuple[list[float], list[float], int]:
    """Returns for each event how many seconds its time at the collector is wrong, and after how many it arrived.
    Returns also the number of requests, nearly: those of the same millisecond count as one."""
    errors, delays, requests = [], [], set()
    for line in output.read_text().splitlines():
        row = json.loads(line)
        told = datetime.fromisoformat(row["event"].split()[0])
        requests.add((row["received"], "" if joined else row["intake_key"]))
        errors.append(abs((told - datetime.fromisoformat(row["event_timestamp"])).total_seconds()))
        delays.append((datetime.fromisoformat(row["received"]) - told).total_seconds())
    return sorted(errors), sorted(delays), len(requests)


def _share(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    sys.exit(main())
