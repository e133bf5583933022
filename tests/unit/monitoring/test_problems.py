"""Tests the problems: their grouping by cause, their order by harm, their texts and their remedies."""

from typing import Any

import pytest

from bridge.deliver.cause import Cause
from bridge.monitoring.alarm_kinds import KINDS
from bridge.monitoring.problems import headline_of, summarize
from bridge.monitoring.problems.losses import SHOWN_SECONDS, reason_of
from bridge.monitoring.problems.remedies import REMEDIES
from bridge.monitoring.problems.summary import MAX_ENDED
from bridge.monitoring.status import STATES

TAKEN = "2026-11-29T04:50:00.000Z"
HEALTHY: dict[str, Any] = {
    "taken": TAKEN,
    "intakes": [{"name": "a", "state": "idle", "backlog_events": 12, "oldest_seconds": 1.5}],
    "sources_count": {"total": 12},
    "rates": {"received": 1240.4},
    "ledger": {"dropped": {}},
    "kernel_drops": {"udp": 0},
}


def row(name: str = "a", state: str = "delivering", **fields: Any) -> dict[str, Any]:
    return {
        "name": name, "state": state, "backlog_events": 2, "last_error": None, "late_after_seconds": 34.0,
        "server": "collector",
    } | fields  # fmt: skip


def intakes(*rows: dict[str, Any]) -> dict[str, Any]:
    return HEALTHY | {"intakes": list(rows)}


def failing(name: str = "a", cause: Cause = Cause.CONNECTION, error: str = "no connection", **fields: Any) -> Any:
    return row(name, "backing-off", last_error=error, last_cause=cause.value, failing_seconds=600.0) | fields


def problems(status: dict[str, Any]) -> list[dict[str, Any]]:
    return list(summarize(status)["problems"])


def loss(reason: str = "spool_full", *names: str, ended: float | None = None) -> dict[str, Any]:
    return {
        "reason": reason, "events": 71_827, "names": list(names), "since_seconds": 600.0 + (ended or 0),
        "ended_seconds": ended,
    }  # fmt: skip


# --- healthy ----------------------------------------------------------------------------------------------------------


def test_healthy_status_gives_one_sentence() -> None:
    assert summarize(HEALTHY) == {
        "state": "healthy",
        "text": "Healthy: 12 sources, 1 intake, 1,240 events/s, 12 events waiting for up to 2 s.",
        "problems": [],
        "ended": [],
    }


def test_events_that_wait_are_counted_whatever_their_age() -> None:
    empty = {"name": "b", "state": "idle", "backlog_events": 0, "oldest_seconds": None}
    assert summarize(intakes(empty))["text"].endswith("events/s, no events waiting.")
    young = row("c", backlog_events=3, oldest_seconds=0.4)
    assert summarize(intakes(empty, young))["text"].endswith("events/s, 3 events waiting for up to 1 s.")


def test_past_losses_are_mentioned_without_a_problem() -> None:
    result = summarize(HEALTHY | {"ledger": {"dropped": {"spool_full": 1}}, "kernel_drops": {"udp": 3}})
    assert result["state"] == "healthy"
    assert result["text"].endswith("Since start: 1 event dropped and 3 datagrams dropped by the kernel.")


def test_held_messages_of_sources_that_do_not_send_any_more_are_a_notice() -> None:
    result = summarize(HEALTHY | {"quarantine": {"unrouted": 22, "refused": 3}})
    (problem,) = result["problems"]
    assert (result["state"], problem["state"], problem["kind"]) == ("healthy", "notice", "unrouted")
    assert problem["text"] == "22 messages that matched no route are held"
    assert "unrouted reroute" in problem["remedy"]
    (problem,) = problems(HEALTHY | {"quarantine": {"unrouted": 22}, "unrouted": [{"address": "192.0.2.7"}]})
    assert (problem["state"], problem["text"]) == (
        "degraded", "Messages from 192.0.2.7 match no route: 22 messages are held",
    )  # fmt: skip
    assert problems(HEALTHY | {"quarantine": {"unrouted": 0}}) == []


def test_unrouted_problem_ends_when_nothing_is_held_any_more() -> None:
    """After `quarantine purge`, the next message that matches no route is a problem again."""
    unrouted = {"unrouted": [{"address": "192.0.2.7"}, {"address": "192.0.2.8"}]}
    assert problems(HEALTHY | unrouted | {"quarantine": {"unrouted": 0}}) == []
    (problem,) = problems(HEALTHY | unrouted | {"quarantine": {"unrouted": 1}})
    assert problem["text"] == "Messages from 2 sources match no route: 1 message is held"


# --- losses -----------------------------------------------------------------------------------------------------------


def test_sources_whose_unrouted_messages_were_purged_are_not_named_again() -> None:
    purged = [{"address": f"10.0.0.{n}", "last_seen": "2026-11-29T04:00:00.000Z"} for n in range(5)]
    late = [{"address": f"192.0.2.{n}", "last_seen": "2026-11-29T04:40:00.000Z"} for n in (7, 8)]
    held = {"reason": "unrouted", "since": "2026-11-29T04:40:00.001Z", "sources": ["192.0.2.9"]}

    def text(rows: list[Any], frames: int, total: int) -> str:
        status = {"unrouted": rows, "held": [held], "quarantine": {"unrouted": frames}}
        (problem,) = problems(HEALTHY | status | {"sources_count": {"unrouted": total}})
        return str(problem["text"])

    assert text([*purged, late[0]], 3, 6) == "Messages from 192.0.2.7 match no route: 3 messages are held"
    assert text([*purged, *late], 3, 7).startswith("Messages from 2 sources match no route")
    assert text([*purged, *late], 900, 4007).startswith("Messages from 900 sources"), "4000 are not listed"
    assert text(late, 9, 2).startswith("Messages from 2 sources")
    assert text(purged, 1, 6) == "Messages from 192.0.2.9 match no route: 1 message is held", "it is not listed"


def test_loss_says_number_reason_begin_and_what_to_do() -> None:
    spool = {"limited_by": "max_size", "max_size_bytes": 10_000_000_000, "disk_free_bytes": 40_000_000_000}
    (problem,) = problems(HEALTHY | {"losses": [loss("spool_full", "firewalls")], "spool": spool})
    assert problem == {
        "state": "critical", "kind": "loss",
        "text": "71,827 events dropped since 04:40 UTC: the spool of intake firewalls is full",
        "remedy": "restore delivery, then raise spool.max_size",
        "since": "2026-11-29T04:40:00Z", "affected": ["firewalls"], "ended": None,
    }  # fmt: skip


def test_loss_at_a_quota_names_the_quota() -> None:
    spool = {"limited_by": "quota", "limit_bytes": 11_000_000}
    (problem,) = problems(HEALTHY | {"losses": [loss("disk_full")], "spool": spool})
    assert "as with a quota" in problem["text"]
    assert problem["remedy"] == "raise the quota of the spool's filesystem"


def test_loss_stays_critical_for_some_time_and_is_then_listed_as_ended() -> None:
    result = summarize(HEALTHY | {"losses": [loss("receive_buffer", "udp", ended=300.0)]})
    assert result["state"] == "critical"
    assert result["problems"][0]["text"] == (
        "71,827 datagrams dropped by the kernel from 04:35 UTC to 04:45 UTC (ended): the receive buffer of listener"
        " udp is full"
    )
    assert result["problems"][0]["ended"] == "2026-11-29T04:45:00Z"
    later = summarize(HEALTHY | {"losses": [loss("receive_buffer", "udp", ended=SHOWN_SECONDS)]})
    assert (later["state"], later["problems"]) == ("healthy", [])
    assert [(ended["kind"], ended["ended"]) for ended in later["ended"]] == [("loss", "2026-11-29T03:50:00Z")]


def test_remedy_of_full_quarantines_names_the_limit_of_each() -> None:
    assert "raise unrouted.hold.max_size" in reason_of("unrouted_full").remedy
    assert "raise spool.quarantine.max_size" in reason_of("refused_full").remedy


def test_remedy_of_an_ended_loss_does_not_ask_for_delivery() -> None:
    (problem,) = problems(HEALTHY | {"losses": [loss("spool_full", "a", ended=300.0)]})
    assert problem["remedy"] == "raise spool.max_size"


def test_loss_comes_first_and_replaces_the_problem_of_the_full_intake() -> None:
    status = intakes(row(state="full", delivery="backing-off", last_error="x", last_cause="connection"))
    found = problems(status | {"losses": [loss("spool_full", "a")]})
    assert [problem["kind"] for problem in found] == ["loss", "collector"]


@pytest.mark.parametrize("code", ["unrouted_expired", "refused_full", "a_new_reason", "purged", "source_limit"])
def test_each_reason_has_words(code: str) -> None:
    assert "_" not in reason_of(code).what.replace("max_age", "")
    (problem,) = problems(HEALTHY | {"losses": [loss(code)]})
    assert "71,827 events dropped since" in problem["text"]


# --- outages ----------------------------------------------------------------------------------------------------------


def test_outage_of_the_collector_is_one_problem() -> None:
    rows = [failing(f"i{n}", backlog_events=500, full_in_seconds=32_400.0 + n) for n in range(4)]
    # The circuit breaker is open, so the fifth has not tried.
    rows.append(row("i4", "backing-off", backlog_events=681))
    (problem,) = problems(intakes(*rows))
    assert problem["text"] == (
        "Collector unreachable since 04:40 UTC (no connection); 5 intakes, 2,681 events safe on disk; full in 9 h"
    )
    assert problem["affected"] == ["i0", "i1", "i2", "i3", "i4"]
    assert (problem["kind"], problem["state"], problem["since"]) == ("collector", "critical", "2026-11-29T04:40:00Z")
    assert "check --connect" in problem["remedy"]


def test_outage_that_no_intake_has_tried_yet_has_a_remedy() -> None:
    """The circuit breaker is open, and the events were moved to this intake."""
    (problem,) = problems(intakes(row("b", "backing-off", backlog_events=20)))
    assert problem["text"] == "Collector unreachable; intake b, 20 events safe on disk; not growing"
    assert "check --connect" in problem["remedy"]


def test_different_errors_of_one_outage_are_one_problem_and_different_servers_are_two() -> None:
    same = intakes(failing("a"), failing("b", Cause.NAME, "the name cannot be resolved"))
    assert len(problems(same)) == 1
    other = intakes(failing("a"), failing("b", server="backup:443"))
    assert [problem["text"].partition(" since")[0] for problem in problems(other)] == [
        "Collector collector unreachable", "Collector backup:443 unreachable",
    ]  # fmt: skip


def test_intake_that_fails_alone_does_not_make_the_collector_unreachable() -> None:
    (problem,) = problems(intakes(failing("a"), row("b", delivered_per_second=20.0)))
    assert problem["text"].startswith("Intake a cannot deliver since 04:40 UTC: no connection; 2 events safe on disk")


def test_error_of_the_collector_is_not_an_unreachable_one() -> None:
    (problem,) = problems(intakes(failing("a", Cause.SERVER, "the collector answered 503")))
    assert problem["text"].startswith("Intake a cannot deliver since 04:40 UTC: the collector answered 503; 2 events")
    assert "when it is back" in problem["remedy"]


def test_parked_intakes_with_one_cause_are_one_problem() -> None:
    parked = [failing(name, Cause.KEY, "the collector answered 401; check the intake key") for name in "ab"]
    (problem,) = problems(intakes(*(each | {"state": "parked", "delivery": "parked"} for each in parked)))
    assert problem["text"] == (
        "Intakes a and b are parked since 04:40 UTC: the collector answered 401; 4 events safe on disk; not growing"
    )
    assert problem["kind"] == "parked"
    assert problem["remedy"] == 'put the right intake key into its file: run "syslog-bridge key set NAME"'


def test_remedy_for_the_key_of_one_intake_is_a_command() -> None:
    (problem,) = problems(intakes(failing("a", Cause.KEY, "the collector answered 401", state="parked")))
    assert str(problem["remedy"]).endswith('run "syslog-bridge key set a"')


def test_rejected_certificate_says_itself_what_to_check() -> None:
    error = "the server certificate (issuer CA) is valid from 2026-11-30; check the gateway's clock"
    (problem,) = problems(intakes(failing(cause=Cause.CERTIFICATE, error=error)))
    assert "is valid from 2026-11-30)" in problem["text"] and "check the" not in problem["text"]
    assert problem["remedy"] == "check the gateway's clock"
    (other,) = problems(intakes(failing(cause=Cause.CERTIFICATE, error="the server certificate has another name")))
    assert other["remedy"] == REMEDIES["certificate"]


def test_remedy_for_unrouted_messages_names_the_command_that_shows_the_route() -> None:
    (problem,) = problems({"unrouted": [{"address": "192.0.2.7"}]})
    assert '"syslog-bridge unrouted list"' in str(problem["remedy"])


def test_intake_that_is_not_in_the_configuration_is_named() -> None:
    (problem,) = problems(intakes(failing(cause=Cause.RETIRED, error="not in the configuration", state="parked")))
    assert (problem["kind"], problem["state"]) == ("unconfigured", "degraded")
    assert problem["text"].startswith("Intake a is not in the configuration: 2 events safe on disk")


def test_each_cause_has_a_remedy() -> None:
    assert set(REMEDIES) == {cause.value for cause in Cause}
    for cause in Cause:
        (problem,) = problems(intakes(failing(cause=cause)))
        assert problem["remedy"]


# --- the spool --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limited_by", "text", "remedy"),
    [
        ("max_size", "spool.max_size is 10.0 GB", "raise spool.max_size"),
        ("min_free", "the disk has 40.0 GB free, of which spool.min_free keeps 5.0 GB", "free disk space or lower"),
        ("disk", "the disk is full", "free disk space"),
        ("inodes", "has no free inodes", "delete small files"),
        ("quota", "takes no more than 8.0 GB, as with a quota", "raise the quota"),
    ],
)
def test_full_intake_names_what_limits_the_spool(limited_by: str, text: str, remedy: str) -> None:
    spool = {
        "bytes": 8e9, "limit_bytes": 8e9, "limited_by": limited_by, "max_size_bytes": 10_000_000_000,
        "min_free_bytes": 5e9, "disk_free_bytes": 40e9, "when_full": "pause", "full": ["a"],
    }  # fmt: skip
    (problem,) = problems(intakes(row(state="full", delivery="delivering")) | {"spool": spool})
    assert problem["text"].startswith("Intake a has no room left in the spool (8.0 GB of 8.0 GB are used; ")
    assert text in problem["text"] and "senders that can wait are paused" in problem["text"]
    assert remedy in problem["remedy"]


def test_small_disk_is_named_where_a_larger_max_size_has_no_effect() -> None:
    spool = {"limited_by": "max_size", "max_size_bytes": 10_000_000_000, "disk_free_bytes": 100_000_000}
    (problem,) = problems(HEALTHY | {"losses": [loss("spool_full", "a")], "spool": spool})
    assert problem["remedy"].startswith("restore delivery, then move the spool to a larger disk: 100.0 MB are free")


def test_spool_that_fills_has_its_figures_and_one_estimate() -> None:
    spool = {"bytes": 7.2e9, "limit_bytes": 1e10, "max_size_bytes": 10_000_000_000, "full_in_seconds": 32_400}
    (problem,) = problems(HEALTHY | {"spool": spool})
    assert problem["text"] == ("The spool is 72% full (7.2 GB of 10.0 GB; spool.max_size is 10.0 GB); full in 9 h")
    assert problems(HEALTHY | {"spool": spool | {"bytes": 6.9e9}}) == []


# --- late events ------------------------------------------------------------------------------------------------------


def behind(delivered: float, received: float, **fields: Any) -> dict[str, Any]:
    rates = {"delivered_per_second": delivered, "received_per_second": received}
    return intakes(row(**{"backlog_events": 12_345, "oldest_seconds": 95.2} | rates | fields))


def test_intake_that_falls_behind_is_a_problem() -> None:
    result = summarize(behind(20.0, 400.0, full_in_seconds=7200.0))
    assert (result["state"], result["problems"][0]["kind"]) == ("degraded", "late")
    assert result["text"] == (
        "Intake a falls behind: it delivers 20 events/s and receives 400; the oldest event has waited for 95 s;"
        " 12,345 events safe on disk; full in 2 h."
    )


def test_limit_of_bodies_is_named_as_the_cause() -> None:
    (problem,) = problems(behind(20.0, 400.0, body_limit_bytes=65_536))
    assert "requests are limited to 65,536 bytes because larger ones were refused (413)" in problem["text"]
    assert "proxy" in problem["remedy"]


def test_backlog_of_an_outage_says_that_it_drains_and_when_it_is_gone() -> None:
    (problem,) = problems(behind(420.0, 400.0, oldest_seconds=3100.0))
    assert problem["text"] == (
        "Intake a drains its backlog: 12,345 events, gone in 10 min; the oldest event has waited for 52 min"
    )
    assert (problem["kind"], problem["remedy"], problem["state"]) == ("draining", "no action is needed", "degraded")
    (slow,) = problems(behind(401.0, 400.0))
    assert "gone in 3 h" in slow["text"] and "unless it is too slow: raise max_request_rate" in slow["remedy"]
    # The last seconds alone would say that it grows.
    (bursty,) = problems(behind(100.0, 400.0, backlog_change_per_second=-50.0))
    assert bursty["kind"] == "draining"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("error", [None, "no progress for 30 s"])
def test_late_event_is_a_problem_in_any_state(state: str, error: str | None) -> None:
    late = row("a", state, last_error=error, oldest_seconds=35.0)
    assert summarize(intakes(late))["state"] != "healthy"
    found = problems(intakes(late))
    assert len(found) == (2 if state == "full" else 1)
    assert all(problem["affected"] == ["a"] and "()" not in problem["text"] for problem in found)


def test_event_within_the_bound_is_no_problem() -> None:
    assert problems(intakes(row(oldest_seconds=33.0), row(oldest_seconds=None))) == []
    assert problems(behind(20.0, 400.0, oldest_seconds=1800.0, late_after_seconds=7230.0)) == []


def test_intake_that_delivers_nothing_says_so() -> None:
    (problem,) = problems(behind(0.0, 0.0, state="idle"))
    assert problem["kind"] == "waiting"
    assert problem["text"].startswith("Intake a has delivered nothing lately; the oldest event has waited for 95 s")
    assert "check --connect" in problem["remedy"]


def test_intake_that_has_begun_to_deliver_does_not_ask_for_action() -> None:
    (problem,) = problems(behind(0.0, 10.0, last_acceptance={"at": "2026-11-29T04:49:58.000Z"}))
    assert (problem["kind"], problem["remedy"]) == ("draining", "no action is needed")
    (problem,) = problems(behind(0.0, 10.0, last_acceptance={"at": "2026-11-29T04:40:00.000Z"}))
    assert problem["kind"] == "waiting"


def test_summary_of_an_older_version_is_computed_again() -> None:
    old = HEALTHY | {"headline": {"state": "well", "text": "Healthy", "problems": []}}
    assert headline_of(old)["state"] == "healthy"
    assert headline_of(HEALTHY | {"headline": {"ended": [], "state": "degraded"}})["state"] == "degraded"


def test_error_of_an_intake_that_delivers_is_shown() -> None:
    (problem,) = problems(intakes(row(last_error="the collector answered 413", last_cause="too_large")))
    assert (problem["kind"], problem["text"]) == ("delivery", "Intake a: the collector answered 413")


def test_error_is_over_when_nothing_waits() -> None:
    """A refused event is held, and may be the last one for hours."""
    assert problems(intakes(row(last_error="the collector answered 400", last_cause="refused", backlog_events=0))) == []


# --- alarms and sources -----------------------------------------------------------------------------------------------


def alarm(kind: str, about: str = "x", text: str = "something happens") -> dict[str, Any]:
    return {"kind": kind, "about": about, "text": text, "remedy": "do it", "since": "2026-11-29T04:40:00.000Z"}


def test_fault_of_the_spool_is_named_before_its_effects() -> None:
    fault = alarm("spool", "disk", "spool /x: the filesystem is read-only")
    result = summarize(intakes(failing()) | {"alarms": [fault]})
    assert result["text"] == "Spool /x: the filesystem is read-only. And 1 more problem below."


@pytest.mark.parametrize("kind", KINDS)
def test_problems_are_ordered_by_harm(kind: str) -> None:
    status = intakes(failing()) | {"alarms": [alarm("archive"), alarm(kind, "gateway")]}
    states = [problem["state"] for problem in problems(status)]
    assert states == sorted(states, key=["critical", "degraded", "notice"].index)
    kinds = [problem["kind"] for problem in problems(status) if problem["state"] == "critical"]
    assert kinds == sorted(kinds, key=list(KINDS).index)


def test_loss_that_has_ended_does_not_hide_what_lasts() -> None:
    status = intakes(failing()) | {"losses": [loss("receive_buffer", "udp", ended=300.0)], "alarms": [alarm("silence")]}
    assert [(problem["kind"], problem["ended"] is None) for problem in problems(status)] == [
        ("collector", True), ("loss", False), ("silence", True),
    ]  # fmt: skip


def test_sources_that_are_listed_are_counted_before_the_next_count() -> None:
    counts = {"sources_count": {"total": 0, "unrouted": 0}, "unrouted": [{"address": "192.0.2.7"}]}
    assert summarize(HEALTHY | counts)["text"].startswith("Messages from 192.0.2.7 match no route")


def test_many_harmless_ended_problems_do_not_hide_a_harmful_one() -> None:
    ended = [alarm("silence", f"s{n}") | {"ended": f"2026-11-29T04:{n:02}:00.000Z"} for n in range(2, 50)]
    parked = alarm("parked", "a") | {"ended": "2026-11-29T04:01:00.000Z"}
    unknown = alarm("silence", "x") | {"ended": "2026-11-29T04:00:00.000Z", "state": "unknown"}
    found = summarize(HEALTHY | {"ended_alarms": [unknown, parked, *ended]})["ended"]
    assert [each["kind"] for each in found] == ["silence"] * (MAX_ENDED - 1) + ["parked"]
    assert found[0]["ended"] == "2026-11-29T04:49:00Z"


def test_loss_before_the_gateway_is_named_after_what_is_critical() -> None:
    found = problems(intakes(failing()) | {"losses": [loss("sequence_gap", "192.0.2.7")], "alarms": [alarm("silence")]})
    assert [(problem["state"], problem["kind"]) for problem in found] == [
        ("critical", "collector"), ("degraded", "loss"), ("degraded", "silence"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["parked", "full", "waiting", "loss", "budget", "clock"])
def test_alarm_does_not_repeat_what_is_computed(kind: str) -> None:
    assert problems(HEALTHY | {"alarms": [alarm(kind, "192.0.2.7")]}) == []


def test_alarm_of_the_gateways_clock_is_a_problem_with_its_remedy_and_start() -> None:
    (problem,) = problems(HEALTHY | {"alarms": [alarm("clock", "gateway")]})
    assert (problem["text"], problem["remedy"]) == ("Something happens", "do it")
    assert (problem["since"], problem["affected"]) == ("2026-11-29T04:40:00Z", ["gateway"])


def test_many_alarms_of_a_kind_are_one_problem() -> None:
    alarms = [alarm("silence", f"s{n}") for n in range(500)]
    (problem,) = problems(HEALTHY | {"alarms": alarms})
    assert problem["text"] == ("500 alarms: a source is silent for longer than expected (s0, s1, s2 and 497 more)")
    assert len(problem["affected"]) == 100 and problem["since"] == "2026-11-29T04:40:00Z"


def test_ended_alarms_say_when_they_ended() -> None:
    ended = [
        alarm("silence", "s") | {"ended": "2026-11-29T04:45:00.000Z"},
        alarm("parked", "a") | {"ended": "2026-11-29T04:46:00.000Z"},
        alarm("clock", "step") | {"ended": "2026-11-29T04:47:00.000Z"},
    ]
    found = summarize(HEALTHY | {"ended_alarms": ended})["ended"]
    assert [(each["kind"], each["ended"]) for each in found] == [
        ("parked", "2026-11-29T04:46:00Z"), ("silence", "2026-11-29T04:45:00Z"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "state", "text", "remedy"),
    [
        (intakes(row(format_sampled=100, format_mismatches=90)), "degraded", "90 of the latest 100", "--payloads"),
        (HEALTHY | {"unrouted": [{"address": "192.0.2.7"}]}, "degraded",
         "Messages from 192.0.2.7 match no route.", "unrouted list"),
        (HEALTHY | {"clocks": [{"address": "192.0.2.7", "name": "fw", "text": "55 minutes behind", "remedy": "NTP"}]},
         "degraded", "The clock of fw is off: 55 minutes behind.", "NTP"),
    ],
)  # fmt: skip
def test_problems_of_sources_have_a_remedy(status: dict[str, Any], state: str, text: str, remedy: str) -> None:
    result = summarize(status)
    assert result["state"] == state
    assert text in result["text"]
    assert remedy in result["problems"][0]["remedy"]


def test_format_is_judged_by_the_latest_events() -> None:
    since_start = {"format_sampled": 5000, "format_mismatches": 3000}
    fixed = row(**since_start, format_latest_sampled=200, format_latest_mismatches=10)
    assert problems(intakes(fixed)) == []
    (problem,) = problems(intakes(row(**since_start, format_latest_sampled=200, format_latest_mismatches=60)))
    assert "60 of the latest 200 sampled events" in problem["text"]


def test_changed_source_is_not_reported_as_a_wrong_format_too() -> None:
    status = intakes(row(format_sampled=100, format_mismatches=90))
    assert problems(status | {"drifts": [{"intake": "a", "mismatches": 12}]}) == []
    for other in ({"intake": "b", "mismatches": 12}, {"intake": "a", "mismatches": 0}):
        assert [problem["kind"] for problem in problems(status | {"drifts": [other]})] == ["format"]


def test_refused_clients_are_a_problem_while_they_try_to_connect() -> None:
    def client(name: str, silent: int) -> dict[str, Any]:
        return {"names": [name], "listener": "secure", "pattern": "*.*.branch.example", "silent_seconds": silent}

    rows = [client("old.b.branch.example", 90_000), client("a.b.branch.example", 60), client("c", 60)]
    (problem,) = problems(HEALTHY | {"clients_not_in_client_names": rows})
    assert problem["state"] == "degraded"
    assert problem["text"] == "Clients that client_names refuses: a.b.branch.example and 1 more"
    assert problem["remedy"] == 'add "*.*.branch.example" to client_names of listener secure'
    assert summarize(HEALTHY | {"clients_not_in_client_names": rows[:1]})["state"] == "healthy"
    limited = {"clients_not_in_client_names": rows, "clients_not_in_client_names_count": 4}
    (problem,) = problems(HEALTHY | limited)
    assert problem["text"] == "Clients that client_names refuses: a.b.branch.example and at least 1 more"


def test_notice_does_not_change_the_state() -> None:
    data = {"address": "192.0.2.7", "ids": ["x@1"], "intake": "a"}
    result = summarize(HEALTHY | {"unsent_structured_data": [data]})
    assert (result["state"], result["problems"][0]["state"]) == ("healthy", "notice")
    assert result["text"].endswith("12 events waiting for up to 2 s. 1 notice below.")


def test_remedy_for_many_clocks_names_the_command_that_lists_them() -> None:
    clocks = [{"address": f"192.0.2.{n}", "text": "2 hours behind", "remedy": "NTP"} for n in (7, 8)]
    (problem,) = problems(HEALTHY | {"clocks": clocks})
    assert problem["remedy"] == '"syslog-bridge status --sources" lists each with its remedy'
