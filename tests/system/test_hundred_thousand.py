"""Tests 100,000 messages from twenty sources to eight intakes: every count, text and time is exact."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same, assert_times
from tests.harness.bridge import key_of
from tests.harness.messages import SentMessage, rfc3164, rfc5424
from tests.harness.running import running
from tests.harness.send import send_datagrams, send_lines

SOURCES = [f"127.0.1.{last}" for last in range(1, 21)]
INTAKES = [f"intake-{letter}" for letter in "abcdefgh"]
INTAKE_OF = {source: INTAKES[index % len(INTAKES)] for index, source in enumerate(SOURCES)}
TOTAL = 100_000


def message(number: int, start: datetime) -> tuple[str, SentMessage]:
    """Returns the source of message `number` and the message: both formats, unordered times within ten seconds."""
    source = SOURCES[number % len(SOURCES)]
    time = start + timedelta(milliseconds=number * 7919 % 10_000)
    # Alternates per source, so that every source and every intake has both formats.
    write = rfc3164 if number // len(SOURCES) % 2 else rfc5424
    return source, write(number, time)


@pytest.mark.weight(40)
def test_every_message_arrives_once_in_its_intake_with_its_time(tmp_path: Path) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    messages = [message(number, start) for number in range(TOTAL)]
    over_udp, over_tcp = messages[: TOTAL // 2], messages[TOTAL // 2 :]
    routes = [
        {"intake": intake, "source": [source for source in SOURCES if INTAKE_OF[source] == intake]}
        for intake in INTAKES[1:]
    ]
    # The first intake has no route: it gets the unrouted frames.
    with running(tmp_path, intakes={name: {} for name in INTAKES}, routes=routes) as (collector, bridge):
        send_datagrams(
            bridge.udp, ((source, sent.frame) for source, sent in over_udp), wait_received=bridge.wait_received
        )
        streams = defaultdict(list)
        for source, sent in over_tcp:
            streams[source].append(sent.frame)
        with ThreadPoolExecutor(4) as pool:
            sending = [pool.submit(send_lines, bridge.tcp, streams[source], source=source) for source in streams]
            # Reads the ledger, and checks its balance, while events arrive.
            bridge.wait_received(TOTAL)
            for sender in sending:
                sender.result()
        collector.wait_for(TOTAL)
        bridge.wait_drained()
        status = bridge.status()
        collector.refresh()

    ledger = status["ledger"]
    assert (ledger["received"], ledger["delivered"]) == (TOTAL, TOTAL), ledger
    per_source: Counter[tuple[str, str]] = Counter()
    for row in status["sources"]:
        per_source[row["address"], row["intake"]] += row["events"]
    assert per_source == {(source, INTAKE_OF[source]): TOTAL // len(SOURCES) for source in SOURCES}
    expected = defaultdict(list)
    for source, sent in messages:
        expected[key_of(INTAKE_OF[source])].append(sent.text)
    for key, texts in expected.items():
        assert_same(collector.texts(key), texts, key)
    assert len(collector.arrived) == TOTAL
    assert_times(collector.arrived)


def test_events_of_many_time_slots_keep_their_times(tmp_path: Path) -> None:
    """There are more time slots than open batch files; events in the timed file keep their time too."""
    midnight = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    seconds = list(range(0, 86_400, 360)) * 10
    random.Random(2).shuffle(seconds)
    sent = [rfc5424(number, midnight + timedelta(seconds=second)) for number, second in enumerate(seconds)]
    with running(tmp_path, intakes={"all": {}}) as (collector, bridge):
        send_lines(bridge.tcp, (message.frame for message in sent))
        collector.wait_for(len(sent))
        bridge.wait_drained()
        assert_same((event.text for event in collector.refresh()), (message.text for message in sent))
        assert_times(collector.arrived)
