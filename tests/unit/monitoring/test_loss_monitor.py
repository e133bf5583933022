"""Tests what is recorded of losses: number, reason, names, begin and end."""

from types import SimpleNamespace
from typing import Any

from bridge.accounting import Ledger
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.loss_monitor import (
    ENDS_AFTER,
    MAX_CLOCK_ALARMS,
    MAX_NAMES,
    MERGED_SECONDS,
    REMEMBERED_SECONDS,
    LossMonitor,
)
from bridge.monitoring.problems.losses import MATCH_LIMIT


def without_times(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key not in ("since", "latest")} for row in rows]


class Losses:
    def __init__(self) -> None:
        self.now, self.ledger, self.drops = 100.0, Ledger(), {"udp": 0}
        self.peers: list[Any] = []
        self.alarms = Alarms(clock=lambda: self.now)
        self.unmatched = {"windows": 0}
        peers: Any = SimpleNamespace(all=lambda: self.peers)
        self.monitor = LossMonitor(
            self.alarms, ledger=self.ledger, peers=peers, kernel_drops=lambda: self.drops,
            incidents=lambda: {MATCH_LIMIT: self.unmatched}, clock=lambda: self.now,
        )  # fmt: skip

    def drop(self, count: int, intake: str = "fw", reason: str = "spool_full") -> None:
        self.ledger.receive_dropped(intake, count, reason)

    def look(self, seconds: float = 5.0) -> list[dict[str, object]]:
        self.now += seconds
        self.monitor.look()
        self.alarms.look()
        return without_times(self.monitor.report())


def test_loss_has_its_number_reason_names_and_begin() -> None:
    losses = Losses()
    assert losses.look() == []
    losses.drop(10)
    losses.drop(5, "dns")
    losses.look()
    losses.drop(7)
    assert losses.look(20) == [
        {"reason": "spool_full", "events": 22, "names": ["fw", "dns"], "since_seconds": 20.0, "ended_seconds": None}
    ]
    assert losses.alarms.active == {("loss", "spool_full"): "events are lost: the spool of intakes fw and dns is full"}


def test_loss_ends_and_is_forgotten_after_a_day() -> None:
    losses = Losses()
    losses.drop(10)
    losses.look()
    (row,) = losses.look(ENDS_AFTER)
    assert row["ended_seconds"] == ENDS_AFTER
    assert losses.alarms.active == {}
    assert losses.look(REMEMBERED_SECONDS) == []


def test_losses_within_an_hour_are_one_and_later_ones_another() -> None:
    losses = Losses()
    losses.drop(10)
    losses.look()
    losses.drop(10)
    (row,) = losses.look(MERGED_SECONDS - 1)
    assert (row["events"], row["since_seconds"], row["ended_seconds"]) == (20, MERGED_SECONDS - 1, None)
    losses.drop(1)
    (row,) = losses.look(MERGED_SECONDS)
    assert (row["events"], row["since_seconds"]) == (1, 0.0)


def test_kernel_drops_and_gaps_are_losses_and_names_are_bounded() -> None:
    losses = Losses()
    losses.drops["udp"] = 3
    losses.peers += [source(f"192.0.2.{n}", missing=1) for n in range(200)]
    found = {str(row["reason"]): row for row in losses.look()}
    assert (found["receive_buffer"]["events"], found["receive_buffer"]["names"]) == (3, ["udp"])
    names: Any = found["sequence_gap"]["names"]
    assert (found["sequence_gap"]["events"], len(names)) == (200, MAX_NAMES)


def test_report_has_the_figures_of_the_ledger_and_the_alarm_follows() -> None:
    losses = Losses()
    losses.look()
    losses.drop(10)
    losses.now += 1
    (row,) = losses.monitor.report()
    assert row["events"] == losses.ledger.total().dropped["spool_full"] == 10
    assert losses.alarms.active == {}
    losses.look()
    assert list(losses.alarms.active) == [("loss", "spool_full")]


def test_incident_is_recorded_as_a_loss_is_and_is_none() -> None:
    losses = Losses()
    losses.look()
    losses.unmatched["windows"] += 2
    assert losses.look() == []
    assert without_times(losses.monitor.report(incidents=True)) == [
        {"reason": "match_limit", "events": 2, "names": ["windows"], "since_seconds": 0.0, "ended_seconds": None}
    ]
    text = "messages are not matched: an expression of route windows exceeded its match limit"
    assert losses.alarms.active == {("match_limit", "match_limit"): text}
    losses.look(ENDS_AFTER)
    assert losses.alarms.active == {}
    assert losses.monitor.report(incidents=True)[0]["ended_seconds"] == ENDS_AFTER


def source(address: str = "192.0.2.7", *, outside: int = 0, missing: int = 0, limited: int = 0) -> Any:
    gaps = SimpleNamespace(missing=missing)
    return SimpleNamespace(address=address, outside=outside, gaps=gaps, limited=limited, clock=None)


def test_source_at_two_listeners_is_counted_once() -> None:
    losses = Losses()
    losses.peers += [source(outside=5, missing=5), source(outside=3, missing=3)]
    (row,) = losses.look()
    assert (row["events"], row["names"]) == (8, ["192.0.2.7"])
    (row,) = losses.look(ENDS_AFTER)
    assert (row["events"], row["ended_seconds"]) == (8, ENDS_AFTER), "no message was lost since"
    assert losses.alarms.active == {}


def test_alarms_for_clocks_of_sources_are_bounded() -> None:
    losses = Losses()
    losses.peers += [source(f"10.0.{n // 250}.{n % 250}", outside=1) for n in range(3 * MAX_CLOCK_ALARMS)]
    losses.look()
    assert losses.alarms.count("clock") == len(losses.alarms.active) == MAX_CLOCK_ALARMS
    losses.look(ENDS_AFTER)
    losses.peers[-1].outside += 1
    losses.look()
    assert list(losses.alarms.active) == [("clock", losses.peers[-1].address)]


def test_sources_that_exceed_their_rate_limit_are_named() -> None:
    losses = Losses()
    losses.look()
    losses.drop(7, "", "source_limit")
    losses.peers += [source(limited=5), source("192.0.2.8", limited=2)]
    (row,) = losses.look()
    assert (row["events"], row["names"]) == (7, ["192.0.2.7", "192.0.2.8"])
    assert list(losses.alarms.active.values()) == [
        "events are lost: the rate limit of sources 192.0.2.7 and 192.0.2.8 is exceeded"
    ]


def test_loss_has_the_times_of_its_first_and_its_latest_event() -> None:
    losses = Losses()
    losses.drop(1)
    losses.look()
    losses.drop(1)
    losses.look(60)
    (row,) = losses.monitor.report()
    moment = losses.alarms.moment
    assert (row["since"], row["latest"]) == (moment(losses.now - 60), moment(losses.now))
