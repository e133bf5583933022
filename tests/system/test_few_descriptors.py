"""Tests a process with few file descriptors: more spool files than those, and connections that cannot be accepted."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections import Counter
from pathlib import Path

from bridge.spool.batch_names import BatchName
from tests.bench.measure import cpu_seconds
from tests.harness.bridge import Bridge
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import bridging, collecting, running
from tests.harness.send import send_lines

DESCRIPTORS = 128
SEALED, OPEN, INTAKES = 400, 40, 8


def start_with_few_descriptors(bridge: Bridge) -> None:
    """Starts the bridge with a low hard limit: it raises the soft one itself."""
    argv = [SYSLOG_BRIDGE, "run", "-c", str(bridge.write_configuration())]
    bridge.process = Process(
        ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *argv], directory=bridge.directory, name="bridge"
    )
    bridge.process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "/readyz answers 200")


def write_batches(bridge: Bridge, intakes: list[str]) -> list[str]:
    """Writes what a killed process leaves: sealed files, and open ones with a torn last line. Returns the events."""
    now, events = int(time.time()), []
    for index, intake in enumerate(intakes):
        folder = bridge.spool / intake
        folder.mkdir(parents=True)
        for number in range(SEALED + OPEN):
            # Recent ones are synced after the start, each through a descriptor.
            second, text = now - number % 20, f"{intake} {number}"
            data, is_open = f"{text}\n".encode(), number >= SEALED
            sequence = (now * 1000 + number * INTAKES + index) * 1000
            state = "open" if is_open else "sealed"
            name = BatchName(sequence, second * 1000, 1, len(data), state, False, "lines")
            (folder / str(name)).write_bytes(data + b"torn" * is_open)
            events.append(text)
    return events


def test_start_with_more_spool_files_than_descriptors(tmp_path: Path) -> None:
    """All are delivered, while new events of all intakes are received."""
    intakes = [f"i{n}" for n in range(INTAKES)]
    with (
        collecting(tmp_path) as collector,
        bridging(
            tmp_path, collector.url, intakes={name: {} for name in intakes},
            routes=[{"intake": name, "app_name": name} for name in intakes],
        ) as bridge,
    ):  # fmt: skip
        sent = write_batches(bridge, intakes)
        start_with_few_descriptors(bridge)
        new = [f"{name} new {number}" for name in intakes for number in range(30)]
        send_lines(bridge.tcp, [f"<13>Nov 24 00:00:{n % 60:02} gw {t[:2]}: {t}".encode() for n, t in enumerate(new)])
        collector.wait_for(len(sent) + len(new))
        bridge.wait_drained()
        assert Counter(collector.texts()) == Counter(sent + new)
        assert bridge.process is not None
        assert resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE)[0] == DESCRIPTORS
        assert "Too many open files" not in bridge.process.stderr
        ledger = bridge.ledger()
        assert (ledger["recovered"], ledger["dropped"]) == (len(sent), {})


def test_full_queue_of_connections_costs_no_time(tmp_path: Path) -> None:
    """Without descriptors the listeners of all kinds wait, and are not called again and again."""
    issued = Authority(tmp_path / "pki").issue("127.0.0.1")
    certificate = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
    ports, path = {kind: free_port() for kind in ("tcp", "tls", "relp")}, tmp_path / "socket"
    many = {"max_connections": 1000, "max_connections_per_peer": 1000}
    listeners = [
        {"name": kind, kind: f"127.0.0.1:{port}", **many, **(certificate if kind == "tls" else {})}
        for kind, port in ports.items()
    ]
    listeners.append({"name": "local", "unix_stream": str(path), "max_connections": 1000})
    with running(tmp_path, listeners=listeners) as (_, bridge):
        bridge.stop()
        start_with_few_descriptors(bridge)
        assert bridge.process is not None
        with contextlib.ExitStack() as stack:
            for port in ports.values():
                for _ in range(60):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(60):
                local = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                local.connect(str(path))
            until(
                lambda: any(alarm["kind"] == "descriptors" for alarm in bridge.status()["alarms"]),
                lambda: f"alarm: {bridge.status()['alarms']}",
            )
            before, began = cpu_seconds(bridge.process.pid), time.monotonic()
            time.sleep(3)
            # A spinning process takes all that the machine has; a waiting one a hundredth.
            assert cpu_seconds(bridge.process.pid) - before < 0.4 * (time.monotonic() - began)
        send_lines(ports["tcp"], [b"<13>served"])
        until(lambda: bridge.ledger()["received"] == 1, lambda: f"served: {bridge.status()}")
