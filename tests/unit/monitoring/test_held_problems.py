"""Tests the problems of frames that are held, truncated, not matched or not mirrored: their texts and states."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.monitoring.problems import summarize
from bridge.monitoring.problems.held import HELD
from bridge.monitoring.problems.losses import MATCH_LIMIT, NOT_MIRRORED, SHOWN_SECONDS, TRUNCATED
from bridge.spool.quarantine import REASONS

TAKEN = "2026-11-29T04:50:00.000Z"
SLOW, OTHER = (f"redact rule {name} exceeded its match limit" for name in ("slow", "other"))


def held(reason: str = "unredacted", events: int = 3, **fields: Any) -> dict[str, Any]:
    row = {
        "reason": reason, "events": events, "since": "2026-11-29T04:40:00.000Z", "latest": "2026-11-29T04:45:00.000Z",
        "sources": ["192.0.2.7"], "intakes": [], "faults": [SLOW],
    }  # fmt: skip
    return {"taken": TAKEN, "held": [row | fields]}


def incident(reason: str, *names: str, events: int = 3, ended: float | None = None) -> dict[str, Any]:
    row = {"reason": reason, "events": events, "names": names, "since_seconds": 600.0, "ended_seconds": ended}
    return {"taken": TAKEN, "incidents": [row]}


def only(status: dict[str, Any]) -> dict[str, Any]:
    (problem,) = summarize(status)["problems"]
    return dict(problem)


def test_unredacted_messages_are_a_problem_with_number_begin_source_rule_and_remedy() -> None:
    assert summarize(held())["state"] == "degraded"
    assert only(held()) == {
        "state": "degraded", "kind": "unredacted",
        "text": f"3 messages from source 192.0.2.7 are held and not sent since 04:40 UTC: {SLOW}",
        "remedy": "simplify the regex of the rule and reload, then run"
        ' "syslog-bridge quarantine retry --reason unredacted"; "syslog-bridge quarantine purge --reason unredacted"'
        " deletes what is held",
        "since": "2026-11-29T04:40:00Z", "affected": ["192.0.2.7"], "ended": None,
    }  # fmt: skip


def test_all_rules_that_failed_are_named_the_latest_first() -> None:
    text = only(held(faults=[SLOW, OTHER], events=1, sources=[], intakes=["web"]))["text"]
    assert text == f"1 message of intake web is held and not sent since 04:40 UTC: {OTHER} and {SLOW}"


def test_other_reasons_show_their_latest_fault() -> None:
    status = held("refused", sources=[], intakes=["web"], faults=["event too old", "unknown field"])
    assert only(status)["text"] == (
        "3 events of intake web are held and not sent since 04:40 UTC: unknown field"
    )  # fmt: skip
    assert only(held("oversize", faults=[]))["text"].endswith("held and not sent since 04:40 UTC")
    assert (only(held("damaged"))["kind"], only(held("damaged"))["state"]) == ("incomplete", "notice")


def test_held_frames_are_a_notice_when_none_was_added_for_a_day() -> None:
    old = held(since="2026-11-27T04:40:00.000Z", latest="2026-11-28T04:49:59.000Z")
    assert (summarize(old)["state"], only(old)["state"]) == ("healthy", "notice")
    assert "since 2026-11-27 04:40 UTC" in only(old)["text"]
    assert only(held(latest="2026-11-28T04:50:01.000Z"))["state"] == "degraded"
    assert only(held(latest=None, since=None))["state"] == "notice"


def test_each_reason_of_the_quarantine_is_described() -> None:
    """`unrouted` is described with the sources that have no route."""
    assert set(HELD) == set(REASONS) - {"unrouted"}
    assert summarize(held("unrouted"))["problems"] == []
    for code in HELD:
        assert only(held(code))["remedy"].endswith(
            f'"syslog-bridge quarantine purge --reason {code}" deletes what is held'
        )


@pytest.mark.parametrize(
    ("status", "kind", "state", "text"),
    [
        (
            incident(MATCH_LIMIT, "windows"), "match_limit", "degraded",
            "3 messages not matched since 04:40 UTC: an expression of route windows exceeded its match limit",
        ),
        (
            incident(TRUNCATED, "udp", events=1), "truncated", "notice",
            "1 message truncated since 04:40 UTC: longer than max_frame_size at listener udp",
        ),
        (
            incident(NOT_MIRRORED, "udp://192.0.2.9:514", events=2), "mirror", "degraded",
            "2 copies dropped since 04:40 UTC: sending to target udp://192.0.2.9:514 fails or is too slow",
        ),
    ],
)  # fmt: skip
def test_incidents_are_problems_with_number_begin_name_and_remedy(
    status: dict[str, Any], kind: str, state: str, text: str
) -> None:
    problem = only(status)
    assert (problem["kind"], problem["state"], problem["text"]) == (kind, state, text)
    assert problem["remedy"]
    assert problem["affected"] == list(status["incidents"][0]["names"])


def test_incident_that_is_over_says_when_it_ended() -> None:
    over = incident(MATCH_LIMIT, "windows", ended=SHOWN_SECONDS)
    assert summarize(over)["problems"] == []
    (ended,) = summarize(over)["ended"]
    assert (ended["kind"], ended["ended"]) == ("match_limit", "2026-11-29T03:50:00Z")
