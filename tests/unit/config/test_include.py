"""Tests `include`: the order in which files are joined, and the faults of included files."""

import hashlib
from pathlib import Path

import pytest

from bridge.config import ConfigurationError, load

MAIN = """
include: [conf.d/*.yaml, more.yaml]
collector: {region: FRA1}
listeners: [{udp: "*:514"}]
intakes: {all: {intake_key: k}}
routes: [{name: first, intake: all, source: 10.0.0.1}]
unrouted: {intake: all}
spool: {directory: spool}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "bridge.yaml").write_text(MAIN)
    (tmp_path / "more.yaml").write_text("listeners: [{tcp: '*:514'}]\n")
    return tmp_path


def test_included_files_are_joined_in_order(site: Path) -> None:
    (site / "conf.d" / "b.yaml").write_text("routes: [{name: third, intake: b, source: 10.0.0.3}]\n")
    (site / "conf.d" / "a.yaml").write_text(
        "intakes: {b: {intake_key: {file: key}}}\ncollector: {timeout: 5s}\n"
        "routes: [{name: second, intake: b, source: 10.0.0.2}]\n"
    )
    (site / "conf.d" / "key").write_text("of-b\n")
    (site / "conf.d" / ".a.yaml.swp").write_text("[")
    config = load(site / "bridge.yaml")
    assert [route.name for route in config.routes] == ["first", "second", "third"]
    assert [listener.kind for listener in config.listeners] == ["udp", "tcp"]
    assert list(config.intakes) == ["all", "b"]
    assert config.intakes["b"].intake_key.reveal() == "of-b"  # relative to the file that names it
    assert (config.collector.region, config.collector.timeout.seconds) == ("FRA1", 5)
    names = ["bridge.yaml", "conf.d/a.yaml", "conf.d/b.yaml", "more.yaml"]
    assert config.files == tuple(site / name for name in names)
    assert config.sha256 == hashlib.sha256(b"".join((site / name).read_bytes() for name in names)).hexdigest()
    assert config.spool.directory == site / "spool"


def test_glob_may_match_nothing_and_file_may_be_empty(site: Path) -> None:
    (site / "more.yaml").write_text("# nothing yet\n")
    assert len(load(site / "bridge.yaml").listeners) == 1


def test_file_included_twice_is_read_once(site: Path) -> None:
    text = MAIN.replace("[conf.d/*.yaml, more.yaml]", "[more.yaml, m*.yaml, more.yaml]")
    (site / "bridge.yaml").write_text(text)
    assert len(load(site / "bridge.yaml").files) == 2


def test_faults_of_all_files_are_listed_in_reading_order(site: Path) -> None:
    (site / "conf.d" / "a.yaml").write_text("routes: [{intake: nobody}]\nbatch: {max_age: 5}\n")
    (site / "more.yaml").write_text("oversize: shrink\ninclude: [x]\n")
    (site / "bridge.yaml").write_text(MAIN + "timezone: Nowhere\n")
    with pytest.raises(ConfigurationError) as raised:
        load(site / "bridge.yaml")
    places = [(Path(fault.file).name, fault.line) for fault in raised.value.faults]
    assert places == [("bridge.yaml", 9), ("a.yaml", 1), ("a.yaml", 2), ("more.yaml", 1), ("more.yaml", 2)]


def test_malformed_file_neither_hides_nor_adds_other_faults(site: Path) -> None:
    (site / "more.yaml").write_text("intakes: {b: {intake_key: [}\n")
    (site / "bridge.yaml").write_text(MAIN.replace("intake: all, source", "intake: b, source") + "timezone: Nowhere\n")
    with pytest.raises(ConfigurationError) as raised:
        load(site / "bridge.yaml")
    assert [Path(fault.file).name for fault in raised.value.faults] == ["bridge.yaml", "more.yaml"]


def test_symlink_loop_is_a_fault(site: Path) -> None:
    (site / "more.yaml").unlink()
    (site / "more.yaml").symlink_to("more.yaml")
    with pytest.raises(ConfigurationError, match="include: cannot read"):
        load(site / "bridge.yaml")
