"""Measures the memory that ten thousand senders and a million messages take."""

import subprocess
import sys

import pytest

MOST_BYTES = 300 << 20
SCRIPT = """
from pathlib import Path
from datetime import UTC, datetime
from bridge.discover import FindingSettings, Observer, Received, find_all
from bridge.discover.plan import plan_of
from tests.bench.mix import read_mix

messages, senders = {messages}, {senders}
texts = {{}}
for message in read_mix().render(5000, datetime(2026, 11, 23, 7, 24, tzinfo=UTC)):
    texts.setdefault(message.device.host, []).append(message.text)
devices = [each for each in texts.values() if len(each) > 2]
observer = Observer()
for number in range(messages):
    sender = number % senders
    frames = devices[sender % len(devices)]
    address = f"10.{{sender >> 16}}.{{sender >> 8 & 255}}.{{sender & 255}}"
    observer.add(Received(frames[number // senders % len(frames)], address, 1795418640.0 + number / 1000, "udp"))
findings = list(find_all(observer, FindingSettings(), release=True))
# ru_maxrss begins with the peak of the process that has started this one.
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(observer.count, len(findings), len(plan_of(findings).routes), peak)
"""


@pytest.mark.parametrize(
    ("messages", "senders"),
    [(20_000, 500), pytest.param(1_000_000, 10_000, marks=pytest.mark.long)],
)  # fmt: skip
def test_memory_is_bounded(messages: int, senders: int) -> None:
    script = SCRIPT.format(messages=messages, senders=senders)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, findings, routes, kibibytes = map(int, done.stdout.split())
    print(f"\n{messages:,} messages of {senders:,} senders: {kibibytes / 1024:.0f} MB")
    assert (count, findings) == (messages, senders)
    assert routes > 10
    assert kibibytes * 1024 < MOST_BYTES
