"""Lists all attacks."""

from __future__ import annotations

from collections.abc import Sequence

from tests.harness.attacks import admin, collector, configuration, datagrams, https, proxy_headers, relp, streams, tls
from tests.harness.attacks.attack import Attack, Target

ATTACKS: tuple[type[Attack], ...] = (
    *https.ATTACKS, *relp.ATTACKS, *streams.ATTACKS, *tls.ATTACKS, *proxy_headers.ATTACKS, *datagrams.ATTACKS,
    *collector.ATTACKS, *admin.ATTACKS, *configuration.ATTACKS,
)  # fmt: skip
NAMES: tuple[str, ...] = tuple(attack.name for attack in ATTACKS)
_FIRST_NETWORK = 64


def build(names: Sequence[str], target: Target, *, seed: int) -> list[Attack]:
    """Returns the named attacks. Each sends from addresses of its own."""
    assert set(names) <= set(NAMES), set(names) - set(NAMES)
    return [
        attack(target, seed=seed, network=f"127.0.{_FIRST_NETWORK + number}")
        for number, attack in enumerate(ATTACKS)
        if attack.name in names
    ]
