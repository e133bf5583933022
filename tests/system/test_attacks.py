"""Tests that attackers neither stop the bridge nor cost an honest sender an event, one attack alone and all at once.

The names of the attacks are in `tests/harness/attacks`; the security page of the documentation refers to them.
"""

from __future__ import annotations

import random
import resource
from pathlib import Path

import pytest

from tests.harness.attacked import SPARE_DESCRIPTORS, AttackedBridge, Figures, attacked
from tests.harness.attacks.catalogue import NAMES
from tests.harness.stall_probe import LONGEST_STALL

MOST_MEMORY_MB = 150
"""Of one attack. All at once fill several bounded buffers at the same time."""
MOST_MEMORY_MB_AT_ONCE = 500
HEALTHY_WITHIN = 120.0
"""Seconds. The aim is a minute: the alarm about datagrams that the kernel dropped lasts for 50 s after the last one."""
SETTLED_WITHIN = 900.0
"""Seconds in which the events that attackers have left in the spool are delivered, too."""


@pytest.fixture(autouse=True)
def raise_descriptor_limit() -> None:
    """Raises the descriptor limit, which the bridge inherits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def assert_unharmed(scenario: AttackedBridge, figures: Figures, *, most_memory_mb: float) -> None:
    """Asserts that no honest event was lost, and that the bridge is as it was before the attacks."""
    print(figures.text())
    lost = dict(figures.lost)
    assert lost.pop("udp") <= figures.kernel_drops, figures.text()
    assert not any(lost.values()), figures.text()
    assert not any(figures.failures.values()), figures.text()
    assert not figures.doubled, figures.text()
    assert figures.stall < LONGEST_STALL, figures.text()
    assert figures.memory_mb <= most_memory_mb, figures.text()
    assert figures.healthy_after is not None, f"{scenario.headline}; {figures.text()}"
    assert figures.settled_after is not None, f"{scenario.headline}; {figures.text()}"
    before, after = figures.descriptors
    assert after <= before + SPARE_DESCRIPTORS, figures.text()
    assert scenario.bridge.process is not None
    assert "Traceback" not in scenario.bridge.process.stderr, scenario.bridge.process.stderr


@pytest.mark.weight(60)
@pytest.mark.parametrize(
    "seconds", [pytest.param(25, id="short"), pytest.param(900, id="fifteen-minutes", marks=pytest.mark.long)]
)
def test_all_attacks_at_once_harm_no_honest_sender(tmp_path: Path, seconds: float) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with attacked(tmp_path) as scenario:
        scenario.start()
        scenario.attack(NAMES, seed=seed, seconds=seconds)
        figures = scenario.measure(deadline_seconds=HEALTHY_WITHIN, settled_within=SETTLED_WITHIN)
        assert_unharmed(scenario, figures, most_memory_mb=MOST_MEMORY_MB_AT_ONCE)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_attack_alone_harms_no_honest_sender(tmp_path: Path, name: str) -> None:
    with attacked(tmp_path) as scenario:
        scenario.start()
        scenario.attack([name], seed=1, seconds=10)
        figures = scenario.measure(deadline_seconds=HEALTHY_WITHIN, settled_within=SETTLED_WITHIN)
        assert_unharmed(scenario, figures, most_memory_mb=MOST_MEMORY_MB)
