"""Tests that no text of an answer is kept as the server sent it, and that no answer takes long to classify."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver.exchange import Response
from bridge.deliver.outcome import ABSURD_RETRY_AFTER, LONGEST_RETRY_AFTER, Outcome, Verdict, read
from tests.harness.examples import examples

CONTROL = "\x1b]0;owned\x07\r\n\x00\u202e\ud800 "
DATE = r"[A-Za-z]{0,4},? ?[0-9-]{0,5} ?[A-Z][a-z]{2} [0-9]{0,6} [0-9:]{0,9} ?[-+A-Z0-9]{0,6}"
NOW = 1_795_435_200.0


def outcome_of(body: bytes, status: int = 200, count: int = 1, **headers: str) -> Outcome:
    return read(Response(status, body, headers), count, now=NOW)


def texts(result: Outcome) -> list[str]:
    return [result.reason, *result.rejected.values(), result.first_id or "", result.last_id or ""]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"event_id": CONTROL * 1000}, 1),
        ({"event_ids": [CONTROL * 1000]}, 1),
        ({"event_ids": [CONTROL * 1000, None]}, 2),
        ({"event_ids": [10**4000]}, 1),
        ({"event_ids": [], "errors": [{"index": 0, "status": CONTROL * 1000, "message": CONTROL * 1000}]}, 1),
        ({"event_ids": [], "errors": [{"index": 0, "status": {"a": "x" * 9000}, "message": ["x" * 9000]}]}, 1),
        ({"event_ids": [], "errors": [{"index": 0, "status": 10**4000}]}, 1),
        ({"else": CONTROL * 1000}, 1),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_texts_are_cut_and_have_no_control_characters(body: dict[str, object], count: int, status: int) -> None:
    result = outcome_of(json.dumps(body).encode(), status, count)
    for text in texts(result):
        assert text.isprintable() and len(text) < 500, text


def test_raw_ids_are_cut_and_have_no_control_characters() -> None:
    body = b'{"event_ids":["%b","b"]}' % (b"\x1b\x07\r\n\x00\xff\xe2\x80\xae" * 100)
    result = outcome_of(body, count=2)
    assert result.verdict is Verdict.ACCEPTED
    assert all(text.isprintable() and len(text) <= 100 for text in texts(result)), texts(result)


def test_refusal_names_status_and_message() -> None:
    body = {"event_ids": [None], "errors": [{"index": 0, "status": 422, "message": "not  to\nmy taste"}]}
    result = outcome_of(json.dumps(body).encode())
    assert result.rejected == {0: "the collector answered 422 for this event: not to my taste"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"event_ids":[' + b"{}," * 2_600_000 + b"{}]}",
        b"[" * 8_000_000,
        b" " * 8_000_000,
        b"\n" * 4_000_000 + b"{" + b" " * 4_000_000,
        b'{"event_ids":[' + b'{"a":[1,2]},' * 600_000 + b"0]}",
        b'{"a":' * 1_000_000,
        b'{"event_ids":[%b' % (b'"' * 8_000_000),
        b"9" * 8_000_000,
    ],
)
def test_large_answer_is_classified_at_once(body: bytes) -> None:
    began = time.process_time()
    result = outcome_of(body)
    assert result.verdict is Verdict.RETRY and result.foreign
    # Each takes about 50 ms; parsing the first would take a second and 200 MB.
    assert time.process_time() - began < 5


def test_answer_to_many_events_is_read_whole() -> None:
    errors = [{"index": index, "status": 422, "message": "no, [not] {this}"} for index in range(20_000)]
    result = outcome_of(json.dumps({"event_ids": [None] * 20_000, "errors": errors}).encode(), count=20_000)
    assert len(result.rejected) == 20_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5.0),
        ("7200", LONGEST_RETRY_AFTER),
        (str(int(ABSURD_RETRY_AFTER) + 1), None),
        ("9" * 20, None),
        ("9" * 5000, None),
        ("-5", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("5\x00", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_retry_after_is_followed_only_if_it_is_sensible(text: str, expected: float | None) -> None:
    for date in ("", "Mon, 23 Nov 2026 12:00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT"):
        assert outcome_of(b"", 503, date=date, **{"retry-after": text}).retry_after == expected


@settings(max_examples=examples(300, long=5000), deadline=None)
@given(st.text(max_size=80) | st.from_regex(DATE))
def test_any_retry_after_and_date_is_read(text: str) -> None:
    wait = outcome_of(b"", 503, date=text, **{"retry-after": text}).retry_after
    assert wait is None or 0 <= wait <= LONGEST_RETRY_AFTER
