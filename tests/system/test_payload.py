"""Tests that an event's text has exactly the intake's payload form, and that one datagram is always one event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.harness.asserting import assert_time
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector, DeliveredEvent
from tests.harness.polling import until
from tests.harness.running import running
from tests.harness.send import udp

# A minute ago, so that it differs from the time of reception. RFC 3164 has whole seconds.
TIME = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
BSD = f"{TIME:%b} {TIME.day:2} {TIME:%H:%M:%S}"
ISO = f"{TIME:%Y-%m-%dT%H:%M:%S}.250Z"

# The example of the API documentation, with today's date.
MSG = "[764008:0] info: 198.51.100.10 example.org. A IN"
RFC3164 = f"<30>{BSD} gw unbound[7640]: {MSG}"
RFC5424 = f'<165>1 {ISO} gw app 77 ID7 [x@1 k="v"] {MSG}'

FORMS = ["message", "auto", "content", "device", "line", "structured", "raw", "rfc5424", "json"]
SOURCE = {form: f"127.0.2.{last}" for last, form in enumerate(FORMS, 1)}


class PayloadFixture:
    def __init__(self, collector: Collector, bridge: Bridge) -> None:
        self._collector, self._bridge = collector, bridge

    def deliver(self, form: str, frame: bytes) -> DeliveredEvent:
        """Sends a datagram to the intake with this payload form, and returns its one event."""
        before = len(self._collector.refresh())
        received = self._bridge.ledger()["received"]
        with udp(source=SOURCE[form]) as origin:
            origin.sendto(frame, ("127.0.0.1", self._bridge.udp))
        self._bridge.wait_received(received + 1)
        self._bridge.wait_drained()
        events = until(lambda: self._collector.refresh()[before:], lambda: f"one event; {self._bridge.status()}")
        assert len(events) == 1, events
        assert events[0].key == key_of(form)
        return events[0]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayloadFixture]:
    with running(
        tmp_path_factory.mktemp("payload"),
        intakes={form: {"payload": form} for form in FORMS},
        routes=[{"intake": form, "source": SOURCE[form]} for form in FORMS],
        batch={"max_age": "50ms"},
    ) as (collector, bridge):
        yield PayloadFixture(collector, bridge)


RFC3164_AS = {
    "message": MSG,
    "auto": MSG,
    "content": f"unbound[7640]: {MSG}",
    "device": f"{BSD} gw unbound[7640]: {MSG}",
    "raw": RFC3164,
}


@pytest.mark.parametrize("form", RFC3164_AS)
def test_rfc3164_frame_has_the_text_of_each_payload_form(system: PayloadFixture, form: str) -> None:
    event = system.deliver(form, RFC3164.encode())
    assert event.text == RFC3164_AS[form]
    assert_time(event.time, TIME)


RFC5424_AS = {
    "message": MSG,
    "auto": f'ID7 [x@1 k="v"] {MSG}',
    "content": f"app[77]: {MSG}",
    "device": RFC5424.removeprefix("<165>"),
    "structured": f'ID7 [x@1 k="v"] {MSG}',
    "raw": RFC5424,
}


@pytest.mark.parametrize("form", RFC5424_AS)
def test_rfc5424_frame_has_the_text_of_each_payload_form(system: PayloadFixture, form: str) -> None:
    event = system.deliver(form, RFC5424.encode())
    assert event.text == RFC5424_AS[form]
    assert_time(event.time, TIME + timedelta(milliseconds=250))


@pytest.mark.parametrize(
    ("frame", "tag", "time"),
    [(RFC3164, "unbound[7640]", TIME), (RFC5424, "app[77]", TIME + timedelta(milliseconds=250))],
    ids=["rfc3164", "rfc5424"],
)
def test_line_payload_has_time_host_tag_and_message(
    system: PayloadFixture, frame: str, tag: str, time: datetime
) -> None:
    stamp, rest = system.deliver("line", frame.encode()).text.split(" ", 1)
    assert datetime.fromisoformat(stamp) == time
    assert rest == f"gw {tag}: {MSG}"


@pytest.mark.parametrize(
    ("frame", "pri", "header", "time"),
    [
        (RFC3164, "<30>1", "gw unbound 7640 - -", TIME),
        (RFC5424, "<165>1", 'gw app 77 ID7 [x@1 k="v"]', TIME + timedelta(milliseconds=250)),
    ],
    ids=["rfc3164", "rfc5424"],
)
def test_rfc5424_payload_has_a_complete_header(
    system: PayloadFixture, frame: str, pri: str, header: str, time: datetime
) -> None:
    first, stamp, rest = system.deliver("rfc5424", frame.encode()).text.split(" ", 2)
    assert (first, rest) == (pri, f"{header} {MSG}")
    assert datetime.fromisoformat(stamp) == time


def test_json_payload_has_all_fields(system: PayloadFixture) -> None:
    fields = json.loads(system.deliver("json", RFC5424.encode()).text)
    wanted = {"priority": 165, "hostname": "gw", "app_name": "app", "procid": "77", "msgid": "ID7", "msg": MSG}
    assert {name: fields[name] for name in wanted} == wanted
    assert fields["structured_data"] == {"x@1": [["k", "v"]]}
    assert datetime.fromisoformat(fields["timestamp"]) == TIME + timedelta(milliseconds=250)


HEAD = f"<30>{BSD} gw app: "


@pytest.mark.parametrize(
    ("msg", "text"),
    [
        (b"one\ntwo\rthree\0four", "one#012two#015three#000four"),
        # A whole message behind an LF: as a separate event it would be forged.
        (b"one\n" + RFC3164.encode(), f"one#012{RFC3164}"),
        (b"at the end\n", "at the end"),
        (b"at the end\0", "at the end"),
        (b"   blanks before", "blanks before"),
        (b"blanks behind  ", "blanks behind  "),
        ("UTF-8: Ünïcode ✓".encode(), "UTF-8: Ünïcode ✓"),
        ("Windows-1252: Größe 5 €".encode("cp1252"), "Windows-1252: Größe 5 €"),
        (b"tab\tand \x1b escape", "tab\tand \x1b escape"),
        # More than one read of a stream, near the largest datagram.
        (b"x" * 60_000, "x" * 60_000),
    ],
    ids=lambda value: repr(value)[:24] if isinstance(value, bytes) else "",
)
def test_datagram_is_one_event_with_escaped_control_bytes(system: PayloadFixture, msg: bytes, text: str) -> None:
    assert system.deliver("message", HEAD.encode() + msg).text == text


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        # Without MSG: the structured data; without that, the whole frame.
        (f'<30>1 {ISO} gw app 77 ID7 [x@1 k="v"]', 'ID7 [x@1 k="v"]'),
        (f"<30>1 {ISO} gw app 77 ID7 -", f"<30>1 {ISO} gw app 77 ID7 -"),
        # Without a readable header, the whole frame is the message.
        ("no syslog at all", "no syslog at all"),
        ("<999>no priority", "<999>no priority"),
    ],
    ids=["structured data", "nothing at all", "no header", "no priority"],
)
def test_frame_without_message_is_not_an_empty_event(system: PayloadFixture, frame: str, text: str) -> None:
    assert system.deliver("message", frame.encode()).text == text


def test_frame_without_time_gets_the_time_of_reception(system: PayloadFixture) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    event = system.deliver("message", b"no time in here")
    assert event.time is not None
    assert before <= event.time <= datetime.now(UTC)
