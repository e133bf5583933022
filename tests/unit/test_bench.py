"""Tests how the benchmark sends its load and evaluates its runs."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.bench import datagrams, messages, plan, report
from tests.bench.__main__ import further_rounds
from tests.bench.rounds import Result


def result(
    contender: str, load: str, *, number: int = 1, rate: int = 0, lost: int = 0, cpu: float = 1.0, series=""
) -> Result:
    return Result(
        contender=contender, load=load, round=number, rate=rate, events=1000, delivered=1000 - lost, requests=1,
        events_per_second=1.0, cpu_seconds=cpu, peak_rss_mb=90.0, delay_p99=None, series=series,
    )  # fmt: skip


def test_rate_step_passes_if_no_round_loses_events() -> None:
    runs = [result("bridge", "W3", number=n, rate=rate) for rate in (25_000, 50_000) for n in (1, 2, 3)]
    runs += [result("syslog-ng", "W3", number=n, rate=25_000) for n in (1, 2, 3)]
    runs += [result("syslog-ng", "W3", rate=50_000), result("syslog-ng", "W3", number=2, rate=50_000, lost=1)]
    # Rounds of the load itself are not steps of the ladder.
    runs.append(result("syslog-ng", "W3", rate=100_000, series="W3"))
    assert plan.steps(runs) == {"bridge": 50_000, "syslog-ng": 25_000}
    assert any("50,000/s over 25,000/s" in line.says and line.value == 2.0 for line in report.summary(runs))


def test_runs_of_several_files_are_summarised_together(tmp_path: Path) -> None:
    parts = [
        [
            result("bridge", "W1", number=n, cpu=1.0, series="W1"),
            result("syslog-ng", "W1", number=n, cpu=1.5 + n, series="W1"),
        ]
        for n in (1, 2, 3)
    ]
    files = [tmp_path / f"{n}.json" for n in range(3)]
    for file, runs in zip(files, parts, strict=True):
        report.write_json(file, runs, report.summary(runs))
    read = [run for file in files for run in report.read_json(file)]
    assert read == [run for runs in parts for run in runs]
    (line,) = [line for line in report.summary(read) if line.says == "W1 over syslog-ng in memory"]
    assert (line.value, line.met, line.rounds) == (3.5, "aim", [2.5, 3.5, 4.5])
    report.write_plot(tmp_path / "plot.svg", report.summary(read))
    assert "3.50 x" in (tmp_path / "plot.svg").read_text()


def test_later_runs_are_numbered_as_further_rounds() -> None:
    before = [result("bridge", "W1", number=n, series="W1") for n in (1, 2)]
    more = [result("bridge", "W1", number=1, series="W1"), result("bridge", "W2", number=1, series="W2")]
    assert [run.round for run in further_rounds(before, more)] == [3, 1]


def test_each_datagram_is_one_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        datagrams.steady(receiver.getsockname()[1], 100, messages.unbound, rate=1_000_000, addresses=3)
        got = [receiver.recvfrom(2000) for _ in range(100)]
    assert all(b" unbound[" in text for text, _ in got)
    assert {address for _, (address, _) in got} == {"127.0.1.1", "127.0.1.2", "127.0.1.3"}


def test_devices_cover_the_vendor_mix_except_one_line() -> None:
    mix = {line[:-8] for line in messages.vendors(50_000)}
    device_lines = {device(1)[0][:-8] for device in messages.devices()}
    assert len(mix - device_lines) == 1
    assert device_lines < mix


def test_spread_messages_have_times_of_their_own() -> None:
    lines = messages.spread(6000, 86_400)
    assert len({line[4:19] for line in lines}) > 5500
    assert all(b" unbound[" in line for line in lines)
