"""Tests how responses are classified, in particular which are never taken for acceptance."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver.exchange import Response
from bridge.deliver.outcome import Verdict, read
from tests.harness.examples import examples

IDS = [f"6f0ad1b2-0000-4000-8000-{i:012}" for i in range(3)]


def verdict(body, status=200, count=3, **headers):
    return read(Response(status, body, headers), count, now=0.0)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"event_ids": IDS}), json.dumps({"received": True, "event_ids": IDS}),
        json.dumps({"event_ids": IDS, "received": True}), json.dumps({"event_ids": IDS}, indent=2) + "\n",
        json.dumps({"event_ids": IDS, "more": {"a": [1]}}),
    ],
)  # fmt: skip
def test_collector_response_is_accepted_with_its_event_ids(body):
    result = verdict(body.encode())
    assert (result.verdict, result.accepted, result.confirmed) == (Verdict.ACCEPTED, 3, True)
    assert (result.first_id, result.last_id) == (IDS[0], IDS[2])


def test_accepted_count_is_limited_by_ids_and_by_events():
    assert verdict(json.dumps({"event_ids": IDS[:2]}).encode()).accepted == 2
    assert verdict(json.dumps({"event_ids": IDS}).encode(), count=2).accepted == 2


def test_single_event_id_is_accepted():
    result = verdict(json.dumps({"event_id": IDS[0]}).encode(), count=1)
    assert (result.verdict, result.accepted, result.first_id) == (Verdict.ACCEPTED, 1, IDS[0])


def test_received_without_ids_is_unconfirmed():
    result = verdict(b'{"received": true}')
    assert (result.verdict, result.accepted, result.confirmed) == (Verdict.ACCEPTED, 3, False)


FOREIGN_BODIES = [
    b"", b" ", b"OK", b"<html><body>200 OK</body></html>",
    b'<!DOCTYPE html><script>var x={"event_ids":["a"]}</script>',
    b"{}", b"[]", b"null", b"true", b'"event_ids"', b'["event_ids"]', b'{"event_ids": "a"}', b'{"event_ids": null}',
    b'{"event_ids": {"a": 1}}', b'{"event_id": 5}', b'{"received": false}', b'{"received": "true"}',
    b'{"status": "ok"}',
    b'{"event_ids": ["a"', b'{"event_ids": ["a"]} trailing', b'x{"event_ids": ["a", "b", "c"]}', b"\xff\xfe\x00",
    b"\x1f\x8b\x08",
    b"[" * 100_000, b'{"a":' * 100_000, b'{"event_ids": [' + b"[" * 100_000,
    b'{"error": "not found", "event_ids": null}',
    b"HTTP/1.1 200 OK\r\n\r\n{\"event_ids\": []}",
]  # fmt: skip


@pytest.mark.parametrize("body", FOREIGN_BODIES, ids=range(len(FOREIGN_BODIES)))
@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_foreign_body_is_never_accepted(body, status):
    result = verdict(body, status)
    assert (result.verdict, result.accepted) == (Verdict.RETRY, 0)
    assert result.reason
    assert len(result.reason) < 300
    assert result.reason.isprintable()


@pytest.mark.parametrize(
    "status", [0, 100, 199, *range(300, 600, 7), 301, 302, 400, 401, 403, 404, 413, 429, 500, 503, 599]
)
def test_other_status_is_never_accepted_whatever_its_body(status):
    result = verdict(json.dumps({"event_ids": IDS}).encode(), status)
    assert result.verdict is not Verdict.ACCEPTED
    assert result.accepted == 0
    assert str(status) in result.reason


@settings(max_examples=examples(200, long=500), deadline=None)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["event_ids", "event_id", "received", "errors", "index", "x"]), inner,
        max_size=3),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.integers(0, 999), st.integers(1, 5), st.sampled_from(["", "5", "x", "Mon, 23 Nov 2026 07:24:00 GMT", "9" * 30]),
)  # fmt: skip
def test_any_response_has_a_consistent_outcome(body, status, count, retry_after):
    result = verdict(body, status, count, **{"retry-after": retry_after})
    assert 0 <= result.accepted <= count
    assert all(0 <= position < count for position in result.rejected)
    assert not result.rejected or result.accepted + len(result.rejected) == count
    if result.verdict is Verdict.ACCEPTED:
        assert 200 <= status < 300
        decoded = json.loads(body)
        assert "event_ids" in decoded or "event_id" in decoded or decoded["received"] is True
    else:
        assert result.reason


ABSURD_DATES = ["Thu, 01 Jan 2026 00:00:00 +999999999999999", "Thu, 01 Jan 99999999999 00:00:00 GMT"]


@pytest.mark.parametrize("text", ABSURD_DATES)
def test_absurd_retry_after_is_ignored(text):
    assert read(Response(503, b"", {"retry-after": text}), 1, now=1_795_435_200.0).retry_after is None


@pytest.mark.parametrize("date", ["Mon, 23 Nov 2026 12:00:00 GMT", "", "no date", *ABSURD_DATES])
def test_date_to_retry_after_counts_from_the_clock_of_the_response(date):
    now = 1_795_435_200.0 + (3600 if date.startswith("Mon") else 0)
    headers = {"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": date}
    assert read(Response(503, b"", headers), 1, now=now).retry_after == 30
