"""What must be true of what arrived, said once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tests.harness.collector import Arrived
from tests.harness.messages import number_of, time_of

RESOLUTION = timedelta(seconds=1)  # batch.timestamp_resolution's default


def assert_same(arrived: Iterable[str], sent: Iterable[str], what: str = "") -> None:
    """The same texts equally often, in any order. Shows a few of the differences, not a hundred thousand lines."""
    got, wanted = Counter(arrived), Counter(sent)
    lost, extra = wanted - got, got - wanted
    assert not lost and not extra, (
        f"{what}: {lost.total()} lost or changed, {extra.total()} too many;"
        f" lost: {list(lost)[:3]}; too many: {list(extra.items())[:3]}"
    )


def assert_time(header: datetime | None, time: datetime) -> None:
    """A request's time is its earliest event's, and no event of it is a resolution or more later."""
    assert header is not None, f"no event time; {time} is right"
    assert header <= time < header + RESOLUTION, f"request says {header}, its event {time}"


def assert_times(events: Iterable[Arrived]) -> None:
    for event in events:
        assert_time(event.time, time_of(event.text))


def assert_two_lanes(events: Sequence[Arrived]) -> None:
    """Each lane is in order: the arrival is a merge of at most two rising sequences, live and backlog.

    True exactly when no three events arrived in falling order (Dilworth); the tails are those of the longest falling
    subsequence, found by patience sorting.
    """
    tails: list[int] = []
    for event in events:
        falling = -number_of(event.text)
        place = bisect_left(tails, falling)
        tails[place : place + 1] = [falling]
        assert len(tails) <= 2, (
            f"number {-falling} arrived after {[-tail for tail in tails[:-1]]}: in neither lane's order"
        )
