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


def test_problem_that_is_over_says_when_it_ended() -> None:
    over = {
        "kind": "clock", "text": "The clock of fw was off: 55 minutes behind",
        "since": "2026-11-29T04:00:00.500Z", "ended": "2026-11-29T04:30:00.500Z",
    }  # fmt: skip
    found = text({"seen": [SEEN], "ended_problems": [over]}, STATUS)
    assert found.startswith("192.0.2.7 at listener udp: healthy\n")
    assert (
        "note     ended     The clock of fw was off: 55 minutes behind (from 2026-11-29T04:00:00Z to"
        " 2026-11-29T04:30:00Z)" in found
    )
    told = over | {"kind": "rejected", "text": "Listener udp rejected 192.0.2.7"}
    assert "ended " not in text({"seen": [SEEN], "ended_problems": [told]}, STATUS), "another step says it"


def test_alarm_of_the_source_or_its_intake_that_is_over_says_when_it_ended() -> None:
    def alarm(about: str) -> dict[str, Any]:
        return {
            "kind": "silence", "about": about, "text": f"source {about} has been silent",
            "since": "2026-11-29T04:00:00Z", "ended": "2026-11-29T04:30:00Z",
        }  # fmt: skip

    status = STATUS | {"ended_alarms": [alarm("192.0.2.7"), alarm("192.0.2.8"), alarm("fw")]}
    for seen in ([SEEN], []):
        found = text({"seen": seen}, status)
        assert "ended     Source 192.0.2.7 has been silent (from 2026-11-29T04:00:00Z to 2026-11-29T04:30:00Z)" in found
        assert "192.0.2.8" not in found
        assert ("Source fw has" in found) is bool(seen), "its intake is known once it has sent"


# --- held messages ----------------------------------------------------------------------------------------------------

HELD: dict[str, Any] = {
    "address": "192.0.2.7", "frames": 3, "first": "2026-11-28T04:00:00.000Z", "last": "2026-11-28T05:00:00.000Z",
    "matching_route": None,
}  # fmt: skip


def test_source_whose_messages_are_held_since_before_the_start_is_not_unknown() -> None:
    found = text({"seen": [], "held": [HELD]}, STATUS)
    assert found.startswith("192.0.2.7: no route matches its messages\n")
    assert (
        "problem  route     no route matches: 3 messages from 2026-11-28T04:00:00.000Z to 2026-11-28T05:00:00.000Z"
        " matched no route and are held. Add the route below" in found
    )
    assert "tcpdump" not in found, "its packets have arrived"


def test_held_messages_with_a_route_ask_for_a_reroute() -> None:
    found = text({"seen": [], "held": [HELD | {"matching_route": "firewalls"}]}, STATUS)
    assert "Route firewalls matches now: run syslog-bridge reload and syslog-bridge unrouted reroute" in found
    assert "Add the route below" not in found


def test_number_of_held_messages_is_that_of_the_quarantine() -> None:
    unrouted = SEEN | {"route": "unrouted", "intake": None, "unrouted": 1, "unrouted_now": True}
    assert "no route matches: 3 messages held." in text({"seen": [unrouted], "held": [HELD]}, STATUS)
    purged = text({"seen": [unrouted], "held": []}, STATUS)
    assert "no route matches: 1 message since the start; none is held any more." in purged


SLOW = "redact rule slow exceeded its match limit"
UNREDACTED: dict[str, Any] = {
    "reason": "unredacted", "events": 3, "since": "2026-11-29T04:40:00.000Z", "latest": "2026-11-29T04:45:00.000Z",
    "sources": ["192.0.2.7"], "intakes": [], "faults": [SLOW],
}  # fmt: skip


def test_held_messages_of_the_source_are_told_in_the_words_of_the_status() -> None:
    status = STATUS | {"held": [UNREDACTED]}
    told = f"held      {summarize(status)['problems'][0]['text']}. To do: simplify the regex of the rule"
    found = text({"seen": [SEEN]}, status)
    assert found.startswith("192.0.2.7 at listener udp: healthy, but messages are held in quarantine\n")
    assert f"note     {told}" in found
    assert "held " not in text({"seen": [SEEN]}, STATUS | {"held": [UNREDACTED | {"sources": ["192.0.2.8"]}]})
    found = text({"seen": [SEEN | {"route": None, "intake": None}]}, status)
    assert found.startswith("192.0.2.7 at listener udp: its messages are held in quarantine\n"), "all of them"
    assert f"problem  {told}" in found
    assert f"note     {told}" in text({"seen": []}, status), "before the start"


def test_refused_events_are_told_to_the_sources_of_the_intake() -> None:
    row = UNREDACTED | {"reason": "refused", "sources": [], "intakes": ["fw"], "faults": ["event too old"]}
    found = text({"seen": [SEEN]}, STATUS | {"held": [row]})
    assert "held      3 events of intake fw are held and not sent since 04:40 UTC: event too old" in found
    assert "held " not in text({"seen": [SEEN | {"intake": "other"}]}, STATUS | {"held": [row]})


def test_incidents_are_told_to_the_sources_that_they_may_concern() -> None:
    def found(reason: str, name: str, seen: dict[str, Any], config: Config = CONFIG) -> str:
        row = {"reason": reason, "events": 2, "names": [name], "since_seconds": 600.0, "ended_seconds": None}
        return text({"seen": [seen]}, STATUS | {"incidents": [row]}, config)

    passed = SEEN | {"messages": [{"format": "rfc5424", "passed_over": [{"route": "slow", "why": "no match"}]}]}
    told = "match     2 messages not matched since 04:40 UTC: an expression of route slow exceeded its match limit"
    assert told in found("match_limit", "slow", passed)
    assert f"{told}, of this or other sources. To do: simplify" in found("match_limit", "slow", passed)
    assert "match  " not in found("match_limit", "slow", SEEN)
    assert "truncated 2 messages truncated" in found("truncated", "udp", SEEN)
    assert "truncated" not in found("truncated", "tcp", SEEN)
    config = parse_text(f"{TEXT}routes: [{{name: r, listener: udp, intake: fw, mirror_to: ['udp://192.0.2.9:514']}}]\n")
    assert "mirror    2 copies dropped" in found("not_mirrored", "udp://192.0.2.9:514", SEEN, config)
    assert "mirror" not in found("not_mirrored", "udp://192.0.2.8:514", SEEN, config)


# --- intake -----------------------------------------------------------------------------------------------------------


def test_intake_that_does_not_deliver_has_a_remedy() -> None:
    error = 'the collector answered 401: {"error": "unknown intake key"}; check the intake key'
    parked = INTAKE | {"state": "parked", "last_error": error, "last_cause": "key"}
    found = text({"seen": [SEEN]}, STATUS | {"intakes": [parked]})
    assert (
        'the oldest for 7 s; the collector answered 401: {"error": "unknown intake key"}. To do: put the right intake'
        ' key into its file: run "syslog-bridge key set fw"\n' in found
    )


def test_one_event_is_not_several_events() -> None:
    one = {"accepted": 1, "at": "2026-11-29T04:49:00.000Z", "first_id": "a", "last_id": "a"}
    intake = INTAKE | {"state": "delivering", "backlog_events": 1, "last_error": None, "last_acceptance": one}
    found = text({"seen": [SEEN]}, STATUS | {"intakes": [intake]})
    assert "fw is delivering; 1 event waiting, the oldest for 7 s\n" in found
    assert found.endswith("1 event accepted at 2026-11-29T04:49:00.000Z, event id a")
    more = intake | {"last_acceptance": one | {"accepted": 2, "last_id": "b"}}
    assert "2 events accepted at 2026-11-29T04:49:00.000Z, event ids a to b" in text(
        {"seen": [SEEN]}, STATUS | {"intakes": [more]}
    )
