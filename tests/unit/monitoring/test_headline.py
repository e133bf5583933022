"""Tests the headline: its sentence, its problems and their remedies."""

import pytest

from bridge.monitoring import headline

HEALTHY = {
    "intakes": [{"name": "a", "state": "idle", "backlog_events": 12, "oldest_seconds": 1.5}],
    "sources_count": {"total": 12},
    "rates": {"received": 1240.4},
    "ledger": {"dropped": {}},
    "kernel_drops": {"udp": 0},
}


def intake(state, error, **fields):
    return HEALTHY | {"intakes": [{"name": "a", "state": state, "backlog_events": 2, "last_error": error, **fields}]}


@pytest.mark.parametrize(
    ("fault", "remedy"), [("disk", "free disk space"), ("inodes", "no free inodes"), ("quota", "raise the quota")]
)
def test_full_intake_names_the_fault_that_limits_the_spool(fault, remedy):
    (problem,) = headline.of(intake("full", None) | {"spool": {"fault": fault}})["problems"]
    assert remedy in problem["remedy"]


def test_fault_of_the_spool_is_named_before_its_effects():
    alarm = {"kind": "spool", "about": "disk", "text": "spool /x: the filesystem is read-only."}
    result = headline.of(intake("backing-off", "no connection") | {"alarms": [alarm]})
    assert result["text"] == "Spool /x: the filesystem is read-only. And 1 more problem below."


def test_healthy_status_gives_one_sentence():
    result = headline.of(HEALTHY)
    assert result == {
        "state": "healthy",
        "text": "Healthy: 12 sources, 1 intake, 1,240 events/s, no events waiting.",
        "problems": [],
        "ended": [],
    }


def test_past_losses_are_mentioned_without_a_problem():
    result = headline.of(HEALTHY | {"ledger": {"dropped": {"spool_full": 1}}, "kernel_drops": {"udp": 3}})
    assert result["state"] == "healthy"
    assert result["text"].endswith("Since start: 1 event dropped and 3 datagrams dropped by the kernel.")


@pytest.mark.parametrize(
    ("status", "state", "text", "remedy"),
    [
        (intake("parked", "the collector answered 401; check the intake key"), "critical",
         "Intake a is parked: the collector answered 401; 2 events waiting in the spool.", "put the right intake key"),
        (intake("backing-off", "no connection: Connection refused"), "critical",
         "Intake a cannot deliver: no connection: Connection refused; 2 events waiting in the spool.",
         "check --connect"),
        (intake("backing-off", "the collector answered 503"), "critical", "Intake a cannot deliver", "when it is back"),
        (intake("full", None), "critical", "Intake a has used its share of the spool.", "spool.max_size"),
        (intake("parked", "not in the configuration"), "degraded",
         "Intake a is not in the configuration", "add the intake"),
        (intake("delivering", "the collector answered 413"), "degraded", "Intake a: the collector answered 413.", ""),
        (intake("idle", None, format_sampled=100, format_mismatches=90), "degraded", "90 of 100", "--payloads"),
        (HEALTHY | {"unrouted": [{"address": "192.0.2.7"}]}, "degraded",
         "Messages from 192.0.2.7 match no route.", "ready to copy"),
        (HEALTHY | {"clocks": [{"address": "192.0.2.7", "name": "fw", "text": "55 minutes behind", "remedy": "NTP"}]},
         "degraded", "The clock of fw is off: 55 minutes behind.", "NTP"),
        (HEALTHY | {"alarms": [{"kind": "loss", "about": "x", "text": "events are dropped"}]}, "critical",
         "Events are dropped.", ""),
        (HEALTHY | {"alarms": [{"kind": "clock", "about": "gateway", "text": "this gateway's clock"}]}, "degraded",
         "This gateway's clock.", ""),
    ],
)  # fmt: skip
def test_each_problem_has_a_remedy(status, state, text, remedy):
    result = headline.of(status)
    assert result["state"] == state
    assert text in result["text"]
    assert remedy in result["problems"][0]["remedy"]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("no connection within 30 s: a name lookup or the server does not answer", "check --connect"),
        ("no connection within 30 s: a name lookup, the proxy p:3128 or the server does not answer", "check --connect"),
        ("handshake failure. If the server or a proxy in between offers only CBC, set legacy_ciphers: true", "AES-GCM"),
        ("the server certificate has the untrusted issuer X. If a proxy inspects TLS, add its CA", "extra_ca_file"),
        ("the proxy p:3128 refused a tunnel to collector:443: 403", "through the proxy"),
    ],
)  # fmt: skip
def test_remedy_is_for_the_proxy_only_if_the_proxy_is_the_reason(error, remedy):
    (problem,) = headline.of(intake("backing-off", error))["problems"]
    assert remedy in problem["remedy"]


def behind(delivered, received, **fields):
    rates = {"delivered_per_second": delivered, "received_per_second": received}
    row = {"name": "a", "state": "delivering", "backlog_events": 12_345, "oldest_seconds": 95.2}
    return HEALTHY | {"intakes": [row | rates | fields]}


@pytest.mark.parametrize("state", ["delivering", "idle", "backing-off"])
def test_intake_that_falls_behind_is_a_problem_in_any_state(state):
    result = headline.of(behind(20.0, 400.0, state=state))
    assert result["state"] == "degraded"
    assert result["text"] == (
        "Intake a falls behind: it delivers 20 events/s and receives 400, the oldest event is 95 s old;"
        " 12,345 events waiting in the spool."
    )


def test_limit_of_bodies_is_named_as_the_cause():
    (problem,) = headline.of(behind(20.0, 400.0, body_limit_bytes=65_536))["problems"]
    assert "requests are limited to 65,536 bytes because larger ones were refused (413)" in problem["text"]
    assert "proxy" in problem["remedy"]


@pytest.mark.parametrize(
    ("fields", "is_problem"),
    [
        ({"delivered": 420.0, "received": 400.0}, False),
        ({"delivered": 401.0, "received": 400.0}, True),
        ({"delivered": 0.0, "received": 0.0}, True),
        ({"delivered": 20.0, "received": 400.0, "oldest_seconds": 50.0}, False),
        ({"delivered": 20.0, "received": 400.0, "late_after_seconds": 300.0}, False),
    ],
)
def test_backlog_that_will_be_gone_within_the_hour_is_not_a_problem(fields, is_problem):
    assert bool(headline.of(behind(**fields))["problems"]) is is_problem


def test_worst_problem_comes_first_and_alarms_are_grouped_by_kind():
    alarms = [{"kind": "silence", "about": str(n), "text": f"source {n} is silent"} for n in range(500)]
    result = headline.of(intake("parked", "answered 401") | {"alarms": alarms})
    assert result["problems"][0]["state"] == "critical"
    assert result["text"].startswith("Intake a is parked")
    assert result["text"].endswith("And 4 more problems below.")
    assert result["problems"][-1]["text"] == "497 further alarms of this kind: silence"


def test_alarm_does_not_repeat_the_problem_of_an_intake():
    result = headline.of(
        intake("parked", "answered 401") | {"alarms": [{"kind": "parked", "about": "a", "text": "again"}]}
    )
    assert len(result["problems"]) == 1


def test_refused_clients_are_a_problem_while_they_try_to_connect():
    def client(name, silent):
        return {"names": [name], "listener": "secure", "pattern": "*.*.branch.example", "silent_seconds": silent}

    rows = [client("old.b.branch.example", 90_000), client("a.b.branch.example", 60), client("c", 60)]
    (problem,) = headline.of(HEALTHY | {"clients_not_in_client_names": rows})["problems"]
    assert problem["state"] == "degraded"
    assert problem["text"] == "Clients that client_names refuses: a.b.branch.example and 1 more"
    assert problem["remedy"] == 'add "*.*.branch.example" to client_names of listener secure'
    assert headline.of(HEALTHY | {"clients_not_in_client_names": rows[:1]})["state"] == "healthy"
    limited = {"clients_not_in_client_names": rows, "clients_not_in_client_names_count": 4}
    (problem,) = headline.of(HEALTHY | limited)["problems"]
    assert problem["text"] == "Clients that client_names refuses: a.b.branch.example and at least 1 more"
