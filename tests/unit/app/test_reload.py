"""Tests the reload of a running bridge: a new configuration takes effect completely or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bridge.app.confirmation import Confirmation
from bridge.app.process import Process
from bridge.app.reload import Reload, Subsystems
from bridge.app.unconfirmed import FILE, Unconfirmed, choose
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


def result_of(deferred: defer.Deferred[JSON]) -> JSON:
    """Returns the result of a deferred that has fired, or raises its failure."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    finished: JSON = result
    return finished


class ReloadFixture:
    """A reload whose targets are stand-ins."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "key").write_text("k" * 16)
        self.spool = directory / "spool"
        self.spool.mkdir()
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
        self.now = 1_000_000.0
        self.process = Process(Reactor(), wall=lambda: self.now, manager=Mock())  # type: ignore[arg-type]
        self.process.spool_thread = Mock(run=defer.execute)
        self.reverted: list[Any] = []
        self.make(self.config(), None)

    def make(self, config: Config, unconfirmed: Unconfirmed | None) -> None:
        self.confirmation = Confirmation(
            self.process, self.parts.storage.alarms, self.spool, unconfirmed,
            lambda: self.reload.revert().addBoth(self.reverted.append),
        )  # fmt: skip
        self.reload = Reload(
            config, self.parts, self.process, load=lambda config: self.load(), confirmation=self.confirmation
        )
        self.reload.subscribe(self.applied.append)

    def apply(self) -> None:
        assert self.listener_set.apply.call_count == self.part_changes, "the listeners must be changed last"
        self.part_changes += 1

    def config(
        self,
        *,
        intakes: str = "fw",
        spool: str = "spool",
        batch: str = "{}",
        key: str = "{file: key}",
        zone: str = "UTC",
    ) -> Config:
        rows = ", ".join(f"{name}: {{intake_key: {key}}}" for name in intakes.split())
        return parse_text(
            f"timezone: {zone}\ncollector: {{region: FRA1}}\n"
            f'listeners: [{{name: udp, udp: "127.0.0.1:0"}}]\nintakes: {{{rows}}}\n'
            f"unrouted: {{intake: fw}}\nbatch: {batch}\nspool: {{directory: {self.directory / spool}}}\n",
            str(self.directory / "bridge.yaml"),
        )

    def load(self) -> Config:
        if isinstance(self.on_disk, Exception):
            raise self.on_disk
        return self.on_disk

    def run(self, confirm_within: float | None = None) -> JSON:
        """Reloads the configuration. Raises ReloadError."""
        return result_of(self.reload.run(confirm_within))

    def pass_time(self, seconds: float) -> None:
        """Lets both clocks go on."""
        self.now += seconds
        self.process.reactor.advance(seconds)  # type: ignore[attr-defined]

    def restart(self) -> tuple[Config, str]:
        """Starts another process with the configuration on disk. Returns what it uses, and its line in the log."""
        assert isinstance(self.on_disk, Config)
        self.confirmation.stop()
        config, unconfirmed, text = choose(self.on_disk, self.now)
        self.alarms.clear()
        self.make(config, unconfirmed)
        self.confirmation.start()
        return config, text

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


# --- confirmation -----------------------------------------------------------------------------------------------------

PENDING, REJECTED = ("reload", "confirmation"), ("reload", "configuration")


def begin(fixture: ReloadFixture, seconds: float = 300) -> tuple[Config, Config]:
    """Reloads a changed configuration that must be confirmed. Returns the configuration before and the changed one."""
    before = fixture.reload.config
    fixture.on_disk = changed = fixture.config(intakes="fw linux")
    text = str(fixture.run(seconds)["text"])
    assert "The previous configuration is used again at" in text and "syslog-bridge reload --confirmed" in text
    assert PENDING in fixture.alarms
    return before, changed


def test_configuration_that_is_not_confirmed_is_left_in_time(fixture: ReloadFixture) -> None:
    before, changed = begin(fixture)
    fixture.pass_time(299)
    assert fixture.reload.config is changed
    fixture.pass_time(1)
    assert len(fixture.reverted) == 1
    assert fixture.reload.config.sha256 == before.sha256
    assert set(fixture.alarms) == {REJECTED}
    assert "was not confirmed in time" in fixture.alarms[REJECTED]
    assert fixture.status.note_failed_reload.called
    # A reload is the operator's decision to use what is on disk.
    fixture.run()
    assert fixture.reload.config is changed
    assert fixture.alarms == {} and not (fixture.spool / FILE).exists()


def test_confirmed_configuration_stays(fixture: ReloadFixture) -> None:
    _, changed = begin(fixture)
    assert result_of(fixture.reload.confirm()) == {"text": "the configuration is confirmed"}
    fixture.pass_time(1000)
    assert (fixture.reload.config, fixture.reverted, fixture.alarms) == (changed, [], {})
    assert not (fixture.spool / FILE).exists()
    with pytest.raises(ReloadError, match="no configuration waits"):
        result_of(fixture.reload.confirm())


def test_reload_without_a_time_does_not_confirm(fixture: ReloadFixture) -> None:
    before, _ = begin(fixture)
    fixture.pass_time(200)
    fixture.on_disk = fixture.config(intakes="fw linux other")
    assert "The previous configuration is used again at" in str(fixture.run()["text"])
    fixture.pass_time(100)
    assert fixture.reload.config.sha256 == before.sha256


def test_reload_of_the_previous_configuration_ends_the_wait(fixture: ReloadFixture) -> None:
    before, _ = begin(fixture)
    fixture.on_disk = before
    fixture.run()
    fixture.pass_time(1000)
    assert (fixture.reverted, fixture.alarms) == ([], {})
    assert "nothing to confirm" in str(fixture.run(300)["text"])
    assert fixture.alarms == {}


def test_second_time_moves_the_end_but_not_what_to_go_back_to(fixture: ReloadFixture) -> None:
    before, changed = begin(fixture)
    fixture.pass_time(200)
    fixture.run(300)
    fixture.pass_time(200)
    assert fixture.reload.config is changed
    fixture.pass_time(100)
    assert fixture.reload.config.sha256 == before.sha256


def test_wait_goes_on_over_a_restart(fixture: ReloadFixture) -> None:
    before, changed = begin(fixture)
    fixture.pass_time(100)
    assert fixture.restart() == (changed, "the configuration is not confirmed")
    assert PENDING in fixture.alarms
    fixture.pass_time(199)
    assert fixture.reload.config is changed
    fixture.pass_time(1)
    assert fixture.reload.config.sha256 == before.sha256


def test_start_after_the_end_uses_the_previous_configuration(fixture: ReloadFixture) -> None:
    before, changed = begin(fixture)
    fixture.confirmation.stop()
    fixture.now += 400
    for _ in range(2):
        config, text = fixture.restart()
        assert config.sha256 == before.sha256
        assert "not confirmed in time" in text
        assert REJECTED in fixture.alarms
    # Another configuration on disk is used.
    fixture.on_disk = other = fixture.config(zone="Europe/Paris")
    assert fixture.restart() == (other, "")
    assert fixture.alarms == {} and not (fixture.spool / FILE).exists()
    assert changed.sha256 != other.sha256


def test_restart_keeps_the_new_configuration_if_the_previous_one_is_of_no_use(fixture: ReloadFixture) -> None:
    begin(fixture)
    fixture.now += 400
    (fixture.directory / "key").unlink()
    config, text = fixture.restart()
    assert config is fixture.on_disk
    assert "the previous one cannot be used: " in text
    (fixture.spool / FILE).write_text("[]")
    assert "it is damaged" in fixture.restart()[1]


def test_previous_configuration_that_cannot_be_used_is_reported(fixture: ReloadFixture) -> None:
    _, changed = begin(fixture)
    (fixture.directory / "key").unlink()
    fixture.pass_time(300)
    assert fixture.reload.config is changed
    assert "the previous one cannot be used" in fixture.alarms[PENDING]
    (fixture.directory / "key").write_text("k" * 16)
    assert "confirmed" in str(result_of(fixture.reload.confirm())["text"])
    assert fixture.alarms == {}


def test_key_in_the_configuration_is_not_written_to_the_spool(fixture: ReloadFixture) -> None:
    fixture.on_disk = fixture.config(key="SecretKey1234567")
    fixture.run()
    fixture.on_disk = fixture.config(intakes="fw linux")
    text = str(fixture.run(300)["text"])
    assert "A restart uses the configuration on disk: the previous one contains a secret" in text
    assert not (fixture.spool / FILE).exists()
    fixture.pass_time(300)
    assert fixture.reload.config.intakes["fw"].intake_key.reveal() == "SecretKey1234567"
    assert not (fixture.spool / FILE).exists()
