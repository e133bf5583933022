"""Real senders: what logger, rsyslog and syslog-ng send arrives once, whole, under its key, with its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same, assert_times
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Arrived, Collector
from tests.harness.messages import rfc3164, rfc5424
from tests.harness.polling import until
from tests.harness.running import running
from tests.peers import logger, rsyslog, syslog_ng
from tests.peers.client import Forwarding
from tests.peers.unpacked import PeerMissing

System = tuple[Collector, Bridge]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One bridge for all senders: they come from 127.0.0.1, whose intake is not the first and not the default one."""
    with running(
        tmp_path_factory.mktemp("senders"),
        intakes={"other": {}, "hosts": {}},
        routes=[{"intake": "hosts", "source": "127.0.0.1"}],
    ) as system:
        yield system


def arrived_with(collector: Collector, bridge: Bridge, mark: str, count: int) -> list[Arrived]:
    """The events with the word `mark` in their texts, when `count` of them are there and nothing more is on its way."""

    def found() -> list[Arrived]:
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
def test_logger(system: System, options: str) -> None:
    collector, bridge = system
    # Blanks at the end and inside, brackets and a colon, two-byte letters, near logger's limit of 1 KiB.
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
    # logger writes its own clock: somewhere between our two looks at ours, RFC 3164 in whole seconds.
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
def test_daemon(system: System, tmp_path: Path, case: str) -> None:
    collector, bridge = system
    name, transport, form, *counted = case.split()
    port = bridge.udp if transport == "udp" else bridge.tcp
    try:
        client = DAEMONS[name](Forwarding(port, transport, form, octet_counted=bool(counted)), directory=tmp_path)
    except PeerMissing as missing:
        pytest.skip(str(missing))
    # Times over some seconds, a while ago: none of them the time of reception.
    start = datetime.now(UTC) - timedelta(minutes=10)
    # syslog-ng is fed RFC 5424 always; rsyslog's RFC 3164 would lose the colon after a tag that it did not read itself.
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
