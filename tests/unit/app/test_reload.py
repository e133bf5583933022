"""Reload of a running bridge: all of a new configuration takes effect, or nothing of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
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
from bridge.spool import BatchLimits


class Threads:
    """A thread pool that runs its jobs at once."""

    def callInThreadWithCallback(self, done: Any, job: Any, *given: Any) -> None:
        try:
            result, ok = job(*given), True
        except Exception:
            result, ok = Failure(), False
        done(ok, result)


class Reactor(Clock):
    def getThreadPool(self) -> Threads:
        return Threads()

    def callFromThread(self, job: Any, *given: Any) -> None:
        job(*given)


class Gateway:
    """A bridge of which everything but the reload is a stand-in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.on_disk: Config | Exception = self.config()
        self.alarms: dict[tuple[str, str], str] = {}
        self.applied: list[Config] = []
        self.parts = Mock(spec_set=ReloadTargets.__slots__)
        self.parts.alarms.on = lambda kind, about, text: self.alarms.__setitem__((kind, about), text)
        self.parts.alarms.off = lambda kind, about, text: self.alarms.pop((kind, about), None)
        self.parts.spool.limits = BatchLimits()
        self.parts.spool.archive = None
        self.parts.spool.quarantine.bounds = {}
        self.parts.make_archive.return_value = None
        self.parts.listener_set.wait_closed.side_effect = lambda: defer.succeed(None)
        self.parts.listener_set.apply.side_effect = lambda change: defer.succeed(None)
        self.parts.status = SimpleNamespace(reloaded=None, config_sha256=None)
        self.reload = Reload(self.config(), self.parts, reactor=Reactor(), load=self.load, applied=self.applied.append)

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
        """Reloads; raises ReloadError."""
        results: list[Any] = []
        self.reload.run().addBoth(results.append)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        assert isinstance(result, Reloaded)
        return result

    def unchanged(self) -> bool:
        """True if no part has another configuration, and an alarm says so."""
        swapped = self.parts.peers.change.called or self.parts.courier_set.apply.called
        return not swapped and not self.applied and ("reload", "configuration") in self.alarms


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def test_new_configuration_reaches_all_parts(gateway: Gateway) -> None:
    gateway.on_disk = config = gateway.config(intakes="fw linux")
    result = gateway.run()
    assert "intake linux" in result.text
    assert gateway.applied == [config]
    assert gateway.reload.config is config
    assert gateway.parts.status.config_sha256 == config.sha256
    assert gateway.parts.status.reloaded is True
    for part in (gateway.parts.peers.change, gateway.parts.pipeline.change, gateway.parts.disk_budget.change):
        part.assert_called_once()
    assert gateway.alarms == {}


def test_faulty_configuration_changes_nothing_and_raises_an_alarm(gateway: Gateway) -> None:
    gateway.on_disk = ConfigurationError([Fault("bridge.yaml", 3, 5, "unknown key")])
    with pytest.raises(ReloadError, match=r"bridge\.yaml:3:5: unknown key"):
        gateway.run()
    assert gateway.unchanged()
    assert gateway.parts.status.reloaded is False


def test_unreadable_file_changes_nothing(gateway: Gateway) -> None:
    gateway.on_disk = PermissionError(13, "Permission denied", "bridge.yaml")
    with pytest.raises(ReloadError, match=r"bridge\.yaml: Permission denied"):
        gateway.run()
    assert gateway.unchanged()


def test_taken_port_changes_nothing(gateway: Gateway) -> None:
    gateway.parts.listener_set.prepare.side_effect = ListenError("listener udp: port 514 is in use")
    with pytest.raises(ReloadError, match="port 514 is in use"):
        gateway.run()
    assert gateway.unchanged()


def test_change_that_needs_a_restart_is_refused_with_both_values(gateway: Gateway) -> None:
    gateway.on_disk = gateway.config(spool="elsewhere")
    with pytest.raises(ReloadError, match=r"spool\.directory.*spool -> .*elsewhere.*restart"):
        gateway.run()
    assert gateway.unchanged()


def test_alarm_is_cleared_by_the_next_good_reload(gateway: Gateway) -> None:
    gateway.on_disk = OSError(5, "Input/output error", "bridge.yaml")
    with pytest.raises(ReloadError):
        gateway.run()
    gateway.on_disk = gateway.config()
    gateway.run()
    assert gateway.alarms == {}
    assert gateway.parts.status.reloaded is True


def test_open_batches_are_sealed_if_the_timestamp_resolution_changes(gateway: Gateway) -> None:
    gateway.run()
    gateway.parts.spool.seal_all.assert_not_called()
    gateway.on_disk = gateway.config(batch="{timestamp_resolution: 5s}")
    gateway.run()
    gateway.parts.spool.seal_all.assert_called_once_with()


def test_bridge_that_stops_does_not_apply_a_prepared_reload(gateway: Gateway) -> None:
    gateway.reload.stop()
    with pytest.raises(ReloadError, match="stopping"):
        gateway.run()
    assert gateway.unchanged()


def test_key_of_an_intake_is_replaced_without_reading_the_file(gateway: Gateway) -> None:
    gateway.on_disk = OSError("must not be read")
    gateway.reload.set_key("fw", "n" * 16)
    assert gateway.reload.config.intakes["fw"].intake_key.reveal() == "n" * 16
    gateway.parts.courier_set.set_key.assert_called_once()
    assert len(gateway.applied) == 1


def test_key_of_an_unknown_intake_is_refused(gateway: Gateway) -> None:
    with pytest.raises(ReloadError, match="intake other is not in the running configuration"):
        gateway.reload.set_key("other", "n" * 16)
    assert gateway.applied == []
