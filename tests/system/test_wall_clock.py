"""Tests a wall clock that is set back by an hour under load, one that is years ahead for a moment, and one that was
never set when the bridge starts."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from bridge.accounting.journal_lines import JournalReader
from bridge.spool.batch_names import read as read_name
from tests.harness import shifted_clock, spool
from tests.harness.asserting import assert_same
from tests.harness.gate import Gate
from tests.harness.messages import SentMessage, rfc3164, rfc5424, time_of
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines
from tests.harness.shifted_clock import shift
from tests.harness.traffic import traffic

DAY = 86_400
TEN_YEARS = 3650 * DAY


def test_clock_set_back_by_an_hour_does_not_stop_delivery(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        gate.open()
        with bridging(tmp_path, gate.url) as bridge:
            offset = tmp_path / "offset"
            shift(offset, 0)
            shifted_clock.start(bridge, offset)
            with traffic(bridge.tcp) as device:
                collector.wait_for(100)
                highest = max(batch_sequences(bridge.spool), default=0)
                shift(offset, -3600)
                sent_before = len(device.sent)
                until(lambda: len(device.sent) > sent_before + 50, "traffic continues")
                collector.wait_for(sent_before + 50)
                gate.shut()
                until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "it backs off")
                until(lambda: len(spool.batches(bridge.spool)) >= 10, "batches are sealed while it backs off")
                # Sequence numbers only rise, or a restart would send the oldest batches last.
                assert min(batch_sequences(bridge.spool)) > highest
                gate.open()
                until(lambda: bridge.status()["intakes"][0]["state"] != "backing-off", "back-off ends")
            collector.wait_for(len(device.sent))
            bridge.wait_drained()
        gate.shut()
        assert_same((event.text for event in collector.refresh()), (message.text for message in device.sent))


def batch_sequences(folder: Path) -> list[int]:
    return [int(path.name.split("-")[0]) for path in folder.glob("*/*.lines")]


def test_clock_ten_years_ahead_for_a_moment_deletes_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    offset, texts = tmp_path / "offset", list[str]()
    archive = {"archive": {"max_size": "1GB", "max_age": "1d"}, "directory": str(tmp_path / "bridge" / "spool")}
    shift(offset, 0)
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, spool=archive) as bridge:

        def deliver() -> None:
            texts.append(f"number {len(texts)}")
            send_lines(bridge.tcp, [f"<13>{texts[-1]}".encode()])
            collector.wait_for(len(texts))

        shifted_clock.start(bridge, offset)
        for seconds in (0, TEN_YEARS, 0, TEN_YEARS):
            shift(offset, seconds)
            deliver()
        # The next process starts while the clock is ahead, and the last one finds what it left.
        for seconds in (TEN_YEARS, 0):
            bridge.stop()
            shift(offset, seconds)
            shifted_clock.start(bridge, offset)
            deliver()
        # Otherwise the batch that waits could be the last one, without its answer.
        bridge.wait_drained()
        collector.kill()
        sent = f"number {len(texts)}"
        send_lines(bridge.tcp, [f"<13>{sent}".encode()])
        until(lambda: spool.batches(bridge.spool), "a batch waits")
        limit = (time.time() + DAY) * 1_000_000
        assert max(batch_sequences(bridge.spool)) < limit
        collector.start()
        collector.wait_for(len(texts) + 1)
        bridge.wait_drained()
        bridge.stop()
        reader = JournalReader(bridge.spool / ".ledger")
        kinds = [fields["kind"] for _, fields in reader]
        assert (kinds.count("start"), reader.faults, reader.from_beginning) == (3, [], True)
        assert not list((bridge.spool / ".ledger").glob("2[0-9][3-9]*")), "a file is dated ahead of the clock"
        names = [name for path in archived(bridge.spool) if (name := read_name(path.name))]
        assert sum(name.events for name in names) == len(texts) + 1
        shifted_clock.start(bridge, offset)


def test_clock_that_was_never_set_until_ntp_sets_it_loses_nothing(tmp_path: Path) -> None:
    """The gateway boots in 2000, receives events while TLS cannot work, and NTP sets the clock 26 years ahead."""
    offset, started = tmp_path / "offset", datetime.now(UTC).replace(microsecond=0)
    archive = {"archive": {"max_size": "1GB", "max_age": "1d"}, "directory": str(tmp_path / "bridge" / "spool")}
    number = iter(range(1000))
    sent: list[SentMessage] = []
    shift(offset, 0)
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, spool=archive) as bridge:

        def send(*messages: SentMessage | bytes) -> None:
            frames = [message if isinstance(message, bytes) else message.frame for message in messages]
            sent.extend(message for message in messages if isinstance(message, SentMessage))
            send_lines(bridge.tcp, frames)

        shifted_clock.start(bridge, offset)
        send(rfc5424(next(number), started))
        collector.wait_for(1)
        bridge.wait_drained()
        collector.kill()
        send(rfc5424(next(number), started))
        until(lambda: spool.batches(bridge.spool), "a batch waits")
        before = max(batch_sequences(bridge.spool))
        bridge.stop()
        # The gateway was off for a month.
        known = started.timestamp() - 30 * DAY
        for path in (bridge.spool / ".ledger").iterdir():
            os.utime(path, (known, known))

        shift(offset, datetime(2000, 1, 1, tzinfo=UTC).timestamp() - time.time())
        shifted_clock.start(bridge, offset)
        until(lambda: "never set" in str(bridge.status()["alarms"]), "the status tells of the clock")
        send(rfc5424(next(number), started), rfc3164(next(number), started), b"<13>no time at all")
        bridge.wait_received(3)
        until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "it backs off")
        shift(offset, 0)
        collector.start()
        collector.wait_for(3)
        send(rfc5424(next(number), started), rfc3164(next(number), started))
        bridge.wait_received(5)
        bridge.wait_drained()
        status = bridge.status()
        assert (status["ledger"]["dropped"], status["ledger"]["quarantined"]) == ({}, 0)
        until(lambda: "set for the first time" in str(bridge.status()["alarms"]), "the status tells of the clock")
        bridge.stop()

        arrived = {event.text: event.time for event in collector.refresh()}
        assert arrived.keys() == {message.text for message in sent} | {"no time at all"}
        for message in sent:
            assert arrived[message.text] == time_of(message.text), message
        unknown = arrived["no time at all"]
        assert unknown is not None
        assert abs(unknown.timestamp() - known) < DAY, "not estimated from the last time that was known"
        sequences = [name.sequence for path in archived(bridge.spool) if (name := read_name(path.name))]
        assert len(sequences) == len(set(sequences))
        assert sequences.count(before) == 1
        assert max(sequences) < (time.time() + DAY) * 1_000_000
        assert min(sequences) > (started.timestamp() - DAY) * 1_000_000
        reader = JournalReader(bridge.spool / ".ledger")
        assert [fields["kind"] for _, fields in reader].count("start") == 2
        assert not reader.faults
        shifted_clock.start(bridge, offset)


def archived(folder: Path) -> list[Path]:
    return list((folder / ".archive" / "all").iterdir())
