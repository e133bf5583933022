"""Tests the warnings of `check`, and that useful configurations have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import linted

_REST = """
listeners: [{name: udp, udp: "127.0.0.1:5514"}, {name: tcp, tcp: "127.0.0.1:5514"}]
spool: {directory: spool}
"""
_INTAKES = "intakes: {a: {intake_key: {file: a.key}}, b: {intake_key: {file: b.key}}}\n"


@pytest.fixture
def warn(tmp_path: Path):
    def warn(
        routes: str, rest: str = _REST, intakes: str = _INTAKES, unrouted: str = "hold", url: str = "{region: FRA1}"
    ):
        for name, key in (("a", "a" * 16), ("b", "b" * 16)):
            (tmp_path / f"{name}.key").write_text(key)
            (tmp_path / f"{name}.key").chmod(0o600)
        file = tmp_path / "bridge.yaml"
        file.write_text(f"collector: {url}\n{rest}{intakes}routes:\n{routes}\nunrouted: {unrouted}\n")
        return [fault.message for fault in linted(file)[1]]

    return warn


BOTH = "- {name: r1, intake: a, source: 10.0.0.1}\n- {name: r2, intake: b, source: 10.0.0.2}"


def test_valid_configuration_has_no_warnings(warn):
    assert warn(BOTH) == []


def test_spool_on_a_network_filesystem_is_a_warning(warn, monkeypatch):
    monkeypatch.setattr("bridge.config.lints.network_filesystem", lambda path: "nfs4")
    (text,) = warn(BOTH)
    assert "spool is on a network filesystem (nfs4)" in text


@pytest.mark.parametrize(
    ("routes", "text"),
    [
        (
            "- {name: r1, intake: a}\n- {name: r2, intake: b, source: 10.0.0.2}",
            "r2 never matches: the earlier route r1",
        ),
        (
            "- {name: r1, intake: a, source: 10.0.0.0/8}\n- {name: r2, intake: b, source: 10.1.0.0/16, app_name: x}",
            "r2 never matches: the earlier route r1",
        ),
        (
            "- {name: r1, intake: a, source: 10.0.0.1, min_severity: info}\n"
            "- {name: r2, intake: b, source: 10.0.0.1, min_severity: err}",
            "r2 never matches",
        ),
        (
            "- {name: r1, intake: a, source: 10.0.0.0/8}\n- {name: r2, intake: b, source: [10.1.0.0/16, 192.0.2.1]}",
            "r2 overlaps the earlier route r1, which takes 10.1.0.0/16",
        ),
        (
            '- {name: r1, intake: a, hostname: "web-*"}\n- {name: r2, intake: b}',
            "r1: any sender can claim this hostname",
        ),
        ("- {name: r1, intake: a, source: 10.0.0.1}", "intake b receives no events"),
    ],
)
def test_questionable_route_is_warned_about(warn, routes, text):
    found = warn(routes)
    assert len(found) == 1 and text in found[0]


@pytest.mark.parametrize(
    "routes",
    [
        # The usual order: the narrower network first.
        "- {name: r1, intake: a, source: 10.1.0.0/16}\n- {name: r2, intake: b, source: 10.0.0.0/8}",
        # A first route with an exception, or with more conditions, leaves messages to the second one.
        "- {name: r1, intake: a, except: {source: 10.0.0.1}}\n- {name: r2, intake: b, source: 10.0.0.1}",
        "- {name: r1, intake: a, source: 10.0.0.1, app_name: sshd}\n- {name: r2, intake: b, source: 10.0.0.1}",
        "- {name: r1, intake: a, source: 10.0.0.1, min_severity: err}\n- {name: r2, intake: b, source: 10.0.0.1}",
        '- {name: r1, intake: a, source: 10.0.0.1, hostname: "x*"}\n- {name: r2, intake: b}',
        "- {name: r1, intake: a, source: 10.0.0.1}\n- {name: r2, intake: b, source: '2001:db8::1'}",
    ],
)
def test_useful_routes_have_no_warnings(warn, routes):
    assert warn(routes) == []


def test_routes_without_effect_are_warned_about(warn):
    one = "- {name: r1, intake: a, source: 10.0.0.1}\n- {name: r2, intake: b, source: 10.0.0.2}"
    assert any("r2 has no effect: unrouted does the same" in text for text in warn(one, unrouted="{intake: b}"))
    own = '\nlisteners: [{name: udp, udp: "127.0.0.1:5514", intake: a}]\nspool: {directory: spool}\n'
    assert sum("every listener has its own intake" in text for text in warn(one, rest=own)) == 2


def test_shared_malformed_and_readable_keys_are_warned_about(warn, tmp_path):
    same = "intakes: {a: {intake_key: {file: a.key}}, b: {intake_key: {file: a.key}}}\n"
    assert ["b has the same key as intake a" in text for text in warn(BOTH, intakes=same)] == [True]
    written = "intakes: {a: {intake_key: too-short}, b: {intake_key: {file: open.key}}}\n"
    (tmp_path / "open.key").write_text("c" * 16)
    (tmp_path / "open.key").chmod(0o644)
    found = warn(BOTH, intakes=written)
    for text in (
        "the key of intake a does not look like an intake key",
        "the key of intake a is in the configuration",
        "other users of this machine can access the key file of intake b",
    ):
        assert sum(text in one for one in found) == 1, found
    assert len(found) == 3 and not any("too-short" in one or "c" * 16 in one for one in found)


def test_plain_http_and_a_low_request_rate_are_warned_about(warn):
    assert any("plain HTTP" in text for text in warn(BOTH, url='{url: "http://127.0.0.1:1"}'))
    (text,) = warn(BOTH, url="{region: FRA1, max_request_rate: 3}")
    assert "2 intakes with about 2 clocks each need up to 4 requests per second" in text
    assert "max_request_rate is 3" in text
    assert "small_batches: array" in text
    assert warn(BOTH, url="{region: FRA1, max_request_rate: 3, small_batches: array}") == []


def test_endpoint_with_one_event_per_request_is_warned_about(warn):
    assert warn(BOTH, url="{region: FRA1, endpoint: /array, max_request_rate: 1}") == []
    first, second = warn(BOTH, url="{region: FRA1, endpoint: /}")
    expected = "/ takes one event per request, so at most 50 events per second at max_request_rate, shared with 1 other"
    assert expected in first
    assert "the backlog keeps growing" in second


def test_warnings_of_two_thousand_routes(warn):
    lines = [f"- {{name: r{n}, intake: {'ab'[n % 2]}, source: 10.{n // 256}.{n % 256}.0/24}}" for n in range(2000)]
    assert warn("\n".join(lines)) == []
    lines += ["- {name: late, intake: a, source: 10.1.1.1}"]
    assert warn("\n".join(lines)) == [
        "route late never matches: the earlier route r257 takes all its messages. Move it up, or remove it."
    ]


def test_format_of_alerts_without_an_intake_has_no_effect(warn):
    rest = f"{_REST}admin: {{alerts_format: forwarder, alerts_statistics_every: 1m}}\n"
    assert warn(BOTH, rest) == [
        "alerts_format has no effect without alerts_intake. Add alerts_intake: INTAKE.",
        "alerts_statistics_every has no effect without alerts_intake. Add alerts_intake: INTAKE.",
    ]
    assert warn(BOTH, rest.replace("{alerts_format", "{alerts_intake: a, alerts_format")) == []


def test_intake_that_only_receives_heartbeats_is_used(warn):
    routes = "- {name: r1, intake: a, source: 10.0.0.1}"
    assert warn(routes, f"{_REST}admin: {{heartbeat: {{intake: b}}}}\n") == []
