"""Tests deliveries and the three sinks."""

import json
import uuid
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.collector.delivery import Delivery, EventIds, EventLines, EventRow, EventRows
from bridge.collector.output import Counting, JsonLines
from tests.harness.memory_sink import Memory

NOW = datetime(2026, 11, 23, 7, 24, 0, 250_000, tzinfo=UTC)


def delivery(*rows):
    return Delivery(NOW, EventRows([EventRow(*row) for row in rows]), EventIds(len(rows)))


def written(*deliveries):
    file = BytesIO()
    sink = JsonLines(file.write)
    for each in deliveries:
        sink.accept(each)
    return file.getvalue()


def test_json_line_has_the_fields_of_the_contract_in_order():
    sent = delivery(("key", "2026-11-23T07:24:00Z", 'é "\n'.encode()), ("key", None, b"b"))
    first, second = written(sent).splitlines()
    assert first.decode() == (
        f'{{"event_id": "{sent.events[0].event_id}", "intake_key": "key", "event_timestamp": "2026-11-23T07:24:00Z", '
        '"received": "2026-11-23T07:24:00.250Z", "event": "é \\"\\n"}'
    )
    assert json.loads(second)["event_timestamp"] is None


@given(st.lists(st.binary(), min_size=1), st.text(st.characters(), min_size=1))
def test_any_event_bytes_survive_as_one_utf8_line(events, key):
    text = written(delivery(*((key, None, event) for event in events))).decode("utf-8")
    lines = text.split("\n")
    assert lines.pop() == ""
    records = [json.loads(line) for line in lines]
    assert [record["event"].encode("utf-8", "surrogateescape") for record in records] == events
    assert {record["intake_key"] for record in records} == {key}


def test_each_request_is_one_write():
    writes = []
    JsonLines(writes.append).accept(delivery(("k", None, b"a"), ("k", None, b"b")))
    assert len(writes) == 1


def test_memory_keeps_the_events_and_counting_counts_them():
    memory, counting = Memory(), Counting()
    lines = Delivery(NOW, EventLines("a", None, b"x\ny", 2), EventIds(2))
    for each in (lines, delivery(("a", None, b"z"), ("b", None, b"w"))):
        memory.accept(each)
        counting.accept(each)
    assert [event.event for event in memory.events] == [b"x", b"y", b"z", b"w"]
    assert (counting.requests, counting.counts) == (2, {"a": 3, "b": 1})
    assert json.loads(counting.as_json(NOW)) == {
        "time": "2026-11-23T07:24:00.250Z",
        "requests": 2,
        "events": 4,
        "by_intake_key": {"a": 3, "b": 1},
    }


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 20_000])
def test_ids_are_unique_uuids_and_the_same_in_both_forms(count):
    ids = EventIds(count)
    assert len(set(ids.as_list())) == count
    assert json.loads(ids.as_json()) == ids.as_list()
    made = uuid.UUID(ids.as_list()[-1])
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
