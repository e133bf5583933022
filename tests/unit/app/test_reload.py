"""Tests the reload of a running bridge: a new configuration takes effect completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bridge.app.process import Process
from bridge.app.reload import Reload, Subsystems
from bridge.config import Config, ConfigurationError, Fault, parse_text
from bridge.listen.sockets import ListenError
from bridge.operations.command import JSON, ReloadError


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
        self.part_changes = 0
        self.parts = Mock(spec_set=Subsystems(*[Mock() for _ in range(4)]))
        self.parts.prepare.return_value = [self.apply]
        alarms = self.parts.storage.alarms
        alarms.on = lambda kind, about, text, remedy="": self.alarms.__setitem__((kind, about), f"{text}. {remedy}")
        alarms.off = lambda kind, about, text: self.alarms.pop((kind, about), None)
        self.listener_set, self.status = self.parts.ingest.listener_set, self.parts.monitoring.status
        self.listener_set.wait_closed.side_effect = lambda: defer.succeed(None)
        self.listener_set.apply.side_effect = lambda change: defer.succeed(None)
        self.process = Process(Reactor(), manager=Mock())
        self.reload = Reload(self.config(), self.parts, self.process, load=lambda config: self.load())
        self.reload.subscribe(self.applied.append)

    def apply(self) -> None:
        assert not self.listener_set.apply.called, "the listeners must be changed last"
        self.part_changes += 1

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

    def run(self) -> JSON:
        """Reloads the configuration. Raises ReloadError."""
        results: list[Any] = []
        self.reload.run().addBoth(results.append)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        reloaded: JSON = result
        return reloaded

    def unchanged(self) -> bool:
        """Returns True if no target was changed and the reload alarm is active."""
        changed = self.part_changes or self.listener_set.apply.called or self.applied
        return not changed and ("reload", "configuration") in self.alarms and self.status.note_failed_reload.called


@pytest.fixture
def fixture(tmp_path: Path) -> ReloadFixture:
    return ReloadFixture(tmp_path)


def test_new_configuration_reaches_all_parts(fixture: ReloadFixture) -> None:
    fixture.on_disk = config = fixture.config(intakes="fw linux")
    result = fixture.run()
    assert "intake linux" in str(result["text"])
    assert fixture.applied == [config]
    assert fixture.reload.config is config
    fixture.parts.prepare.assert_called_once_with(config)
    assert fixture.part_changes == 1
    fixture.listener_set.apply.assert_called_once()
    assert fixture.alarms == {}


def test_service_manager_is_told_when_a_reload_begins_and_ends(fixture: ReloadFixture) -> None:
    manager = fixture.process.manager
    fixture.run()
    assert [call[0] for call in manager.method_calls] == ["reloading", "ready"]  # type: ignore[attr-defined]
    fixture.on_disk = OSError(5, "Input/output error", "bridge.yaml")
    with pytest.raises(ReloadError):
        fixture.run()
    assert [call[0] for call in manager.method_calls] == ["reloading", "ready"] * 2  # type: ignore[attr-defined]


def test_faulty_configuration_changes_nothing_and_raises_an_alarm(fixture: ReloadFixture) -> None:
    fixture.on_disk = ConfigurationError([Fault("bridge.yaml", 3, 5, "unknown key")])
    with pytest.raises(ReloadError, match=r"bridge\.yaml:3:5: unknown key"):
        fixture.run()
    assert fixture.unchanged()
    assert '"syslog-bridge reload"' in fixture.alarms["reload", "configuration"]


def test_unreadable_file_changes_nothing(fixture: ReloadFixture) -> None:
    fixture.on_disk = PermissionError(13, "Permission denied", "bridge.yaml")
    with pytest.raises(ReloadError, match=r"bridge\.yaml: Permission denied"):
        fixture.run()
    assert fixture.unchanged()


def test_taken_port_changes_nothing(fixture: ReloadFixture) -> None:
    fixture.listener_set.prepare.side_effect = ListenError("listener udp: port 514 is in use")
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


def test_bridge_that_stops_does_not_apply_a_prepared_reload(fixture: ReloadFixture) -> None:
    fixture.reload.stop()
    with pytest.raises(ReloadError, match="stopping"):
        fixture.run()
    assert fixture.unchanged()


def test_key_of_an_intake_is_replaced_without_reading_the_file(fixture: ReloadFixture) -> None:
    fixture.on_disk = OSError("must not be read")
    fixture.reload.set_key("fw", "n" * 16)
    assert fixture.reload.config.intakes["fw"].intake_key.reveal() == "n" * 16
    fixture.parts.delivery.courier_set.set_key.assert_called_once()
    fixture.parts.ingest.keys.change.assert_called_once_with(fixture.reload.config)


def test_key_of_an_unknown_intake_is_refused(fixture: ReloadFixture) -> None:
    with pytest.raises(ReloadError, match="intake other is not in the running configuration"):
        fixture.reload.set_key("other", "n" * 16)
    assert not fixture.parts.delivery.courier_set.set_key.called
