"""Asserts on delivered events: the same texts, right timestamps, the order of live and backlog delivery."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tests.harness.collector import DeliveredEvent
from tests.harness.messages import number_of, time_of

RESOLUTION = timedelta(seconds=1)  # batch.timestamp_resolution's default


def assert_same(arrived: Iterable[str], sent: Iterable[str], what: str = "") -> None:
    """Asserts that both hold the same texts equally often, in any order. Shows a few of the differences."""
    got, wanted = Counter(arrived), Counter(sent)
    lost, extra = wanted - got, got - wanted
    assert not lost and not extra, (
        f"{what}: {lost.total()} lost or changed, {extra.total()} too many;"
        f" lost: {list(lost)[:3]}; too many: {list(extra.items())[:3]}"
    )


def assert_time(header: datetime | None, time: datetime) -> None:
    """Asserts that an event's time lies within the timestamp resolution after its request's time."""
    assert header is not None, f"the request has no event time; expected {time}"
    assert header <= time < header + RESOLUTION, f"request time {header}, event time {time}"


def assert_times(events: Iterable[DeliveredEvent]) -> None:
    for event in events:
        assert_time(event.time, time_of(event.text))


def assert_two_lanes(events: Sequence[DeliveredEvent]) -> None:
    """Asserts that live and backlog delivery are each in order: the events are a merge of two rising sequences.

    True exactly when no three events arrived in falling order (Dilworth). Patience sorting finds the longest falling
    subsequence; `tails` are its piles.
    """
    tails: list[int] = []
    for event in events:
        falling = -number_of(event.text)
        place = bisect_left(tails, falling)
        tails[place : place + 1] = [falling]
        assert len(tails) <= 2, (
            f"number {-falling} arrived after {[-tail for tail in tails[:-1]]}: out of order for live and backlog"
        )
