"""Tests the steps of `why` for a silent sender of a bridge in a container."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.why_steps import source_steps
from bridge.config import parse_text

CONFIG = parse_text(
    "collector: {region: FRA1}\nlisteners: [{name: udp, udp: '127.0.0.1:5514', intake: fw},"
    " {name: tcp, tcp: '127.0.0.1:5514', intake: fw}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nspool: {{directory: x}}\n"
)
STATUS = {"uptime_seconds": 60, "kernel_drops": {}, "intakes": []}


def row(listener: str, silent: int, expect: int | None = None) -> dict[str, Any]:
    return {
        "address": "192.0.2.7", "listener": listener, "events": 5, "events_per_second": 0, "silent_seconds": silent,
        "expect_seconds": expect, "route": "r", "intake": None,
    }  # fmt: skip


def hints(known: dict[str, Any]) -> list[str]:
    found = source_steps(CONFIG, "192.0.2.7", known, STATUS)
    return [step.text for _, steps in found for step in steps if step.name == "container"]


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        ([], 1),
        ([row("udp", 4000)], 1),
        ([row("udp", 400, expect=300)], 1),
        ([row("udp", 400)], 0),
        ([row("tcp", 4000)], 0),
    ],
)
def test_connection_tracking_is_named_for_a_silent_udp_sender(seen: list[dict[str, Any]], count: int) -> None:
    """A busy sender keeps the entry alive that leads to the container's old address."""
    found = hints({"container": True, "seen": seen})
    assert len(found) == count
    assert all("conntrack -D -p udp --orig-src 192.0.2.7" in text for text in found)
    assert not hints({"container": False, "seen": seen})


# --- product ---------------------------------------------------------------------------------------------------------


def product_steps(identified: dict[str, Any] | None, intake: str | None = None) -> list[str]:
    config = parse_text(
        "collector: {region: FRA1}\nlisteners: [{name: udp, udp: '127.0.0.1:5514', intake: fw}]\n"
        f"intakes: {{fw: {{intake_key: {'k' * 16}, format: fortigate}}}}\nspool: {{directory: x}}\n"
    )
    seen = row("udp", 1) | {"identified": identified, "intake": intake}
    found = source_steps(config, "192.0.2.7", {"seen": [seen]}, STATUS)
    return [
        f"{step.mark} {step.name}: {step.text}" for _, steps in found for step in steps
        if step.name in ("product", "format")
    ]  # fmt: skip


def test_product_is_named_with_its_reason() -> None:
    known = {"product": "Fortinet FortiGate", "format": "fortinet-fortigate", "reason": "devname= in 3 of 3 messages"}
    assert product_steps(known, "fw") == ["ok product: Fortinet FortiGate: devname= in 3 of 3 messages"]
    unknown = {"product": None, "format": None, "reason": "no known product in 3 messages"}
    assert product_steps(unknown) == ["note product: not identified: no known product in 3 messages"]
    assert product_steps(None) == []


def test_intake_of_another_format_is_noted() -> None:
    known = {"product": "SonicWall SonicOS", "format": "sonicwall-fw", "reason": "x"}
    steps = product_steps(known, "fw")
    assert steps[1:] == [
        "note format: intake fw has format fortinet-fortigate, but the messages look like sonicwall-fw"
    ]
