"""Tests that an imported configuration delivers the same events to the same keys as the server it was imported from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.main import main
from tests.harness.bridge import Bridge
from tests.harness.import_case import CASES, ImportCase, syslog_sink
from tests.harness.polling import until
from tests.harness.running import collecting
from tests.peers.unpacked import PeerMissing

NAMES = sorted(path.stem for path in CASES.glob("*.case"))


def case_of(name: str) -> ImportCase:
    return ImportCase.read(CASES / f"{name}.case")


def test_there_are_cases_of_each_kind() -> None:
    counts = {
        kind: sum(name.startswith(f"{kind}-") for name in NAMES) for kind in ("forwarder", "rsyslog", "syslog-ng")
    }
    assert counts == {"forwarder": 10, "rsyslog": 6, "syslog-ng": 6}


@pytest.mark.parametrize("name", NAMES)
def test_imported_configuration_delivers_to_the_keys(tmp_path: Path, name: str) -> None:
    case = case_of(name)
    file = case.write(tmp_path / "given")
    result = CliRunner().invoke(main, ["import", str(file), "--output", str(tmp_path / "imported")])
    assert result.exit_code == 0, result.output
    for key in {message.key for message in case.messages} - {"-"}:
        assert key not in result.output
    written = tmp_path / "imported/bridge.yaml"
    checked = CliRunner().invoke(main, ["check", "--no-secrets", "-c", str(written)])
    assert checked.exit_code == 0, checked.output
    with collecting(tmp_path) as collector:
        bridge = Bridge(tmp_path / "bridge", collector_url=collector.url, intakes={"unused": {}})
        bridge.configuration = case.configuration(
            written, collector=collector.url, spool=bridge.spool, admin=bridge.admin
        )
        try:
            bridge.start()
            case.send(original=False)
            bridge.wait_received(len(case.messages))
            bridge.wait_drained()
            until(
                lambda: len(collector.refresh()) >= len(case.expected), lambda: f"{collector.arrived}, {result.output}"
            )
            assert sorted((event.key, event.text) for event in collector.arrived) == case.expected
            bridge.stop()
        finally:
            bridge.kill()


@pytest.mark.parametrize("name", NAMES)
def test_original_delivers_to_the_same_keys(tmp_path: Path, name: str) -> None:
    case = case_of(name)
    with syslog_sink() as sink:
        try:
            original = case.start_original(tmp_path, sink.port)
        except PeerMissing as missing:
            pytest.skip(str(missing))
        try:
            original.wait_until(case.hears, "listening")
            case.send(original=True)
            original.wait_until(
                lambda: len(sink.arrived) >= len(case.expected), "delivering all events", deadline_seconds=60
            )
            assert sorted(sink.arrived) == case.expected
        finally:
            original.kill()
