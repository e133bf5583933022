"""Tests damaged messages: no exception, every byte accounted for, one event each, all readers agree."""

import os
from multiprocessing import get_context

import pytest

from bridge.batching import GroupLimits, group
from bridge.routing.profile import Disposition
from bridge.syslog.columns import FIELDS, stamp_of
from bridge.syslog.frames import block_of, list_of
from bridge.syslog.parser import read
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader
from tests.unit.syslog.fast.generated import stamps
from tests.unit.syslog.mutation import NOW, ZONE, mutated, run

LONG = 10_000_000
JOB = 50_000


def test_fifty_thousand_damaged_frames_lose_nothing():
    assert sum(run((seed, 5_000)) for seed in range(10)) == 50_000


@pytest.mark.long
def test_ten_million_damaged_frames_lose_nothing():
    """Takes about six minutes of one core."""
    jobs = ((seed, JOB) for seed in range(1_000_000, 1_000_000 + LONG // JOB))
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        assert sum(pool.imap_unordered(run, jobs)) == LONG


def test_fast_equals_reference_and_each_frame_is_one_event():
    """Compares reads of 200 damaged frames of all kinds, as a block and with line ends inside."""
    needs = frozenset(FIELDS)
    for seed in range(20):
        frames = [frame for frame in mutated(seed, 200) if frame.strip(b" \t\r\n\0")]
        for read_frames in (frames, [frame.replace(b"\n", b" ") for frame in frames]):
            columns = read_columns(block_of(read_frames), needs)
            assert columns.count == len(read_frames)
            times = stamps(columns)
            for i, frame in enumerate(list_of(block_of(read_frames))):
                header = read(frame)
                assert times[i] == stamp_of(header.second, header.fraction, header.offset)
                for name in ("priority", "hostname", "app_name", "procid", "msgid", "structured_data", "msg", "content",
                             "device"):  # fmt: skip
                    assert columns[name][i] == getattr(header, name), (name, frame)
            for form in ("message", "auto", "content", "device", "raw", "line", "structured", "rfc5424", "json"):
                disposition = Disposition("deliver", "r", "i", payload=form, timestamp="event", zone=ZONE)
                grouped = group(
                    columns,
                    disposition,
                    reader=TimeReader(),
                    received_ms=int(NOW.timestamp() * 1000),
                    limits=GroupLimits(),
                )
                assert sum(part.count for part in grouped.groups) == len(read_frames)
                assert sum(part.data.count(b"\n") for part in grouped.groups) == len(read_frames)
