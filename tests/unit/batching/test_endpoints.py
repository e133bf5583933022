"""Tests that the collector reads the bodies of every endpoint, and what the spool keeps for each endpoint."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.batching import encoding, group
from bridge.batching.endpoints import ENDPOINTS, as_json_string, json_body, mask_key
from bridge.batching.groups import GroupLimits
from bridge.collector import formats
from bridge.collector.credentials import Keys
from bridge.config.addresses import ENDPOINTS as CONFIG_ENDPOINTS
from bridge.routing import Disposition
from bridge.routing.profile import PAYLOAD_NEEDS
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds
from tests.harness.parsed import parsed

NOON = milliseconds(datetime(2026, 11, 23, 12, tzinfo=UTC))
KEY = "0123456789abcdef"


def test_configuration_accepts_the_same_endpoints():
    assert set(ENDPOINTS) == set(CONFIG_ENDPOINTS)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jsons", b'["a","b"]'),
        ("/batch", b'{"intake_key":"0123456789abcdef","@timestamp":"2026-11-23T12:00:00.000Z","jsons":["a","b"]}'),
        ("/", b'{"intake_key":"0123456789abcdef","@timestamp":"2026-11-23T12:00:00.000Z","json":"a"}'),
        (
            "/array",
            b'[{"timestamp":"2026-11-23T12:00:00.000Z","intake_key":"0123456789abcdef","json":"a"},'
            b'{"timestamp":"2026-11-23T12:00:01.250Z","intake_key":"0123456789abcdef","json":"b"}]',
        ),
    ],
)
def test_json_body_has_the_form_of_its_endpoint(path, body):
    count = 1 if ENDPOINTS[path].single else 2
    assert json_body(ENDPOINTS[path], [b'"a"', b'"b"'][:count], [NOON, NOON + 1250][:count], KEY) == body


def test_event_without_time_is_sent_without_timestamp():
    assert json_body(ENDPOINTS["/"], [b'"a"'], [0], "k") == b'{"intake_key":"k","json":"a"}'
    assert json_body(ENDPOINTS["/array"], [b'"a"', b'"b"'], [0, NOON], "k") == (
        b'[{"intake_key":"k","json":"a"},{"timestamp":"2026-11-23T12:00:00.000Z","intake_key":"k","json":"b"}]'
    )


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.sampled_from(["lines", "json"]))
@example([b"\xf0\x9f\x98\x80", b"\xe9", b'"intake_key":"k"', b"\xed\xb2\x80", b"a\nb"], "json")
def test_collector_reads_the_events_that_were_sent(events, spool_encoding):
    """Both spool encodings convert to every JSON endpoint. Bytes that are not UTF-8 are converted, never lost."""
    to_line = encoding.json_line if spool_encoding == "json" else encoding.escaped
    strings = [as_json_string(to_line(event), spool_encoding) for event in events]
    times = [NOON + 10 * i for i in range(len(events))]
    expected = [
        encoding.as_utf8(event if spool_encoding == "json" else encoding.escaped(event), "auto")[0] for event in events
    ]
    envelope = formats.Envelope(keys=Keys({KEY}), intake_key=KEY)
    for path, parser in (
        ("/jsons", formats.jsons), ("/batch", formats.structured_batch), ("/array", formats.array),
    ):  # fmt: skip
        found = parsed(parser, json_body(ENDPOINTS[path], strings, times, KEY), envelope)
        assert [row.event for row in found.content.rows()] == expected, path
    for event, string, ms in zip(expected, strings, times, strict=True):
        (row,) = parsed(formats.structured, json_body(ENDPOINTS["/"], [string], [ms], KEY), envelope).content.rows()
        assert (row.event, row.intake_key) == (event, KEY)
    rows = parsed(formats.array, json_body(ENDPOINTS["/array"], strings, times, KEY), envelope).content.rows()
    assert [milliseconds(datetime.fromisoformat(row.event_timestamp)) for row in rows] == times


@settings(deadline=None)
@given(st.text(max_size=30))
def test_masked_body_contains_the_event_and_no_key(text):
    event = encoding.json_line(f'{text} "intake_key":"{KEY}"'.encode("utf-8", "surrogateescape"))
    masked = mask_key(json_body(ENDPOINTS["/array"], [event], [NOON], KEY), KEY)
    (row,) = json.loads(masked)
    assert row["intake_key"] == "****"
    assert json.dumps(row["json"]) == json.dumps(json.loads(event))


def test_spool_keeps_each_events_time_for_exact_endpoints():
    frames = [b"<13>1 2026-11-23T12:00:00.%03dZ h a - - - m%d\nx" % (ms, ms) for ms in (500, 0, 250)]
    columns = read_columns(block_of(frames), PAYLOAD_NEEDS["message"])
    disposition = Disposition("deliver", "r", "i", zone=UTC, endpoint="/array")
    grouped = group(columns, disposition, reader=TimeReader(), received_ms=NOON, limits=GroupLimits(resolution_ms=100))
    (part,) = grouped.groups
    assert part.timed and (part.earliest, part.latest, part.count) == (NOON, NOON + 500, 3)
    assert part.data == b'%d\t"m500\\nx"\n%d\t"m0\\nx"\n%d\t"m250\\nx"\n' % (NOON + 500, NOON, NOON + 250)
    assert part.events() == [b"m500\nx", b"m0\nx", b"m250\nx"]
