"""Tests that services start in order and stop in reverse order, each after the one before it."""

from __future__ import annotations

from functools import partial

import pytest
from twisted.internet import defer
from twisted.logger import capturedLogs

from bridge.app.services import AsyncService, OrderedServices


class Recorder:
    """Services `a`, `b` and `c` that record their steps; the step in `waiting` waits for its Deferred."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.waiting: dict[str, defer.Deferred[None]] = {}
        self.services = OrderedServices(
            [
                AsyncService(name, start=partial(self.step, f"start {name}"), stop=partial(self.step, f"stop {name}"))
                for name in ("a", "b", "c")
            ]
        )

    def start(self) -> defer.Deferred[None]:
        return self.services.startService()

    def stop(self) -> defer.Deferred[None]:
        return self.services.stopService()

    async def step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.waiting:
            await self.waiting[name]


def test_services_stop_in_reverse_order_and_wait_for_each_other() -> None:
    recorder = Recorder()
    recorder.waiting = {"start b": defer.Deferred(), "stop c": defer.Deferred()}
    started = recorder.start()
    assert recorder.steps == ["start a", "start b"]
    recorder.waiting["start b"].callback(None)
    assert started.called
    stopped = recorder.stop()
    assert recorder.steps[3:] == ["stop c"]
    assert not stopped.called
    recorder.waiting["stop c"].callback(None)
    assert stopped.called
    assert recorder.steps == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_failed_start_stops_everything_and_reports_the_error() -> None:
    recorder = Recorder()
    recorder.waiting = {"start b": defer.fail(ValueError("port in use"))}
    started = recorder.start()
    with pytest.raises(ValueError, match="port in use"):
        started.result.raiseException()
    started.addErrback(lambda failure: None)
    assert recorder.steps == ["start a", "start b", "stop c", "stop b", "stop a"]


def test_failed_stop_is_logged_and_the_other_services_are_stopped() -> None:
    recorder = Recorder()
    recorder.waiting = {"stop b": defer.fail(ValueError("defect"))}
    recorder.start()
    with capturedLogs() as events:
        stopped = recorder.stop()
    assert stopped.called
    assert recorder.steps[-1] == "stop a"
    assert [event["name"] for event in events if "log_failure" in event] == ["b"]


def test_second_stop_does_nothing() -> None:
    recorder = Recorder()
    recorder.start()
    recorder.stop()
    recorder.stop()
    assert recorder.steps.count("stop a") == 1
