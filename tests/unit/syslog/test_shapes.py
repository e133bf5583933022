"""Tests the tables of shapes and timestamp formats, and the samples of products."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.explain.payloads import FrameContext, event_for, every_form
from bridge.formats import find, table_json
from bridge.syslog import parse
from bridge.syslog.parser import read
from bridge.syslog.shapes import SHAPES
from bridge.syslog.time_formats import FORMATS, scan, scan_table
from bridge.syslog.time_zones import ABBREVIATIONS, zone_of
from bridge.syslog.timestamps import TimeReader, fraction_ms, milliseconds, moment
from tests.unit.syslog.accounting import account
from tests.unit.syslog.samples import SAMPLES, headers

NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)


# --- shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_example_matches_its_own_row(name):
    header = account(SHAPES[name].example)
    assert header.shape == name
    assert header.format == ("none" if header.format == "none" else SHAPES[name].format)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.product}-{s.shape}")
def test_product_sample_is_parsed_as_expected(sample):
    message = parse(sample.frame, received=NOW)
    got = (
        message.hostname,
        message.app_name,
        message.procid,
        message.msgid,
        message.msg,
        message.shape,
        message.format,
    )
    assert got == (sample.host, sample.app, sample.procid, sample.msgid, sample.msg, sample.shape, sample.format)
    expected = None if sample.time is None else datetime.fromisoformat(sample.time)
    assert message.timestamp == expected
    account(sample.frame)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.product}-{s.shape}")
def test_product_sample_becomes_the_expected_event(sample):
    """Asserts the event text: under the product's text format, or in the default payload form."""
    context = FrameContext(received=NOW)
    if sample.intake is None:
        assert every_form(sample.frame, context)["message"] == sample.event
        return
    assert event_for(find(sample.intake), sample.frame, context) == sample.event
    assert find(sample.intake).fits(sample.event)


def test_samples_cover_real_products():
    """Counts without the samples that show odd headers or no header."""
    odd = {sample.product for sample in headers.SAMPLES} | {"text", "text with a false PRI", "access log", "Kiwi relay"}
    products = {sample.product for sample in SAMPLES} - odd
    assert len(products) >= 200
    # Every text format of table_json and most others have a sample of their product.
    intakes = {find(sample.intake).name for sample in SAMPLES if sample.intake}
    assert {one.name for one in table_json.FORMATS} <= intakes


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.frame.startswith(b"<") and s.shape != "none"], ids=lambda s: s.product
)
def test_bytes_around_a_frame_do_not_change_its_fields(sample):
    bare = read(sample.frame)
    for frame in (b"79 " + sample.frame, b" " + sample.frame):
        assert read(frame) == bare
    message = parse(sample.frame + b"\r\n", received=NOW)
    assert message.msg == sample.msg
    if sample.msg.strip():
        assert account(sample.frame + b" caf\xe9 \xff\0\t\n end").msg == sample.msg + b" caf\xe9 \xff\0\t\n end"


def test_device_payload_begins_after_pri_and_counters():
    def device(frame):
        return read(frame).device

    assert device(b"<189>4711: Nov 23 07:24:00: %SYS-5-CONFIG_I: x") == b"Nov 23 07:24:00: %SYS-5-CONFIG_I: x"
    assert device(b"<189>1: 2: *Nov 23 07:24:00: %SYS-5-CONFIG_I: x") == b"Nov 23 07:24:00: %SYS-5-CONFIG_I: x"
    assert (
        device(b"<189>1: sw: 2: Nov 23 07:24:00: %SYS-5-CONFIG_I: x") == b"sw: 2: Nov 23 07:24:00: %SYS-5-CONFIG_I: x"
    )
    assert device(b"<134>1 1795418640.25 mx flows src=1") == b"1 1795418640.25 mx flows src=1"
    assert device(b"79 <189>date=2026-11-23 time=07:24:00 devname=a") == b"date=2026-11-23 time=07:24:00 devname=a"


# --- timestamp formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_example_of_each_time_format_is_read(row):
    stamp = scan(row.example)
    assert (stamp.format, stamp.end) == (row.name, len(row.example))
    when = moment(stamp.second, stamp.fraction, stamp.offset, zone=UTC, received=NOW)
    assert when == datetime.fromisoformat(row.example_utc)
    # The same in a frame.
    message = parse(b"<13>" + row.example + b" gw app: text", received=NOW)
    if row.name != "epoch":
        assert (message.timestamp, message.hostname, message.msg) == (when, "gw", b"text")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_plain_scan_equals_the_table(messages, data):
    frame = data.draw(messages.frame)
    at = frame.find(b">") + 1
    assert scan(frame, at) == scan_table(frame, at)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nov 23 07:24:00 CET", "2026-11-23T06:24:00Z"), ("Nov 23 07:24:00 EDT", "2026-11-23T11:24:00Z"),
        ("Nov 23 07:24:00 +0530", "2026-11-23T01:54:00Z"), ("Nov 23 07:24:00 CET 2025", "2025-11-23T06:24:00Z"),
        ("Mon Nov 23 07:24:00 2026", "2026-11-23T07:24:00Z"), ("Nov 23 2026 12:00:00 PM", "2026-11-23T12:00:00Z"),
        ("Nov 23 2026 12:00:00 AM", "2026-11-23T00:00:00Z"), ("Nov 23 23:59:60", "2026-11-23T23:59:59Z"),
        ("2026-11-23T07:24:00+0100", "2026-11-23T06:24:00Z"), ("2026-11-23 07:24:00,5", "2026-11-23T07:24:00.5Z"),
        ("Nov 23 07:24:00 GMT+01:00", "2026-11-23T06:24:00Z"), ("Nov 23 7:24:00", "2026-11-23T07:24:00Z"),
        ("Mon, 23 Nov 2026 07:24:00 +0100", "2026-11-23T06:24:00Z"), ("2026-11-23T07:24:00z", "2026-11-23T07:24:00Z"),
        # Day and month: the order nearest to reception.
        ("11/12/2026:07:24:00", "2026-11-12T07:24:00Z"), ("12/11/2026:07:24:00", "2026-11-12T07:24:00Z"),
        ("23/11/2026:07:24:00", "2026-11-23T07:24:00Z"), ("02/03/2027:07:24:00", "2027-02-03T07:24:00Z"),
    ],
)  # fmt: skip
def test_time_text_is_converted_to_utc(text, expected):
    message = parse(b"<13>" + text.encode() + b" gw app: text", received=NOW)
    assert (message.timestamp, message.hostname) == (datetime.fromisoformat(expected), "gw")


def test_unknown_zone_is_read_as_the_zone_of_the_source():
    message = parse(
        b"<189>7: sw: Nov 23 07:24:00 VIENNA: %SYS-5-CONFIG_I: x", received=NOW, timezone=ZoneInfo("Europe/Vienna")
    )
    assert message.timestamp == NOW.replace(hour=6, second=0)
    assert message.hostname == "sw"


def test_host_that_resembles_a_zone_is_a_host():
    for host in (b"UTC-host", b"gmt", b"z", b"am", b"CETUS", b"est1", b"2001:db8::1", b"2026host"):
        message = parse(b"<13>Nov 23 07:24:00 " + host + b" app: text", received=NOW)
        assert message.hostname == host.decode(), host


def test_zone_names_and_offsets_are_resolved():
    assert zone_of(b"CEST") == zone_of(b"cest") == zone_of(b"+0200") == zone_of(b"GMT+2")
    assert zone_of(b"NOWHERE") is None
    assert all(re.fullmatch(rb"[A-Z]{3,4}", name) for name in ABBREVIATIONS)
    assert zone_of(b"UTC").utcoffset(None) == timedelta(0)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.time], ids=lambda s: f"{s.product}-{s.shape}")
def test_column_times_equal_message_times(sample):
    """Compares the times that the hot path makes from the three columns with those of ``parse``."""
    header = read(sample.frame)
    ms = TimeReader().second_ms(header.second, header.offset, UTC, milliseconds(NOW))
    when = parse(sample.frame, received=NOW).timestamp
    assert ms + fraction_ms(header.fraction) == milliseconds(when)
