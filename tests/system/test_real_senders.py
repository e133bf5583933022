"""Tests that messages of logger, rsyslog and syslog-ng arrive once, unchanged, with the right key and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same, assert_times
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector, DeliveredEvent
from tests.harness.messages import rfc3164, rfc5424
from tests.harness.polling import until
from tests.harness.running import running
from tests.peers import logger, rsyslog, syslog_ng
from tests.peers.client import Forwarding
from tests.peers.unpacked import PeerMissing

System = tuple[Collector, Bridge]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Runs one bridge for all senders: 127.0.0.1 is routed to an intake that is neither the first nor the default."""
    with running(
        tmp_path_factory.mktemp("senders"),
        intakes={"other": {}, "hosts": {}},
        routes=[{"intake": "hosts", "source": "127.0.0.1"}],
    ) as system:
        yield system


def arrived_with(collector: Collector, bridge: Bridge, mark: str, count: int) -> list[DeliveredEvent]:
    """Waits for `count` events with the word `mark` and an empty spool; returns the events with that word."""

    def found() -> list[DeliveredEvent]:
        return [event for event in collector.refresh() if mark in event.text.split()]

    until(lambda: len(found()) >= count, lambda: f"{count} events with {mark!r}: {found()}\n{bridge.status()}")
    bridge.wait_drained()
    return found()


@pytest.mark.parametrize(
    "options",
    [
        "--udp --rfc3164",
        "--udp --rfc5424",
        "--tcp --rfc3164",
        "--tcp --rfc5424",
        "--tcp --rfc3164 --octet-count",
        "--tcp --rfc5424 --octet-count",
    ],
)
def test_logger_messages_arrive_unchanged(system: System, options: str) -> None:
    collector, bridge = system
    # Spaces inside, brackets, a colon, two-byte letters, and lengths near logger's limit of 1 KiB.
    mark = options.replace("-", "").replace(" ", "-")
    texts = [f"{mark} {number} [1:0] info:  Ünïcode, {'x' * number * 200} end" for number in range(5)]
    before = datetime.now(UTC).replace(microsecond=0)
    for text in texts:
        try:
            logger.log(text, port=bridge.udp if "--udp" in options else bridge.tcp, options=options.split())
        except PeerMissing as missing:
            pytest.skip(str(missing))
    events = arrived_with(collector, bridge, mark, len(texts))
    after = datetime.now(UTC)
    assert_same((event.text for event in events), texts)
    assert {event.key for event in events} == {key_of("hosts")}
    # logger writes the current time: between `before` and `after`, RFC 3164 in whole seconds.
    assert all(event.time is not None and before <= event.time <= after for event in events), events


DAEMONS = {"rsyslog": rsyslog.start, "syslog-ng": syslog_ng.start}


@pytest.mark.parametrize(
    "case",
    [
        "rsyslog udp rfc3164",
        "rsyslog udp rfc5424",
        "rsyslog tcp rfc3164",
        "rsyslog tcp rfc5424",
        "rsyslog tcp rfc3164 octet-counted",
        "rsyslog tcp rfc5424 octet-counted",
        "syslog-ng udp rfc3164",
        "syslog-ng udp rfc5424",
        "syslog-ng tcp rfc3164",
        "syslog-ng tcp rfc5424",
        "syslog-ng tcp rfc5424 octet-counted",
    ],
)
def test_forwarded_messages_of_a_daemon_arrive_unchanged(system: System, tmp_path: Path, case: str) -> None:
    collector, bridge = system
    name, transport, form, *counted = case.split()
    port = bridge.udp if transport == "udp" else bridge.tcp
    try:
        client = DAEMONS[name](Forwarding(port, transport, form, octet_counted=bool(counted)), directory=tmp_path)
    except PeerMissing as missing:
        pytest.skip(str(missing))
    # Times in the past, so that none is the time of reception.
    start = datetime.now(UTC) - timedelta(minutes=10)
    # syslog-ng always gets RFC 5424; rsyslog's RFC 3164 output loses the colon after a tag that it has not parsed.
    write = rfc3164 if (name, form) == ("rsyslog", "rfc3164") else rfc5424
    sent = [write(number, start + timedelta(milliseconds=250 * number)) for number in range(40)]
    mark = case.replace(" ", "-")
    try:
        client.feed(f"{message.frame.decode()} {mark}" for message in sent)
        events = arrived_with(collector, bridge, mark, len(sent))
    finally:
        client.stop()
    assert_same((event.text for event in events), (f"{message.text} {mark}" for message in sent))
    assert {event.key for event in events} == {key_of("hosts")}
    assert_times(events)
