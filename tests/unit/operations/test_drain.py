"""Tests the drain of a running bridge: the alarm, the end of the wait, and the events that are left."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import Mock

from twisted.internet import defer
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.monitoring.alarms import Alarms
from bridge.operations.drain import Drain


class Draining:
    """A drain with two waiting events of `fw` and one held frame of `linux`."""

    def __init__(self, *, timeout: float = 10) -> None:
        self.clock, self.ledger, self.alarms = Clock(), Ledger(), Alarms()
        self.ledger.recover_spooled("fw", 2)
        self.ledger.receive_buffered("linux", 1)
        self.progress: list[dict[str, object]] = []
        self.waits = True
        listener_set: Any = Mock()
        listener_set.close.side_effect = lambda: defer.succeed(None)
        finish = partial(self.ledger.spool_buffered, "linux", 1)
        drain = Drain(self.clock, listener_set, self.ledger, self.alarms, finish)
        self.result = defer.ensureDeferred(drain.run(timeout, self.report))
        assert listener_set.close.called

    def report(self, progress: dict[str, object]) -> bool:
        self.progress.append(progress)
        return self.waits

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds / 0.25))


def test_drain_ends_once_no_events_are_left() -> None:
    draining = Draining()
    draining.advance(1)
    assert draining.progress[-1] == {"left": 3}
    assert ("drain", "listeners") in draining.alarms.active
    draining.ledger.deliver("fw", 2)
    draining.ledger.deliver("linux", 1)
    assert not draining.result.called
    draining.advance(0.25)
    assert draining.result.result == {"left": 0, "by_intake": {}}


def test_drain_ends_after_the_timeout_with_the_events_left() -> None:
    draining = Draining(timeout=2)
    draining.ledger.deliver("linux", 1)
    draining.advance(1.75)
    assert not draining.result.called
    draining.advance(0.25)
    assert draining.result.result == {"left": 2, "by_intake": {"fw": 2}}


def test_drain_ends_if_the_operator_no_longer_waits() -> None:
    draining = Draining()
    draining.waits = False
    draining.advance(0.25)
    assert draining.result.called
