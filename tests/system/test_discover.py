"""Tests that a site is discovered from nothing, delivered in the formats of its intakes, and kept up to date."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.config import load
from bridge.formats import FORMATS
from tests.bench.mix import Device, read_mix
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.send import send_lines

ZONES = ("--timezone", "UTC", "--timezone", "Europe/Paris", "--timezone", "America/New_York")
"The zones of the devices, as their operator names them."
OF_A_DEVICE = 20
"Messages of a device."


def messages(devices: int) -> dict[str, tuple[Device, list[bytes]]]:
    """Returns messages of each device by its address, with the time of now."""
    found: dict[str, tuple[Device, list[bytes]]] = {}
    for message in read_mix().scaled(devices).render(devices * 400, datetime.now(UTC)):
        _, texts = found.setdefault(message.device.address, (message.device, []))
        if len(texts) < OF_A_DEVICE:
            texts.append(message.text)
    return found


def send(port: int, sources: Iterable[tuple[str, list[bytes]]]) -> int:
    """Sends the messages of each source over TCP, which loses none. Returns their number."""
    count = 0
    for source, texts in sources:
        send_lines(port, texts, source=source)
        count += len(texts)
    return count


@contextmanager
def timed(step: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    print(f"{step}: {time.monotonic() - begin:.1f} s")


def discover(directory: Path, *options: str) -> Process:
    process = Process([SYSLOG_BRIDGE, "discover", *options], directory=directory, name="discover")
    process.wait_until(lambda: re.search("listening on|following the bridge", process.stderr), "discover is ready")
    return process


def run(*words: str) -> str:
    done = subprocess.run([SYSLOG_BRIDGE, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_keys(file: Path) -> None:
    for name in load(file, secrets=False).intakes:
        key = file.parent / "keys" / name
        if not key.exists():
            key.write_text(key_of(name) + "\n")
            key.chmod(0o600)


@pytest.mark.weight(25)
def test_a_site_of_sixty_devices_from_nothing_to_delivered_events(tmp_path: Path) -> None:
    site = messages(60)
    collector = Collector(tmp_path / "collector", keys=tuple(key_of(name) for name in FORMATS))
    collector.start()
    bridge = Bridge(tmp_path / "gateway", collector_url=collector.url, intakes={"none": {}})
    port = free_port()
    try:
        with timed("discover"):
            process = discover(
                tmp_path, "--listen", f"udp://127.0.0.1:{port}", "--listen", f"tcp://127.0.0.1:{port}",
                "--count", str(60 * OF_A_DEVICE), "--for", "5m", *ZONES, "--url", collector.url,
                "--write", str(tmp_path / "site" / "bridge.yaml"), "--spool", str(bridge.spool),
            )  # fmt: skip
            send(port, ((source, texts) for source, (_, texts) in site.items()))
            assert process.wait() == 0, process.stderr
        assert "60 of 60 identified" in process.stdout
        file = tmp_path / "site" / "bridge.yaml"
        with timed("keys, check, test"):
            write_keys(file)
            # The collector of the test has no certificate.
            assert run("check", "-c", str(file)).count("warning") == 1
            assert "300 of 300 samples match" in run("test", "-c", str(file), str(file.with_name("bridge.samples")))
        with timed("start and deliver"):
            bridge.file = file
            file.write_text(file.read_text() + f"admin: {{listen: '127.0.0.1:{bridge.admin}'}}\n")
            bridge.configuration = {}
            bridge.write_configuration = lambda: file  # type: ignore[method-assign]
            bridge.start()
            sent = send(port, ((source, texts) for source, (_, texts) in site.items()))
            bridge.wait_received(sent)
            bridge.wait_drained()
            collector.wait_for(sent)
        assert_formats(collector, {device.product.format for device, _ in site.values()})
        with timed("update"):
            update(bridge, port, site, collector, sent)
    finally:
        bridge.kill()
        collector.kill()


def assert_formats(collector: Collector, expected: set[str]) -> None:
    """Asserts that all events have the format of their intake."""
    of_key = {key_of(name): name for name in FORMATS}
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for event in collector.arrived:
        name = of_key[event.key]
        counts[name][FORMATS[name].fits(event.text.encode())] += 1
    assert set(counts) == expected
    assert {name: wrong for name, (wrong, _) in counts.items() if wrong} == {}


def update(
    bridge: Bridge, port: int, site: dict[str, tuple[Device, list[bytes]]], collector: Collector, before: int
) -> None:
    """Adds ten devices, changes three, and asserts that the running bridge delivers all of them correctly."""
    added = {source: texts for source, (_, texts) in messages(120).items() if source not in site}
    added = dict(list(added.items())[:10])
    asa = next(texts for device, texts in site.values() if device.product.product == "asa")
    changed = {source: asa for source, (device, _) in site.items() if device.product.product == "esxi"}
    changed = dict(list(changed.items())[:3])
    assert (len(added), len(changed)) == (10, 3)
    process = discover(
        bridge.directory, "-c", str(bridge.file), "--update", "--apply", "--count", str(13 * OF_A_DEVICE),
        "--for", "5m", *ZONES,
    )  # fmt: skip
    number = send(port, [*added.items(), *changed.items()])
    assert number == 13 * OF_A_DEVICE
    assert process.wait() == 0, process.stderr
    assert "New senders (new):" in process.stdout
    assert "Senders of another product than their intake (changed):" in process.stdout
    assert "reloaded" in process.stdout, process.stdout
    bridge.wait_drained()
    collector.wait_for(before + len(changed) * OF_A_DEVICE)
    arrived = len(collector.arrived)
    sent = send(port, [*added.items(), *changed.items()])
    collector.wait_for(arrived + sent)
    of_key = {key_of(name): name for name in FORMATS}
    late = collector.arrived[arrived:]
    assert [event for event in late if not FORMATS[of_key[event.key]].fits(event.text.encode())] == []
    assert sum(of_key[event.key] == "cisco-secure-firewall" for event in late) >= len(changed) * OF_A_DEVICE
    assert bridge.status()["sources"]
