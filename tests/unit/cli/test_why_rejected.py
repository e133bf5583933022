"""Tests what `why` says of rejected and fixed senders, of kernel drops, Unix sockets and usual rates."""

from __future__ import annotations

from typing import Any

from bridge.cli import why
from bridge.cli.why_steps import source_steps
from bridge.config import parse_text

CONFIG = parse_text(
    "collector: {region: FRA1}\nlisteners: [{name: udp, udp: '127.0.0.1:5514', intake: fw},"
    " {name: secure, tcp: '127.0.0.1:5514', intake: fw}, {name: local, unix_datagram: /run/x/log, intake: fw}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nspool: {{directory: x}}\n"
)
INTAKE = {"name": "fw", "state": "delivering", "backlog_events": 0, "oldest_seconds": None, "last_acceptance": None}
STATUS: dict[str, Any] = {"uptime_seconds": 60, "kernel_drops": {"udp": 0}, "intakes": [INTAKE]}
REJECTION: dict[str, Any] = {
    "listener": "secure", "meaning": "plain text on a TLS port", "text": "it does not speak TLS", "count": 4,
    "last": "2026-11-29T04:40:00.000Z", "seconds_ago": 5, "accepted_since": None, "remedy": "let the sender use TLS",
}  # fmt: skip
SEEN: dict[str, Any] = {
    "address": "192.0.2.7", "name": None, "listener": "secure", "events": 5, "events_per_second": 0,
    "silent_seconds": 1, "route": "r", "intake": "fw", "unrouted": 0,
}  # fmt: skip


def text(known: dict[str, Any], status: dict[str, Any] = STATUS, listener: str | None = None) -> str:
    steps = source_steps(CONFIG, "192.0.2.7", known, status, listener)
    return "\n".join(why._text(title, found) for title, found in steps)


def test_sender_that_was_only_rejected_is_explained_by_that() -> None:
    found = text({"seen": [], "rejections": [REJECTION]})
    first, *steps = found.splitlines()
    assert first == (
        "192.0.2.7: rejected by listener secure: plain text on a TLS port, 4 times, last at 2026-11-29T04:40:00.000Z"
    )
    assert "to do: let the sender use TLS" in steps[0]
    assert "tcpdump" not in found, "its packets arrive"


def test_rejection_at_the_listener_that_also_receives_is_a_problem() -> None:
    """Today's answer was "healthy": the sender has an earlier, accepted connection, or shares its address."""
    assert text({"seen": [SEEN]}).startswith("192.0.2.7 at listener secure: healthy")
    assert "secure: rejected by listener secure" in text({"seen": [SEEN], "rejections": [REJECTION]})
    old = REJECTION | {"seconds_ago": 7200}
    found = text({"seen": [SEEN], "rejections": [old]})
    assert found.startswith("192.0.2.7 at listener secure: healthy")
    assert "note     rejected  by listener secure" in found


def test_rejection_at_another_listener_has_a_section_of_its_own() -> None:
    found = text({"seen": [SEEN | {"listener": "udp"}], "rejections": [REJECTION]})
    assert "192.0.2.7 at listener udp: healthy" in found
    assert "192.0.2.7 at other listeners: rejected by listener secure" in found


def test_fixed_rejection_is_shown_as_fixed() -> None:
    fixed = REJECTION | {"accepted_since": "2026-11-29T05:00:00.000Z"}
    found = text({"seen": [SEEN], "rejections": [fixed]})
    assert found.startswith("192.0.2.7 at listener secure: healthy")
    assert (
        "note     rejected  until 2026-11-29T04:40:00.000Z by listener secure: plain text on a TLS port, 4 times;"
        " accepted since 2026-11-29T05:00:00.000Z"
    ) in found


def test_unrouted_sender_is_fixed_by_a_reload() -> None:
    unrouted = SEEN | {"unrouted": 3, "unrouted_now": True, "unrouted_last": "A", "intake": None}
    assert "no route matches its messages" in text({"seen": [unrouted]}).splitlines()[0]
    some = unrouted | {"intake": "fw"}
    assert "no route matches its messages" in text({"seen": [some]}).splitlines()[0], "other messages have a route"
    fixed = some | {"unrouted_now": False, "rerouted_since": "B"}
    found = text({"seen": [fixed]})
    assert found.startswith("192.0.2.7 at listener secure: healthy")
    assert "until A: 3 messages matched no route; since the reload at B all do" in found


def test_kernel_drops_do_not_stop_a_sender() -> None:
    status = STATUS | {"kernel_drops": {"udp": 120}}
    found = text({"seen": [SEEN | {"listener": "udp"}]}, status)
    assert found.startswith("192.0.2.7 at listener udp: healthy, but the kernel dropped datagrams of its listener")
    assert "note     listener  udp: the kernel dropped 120 datagrams since the start" in found
    assert "the kernel" not in text({"seen": [SEEN]}, status), "a TCP listener loses nothing"


def test_unused_socket_is_explained() -> None:
    found = text({"seen": []}, listener="local")
    assert found.startswith("192.0.2.7 at listener local: nothing received")
    assert "logger --socket /run/x/log test" in found
    assert "tcpdump" not in found


RATE: dict[str, Any] = {
    "percent": 30, "hour": "14:00", "per_minute": 12.5, "usual_per_minute": 480.0, "limit_per_minute": 144.0,
    "observations": 9, "needed_observations": 3, "too_few_events": False, "below": True,
}  # fmt: skip


def test_rate_below_the_usual_one_is_shown() -> None:
    found = text({"seen": [SEEN], "usual_rate": RATE})
    assert found.startswith("192.0.2.7 at listener secure: healthy, but its rate is low")
    assert (
        "note     rate      12.5 events/min in the last hour; usual at 14:00 are 480, the limit is 144"
        " (alert_if_rate_below: 30%)"
    ) in found
    found = text({"seen": [SEEN], "usual_rate": RATE | {"below": False}})
    assert found.splitlines()[0] == "192.0.2.7 at listener secure: healthy"


def test_rate_that_is_not_judged_is_explained() -> None:
    learning = RATE | {"usual_per_minute": None, "per_minute": None, "below": False, "observations": 2}
    found = text({"seen": [SEEN], "usual_rate": learning})
    assert "the usual rate is not known yet (2 of at least 3 days at this hour, and the same day of the week)" in found
    quiet = RATE | {"too_few_events": True, "usual_per_minute": 0.2, "below": False}
    found = text({"seen": [SEEN], "usual_rate": quiet})
    assert "usual at 14:00 are 0.2, too few for alert_if_rate_below: 30%. Use alert_if_silent_for instead" in found
    assert found.splitlines()[0] == "192.0.2.7 at listener secure: healthy"
