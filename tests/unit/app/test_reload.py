"""Tests the reload of a running bridge: a new configuration takes effect completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bridge.app.reload import Reload, Reloaded, ReloadTargets
from bridge.config import Config, ConfigurationError, Fault, parse_text
from bridge.listen.sockets import ListenError
from bridge.operations.command import ReloadError


class Threads:
    """A thread pool that runs its jobs at once."""

    def callInThreadWithCallback(self, done: Any, job: Any, *arguments: Any) -> None:
        try:
            result, ok = job(*arguments), True
        except Exception:
            result, ok = Failure(), False
        done(ok, result)


class Reactor(Clock):
    """A clock with a thread pool."""

    def getThreadPool(self) -> Threads:
        return Threads()

    def callFromThread(self, job: Any, *arguments: Any) -> None:
        job(*arguments)


class ReloadFixture:
    """A reload whose targets are stand-ins."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.on_disk: Config | Exception = self.config()
        self.alarms: dict[tuple[str, str], str] = {}
        self.applied: list[Config] = []
        self.targets = Mock(spec_set=ReloadTargets.__slots__)
        self.targets.alarms.on = lambda kind, about, text: self.alarms.__setitem__((kind, about), text)
        self.targets.alarms.off = lambda kind, about, text: self.alarms.pop((kind, about), None)
        self.targets.spool.archive = None
        self.targets.make_archive.return_value = None
        self.targets.listener_set.wait_closed.side_effect = lambda: defer.succeed(None)
        self.targets.listener_set.apply.side_effect = lambda change: defer.succeed(None)
        self.reload = Reload(
            self.config(), self.targets, reactor=Reactor(), load=self.load, applied=self.applied.append
        )

    def config(self, *, intakes: str = "fw", spool: str = "spool", batch: str = "{}") -> Config:
        rows = ", ".join(f"{name}: {{intake_key: {'k' * 16}}}" for name in intakes.split())
        return parse_text(
            f'collector: {{region: FRA1}}\nlisteners: [{{name: udp, udp: "127.0.0.1:0"}}]\nintakes: {{{rows}}}\n'
            f"unrouted: {{intake: fw}}\nbatch: {batch}\nspool: {{directory: {self.directory / spool}}}\n",
            "bridge.yaml",
        )

    def load(self) -> Config:
        if isinstance(self.on_disk, Exception):
            raise self.on_disk
        return self.on_disk

    def run(self) -> Reloaded:
        """Reloads the configuration. Raises ReloadError."""
        results: list[Any] = []
        self.reload.run().addBoth(results.append)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        assert isinstance(result, Reloaded)
        return result

    def unchanged(self) -> bool:
        """Returns True if no target was changed and the reload alarm is active."""
        changed = self.targets.peers.change.called or self.targets.courier_set.apply.called
        return not changed and not self.applied and ("reload", "configuration") in self.alarms


@pytest.fixture
def fixture(tmp_path: Path) -> ReloadFixture:
    return ReloadFixture(tmp_path)


def test_new_configuration_reaches_all_parts(fixture: ReloadFixture) -> None:
    fixture.on_disk = config = fixture.config(intakes="fw linux")
    result = fixture.run()
    assert "intake linux" in result.text
    assert fixture.applied == [config]
    assert fixture.reload.config is config
    fixture.targets.status.change.assert_called_once_with(config.sha256)
    fixture.targets.self_events.change.assert_called_once_with(config)
    for change in (fixture.targets.peers.change, fixture.targets.pipeline.change, fixture.targets.disk_budget.change):
        change.assert_called_once()
    assert fixture.alarms == {}


def test_faulty_configuration_changes_nothing_and_raises_an_alarm(fixture: ReloadFixture) -> None:
    fixture.on_disk = ConfigurationError([Fault("bridge.yaml", 3, 5, "unknown key")])
    with pytest.raises(ReloadError, match=r"bridge\.yaml:3:5: unknown key"):
        fixture.run()
    assert fixture.unchanged()
    fixture.targets.status.note_failed_reload.assert_called_once_with()
    fixture.targets.status.change.assert_not_called()


def test_unreadable_file_changes_nothing(fixture: ReloadFixture) -> None:
    fixture.on_disk = PermissionError(13, "Permission denied", "bridge.yaml")
    with pytest.raises(ReloadError, match=r"bridge\.yaml: Permission denied"):
        fixture.run()
    assert fixture.unchanged()


def test_taken_port_changes_nothing(fixture: ReloadFixture) -> None:
    fixture.targets.listener_set.prepare.side_effect = ListenError("listener udp: port 514 is in use")
    with pytest.raises(ReloadError, match="port 514 is in use"):
        fixture.run()
    assert fixture.unchanged()


def test_change_that_needs_a_restart_is_refused_with_both_values(fixture: ReloadFixture) -> None:
    fixture.on_disk = fixture.config(spool="elsewhere")
    with pytest.raises(ReloadError, match=r"spool\.directory.*spool -> .*elsewhere.*restart"):
        fixture.run()
    assert fixture.unchanged()


def test_alarm_is_cleared_by_the_next_good_reload(fixture: ReloadFixture) -> None:
    fixture.on_disk = OSError(5, "Input/output error", "bridge.yaml")
    with pytest.raises(ReloadError):
        fixture.run()
    fixture.on_disk = fixture.config()
    fixture.run()
    assert fixture.alarms == {}
    fixture.targets.status.change.assert_called_once_with(fixture.reload.config.sha256)


def test_spool_gets_other_limits(fixture: ReloadFixture) -> None:
    fixture.on_disk = fixture.config(batch="{timestamp_resolution: 5s}")
    fixture.run()
    assert fixture.targets.spool.change.call_args.kwargs["limits"].resolution_ms == 5000


def test_bridge_that_stops_does_not_apply_a_prepared_reload(fixture: ReloadFixture) -> None:
    fixture.reload.stop()
    with pytest.raises(ReloadError, match="stopping"):
        fixture.run()
    assert fixture.unchanged()


def test_key_of_an_intake_is_replaced_without_reading_the_file(fixture: ReloadFixture) -> None:
    fixture.on_disk = OSError("must not be read")
    fixture.reload.set_key("fw", "n" * 16)
    assert fixture.reload.config.intakes["fw"].intake_key.reveal() == "n" * 16
    fixture.targets.courier_set.set_key.assert_called_once()
    assert len(fixture.applied) == 1


def test_key_of_an_unknown_intake_is_refused(fixture: ReloadFixture) -> None:
    with pytest.raises(ReloadError, match="intake other is not in the running configuration"):
        fixture.reload.set_key("other", "n" * 16)
    assert fixture.applied == []
