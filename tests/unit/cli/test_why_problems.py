"""Tests that `why` says the same as the problems of the status: silence, losses, unrouted messages."""

from __future__ import annotations

from typing import Any

from bridge.cli import why
from bridge.cli.why_steps import source_steps
from bridge.config import Config, parse_text
from bridge.monitoring.problems import summarize

TEXT = (
    "collector: {region: FRA1}\nlisteners: [{name: udp, udp: '127.0.0.1:5514', intake: fw}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nspool: {{directory: x}}\n"
)
CONFIG = parse_text(TEXT)
INTAKE = {"name": "fw", "state": "full", "backlog_events": 3, "oldest_seconds": 7, "last_error": "no connection"}
STATUS: dict[str, Any] = {
    "taken": "2026-11-29T04:50:00.000Z", "uptime_seconds": 600, "intakes": [INTAKE | {"state": "delivering"}],
}  # fmt: skip
SEEN: dict[str, Any] = {
    "address": "192.0.2.7", "name": None, "listener": "udp", "events": 5, "events_per_second": 0,
    "silent_seconds": 400, "expect_seconds": 300, "route": "r", "intake": "fw", "unrouted": 0,
}  # fmt: skip


def text(known: dict[str, Any], status: dict[str, Any], config: Config = CONFIG) -> str:
    steps = source_steps(config, "192.0.2.7", known, status)
    return "\n".join(why._text(title, found) for title, found in steps)


def test_silent_source_is_not_healthy() -> None:
    found = text({"seen": [SEEN]}, STATUS | {"silent_sources": {"192.0.2.7": 400}})
    assert found.startswith("192.0.2.7 at listener udp: silent for longer than alert_if_silent_for allows\n")
    assert "problem  silence   silent for longer than alert_if_silent_for allows: nothing for 6 m 40 s" in found
    assert text({"seen": [SEEN]}, STATUS).startswith("192.0.2.7 at listener udp: healthy")


def test_source_that_never_came_is_silent() -> None:
    found = text({"seen": []}, STATUS | {"silent_sources": {"192.0.2.7": 400}})
    assert "problem  silence   silent for longer than alert_if_silent_for allows: nothing for 6 m 40 s" in found
    assert "silence" not in text({"seen": []}, STATUS | {"silent_sources": {"192.0.2.8": 400}})


def test_loss_of_the_intake_is_told_in_the_words_of_the_status() -> None:
    loss = {"reason": "spool_full", "events": 71_827, "names": ["fw"], "since_seconds": 600.0, "ended_seconds": None}
    status = STATUS | {"intakes": [INTAKE], "losses": [loss]}
    found = text({"seen": [SEEN]}, status)
    assert f"problem  loss      {summarize(status)['problems'][0]['text']}. To do: restore delivery" in found
    over = status | {"losses": [loss | {"ended_seconds": 60.0}]}
    assert "71,827" not in text({"seen": [SEEN]}, over)


def test_unrouted_messages_are_held_or_dropped_as_configured() -> None:
    unrouted = SEEN | {"route": "unrouted", "intake": None, "unrouted": 1}
    assert "no route matches: 1 message held." in text({"seen": [unrouted]}, STATUS)
    config = parse_text(f"{TEXT}routes: [{{name: noise, drop: true}}]\nunrouted: drop\n")
    for route, told in (
        ("unrouted", "no route matches, so its messages are dropped, as configured (unrouted: drop)"),
        ("noise", "noise drops its messages, as configured (drop: true)"),
    ):
        assert told in text({"seen": [SEEN | {"route": route, "intake": None}]}, STATUS, config)
