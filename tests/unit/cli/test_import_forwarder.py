"""Tests ``import``: the forwarder's file becomes a valid configuration, and no output shows a key."""

import stat

import pytest
from click.testing import CliRunner

from bridge.cli.import_forwarder import import_forwarder
from bridge.config import load

KEY, OTHER = "abcdefgh12345678", "ZYXWVUTS87654321"

INTAKES = f"""---
intakes:
- name: Fortigate Paris
  protocol: tcp
  port: 20516
  intake_key: {KEY}
  debug: True
- name: Techno2
  protocol: UDP
  port: 20517
  intake_key: INTAKE_KEY_FOR_TECHNO_2
- name: techno2
  protocol: http
  input_protocol: tcp
  port: 20518
  intake_key: {OTHER}
- name: Fortigate udp
  protocol: udp
  port: 20516
  intake_key: {KEY}
- name: Forwarder
  stats: true
  intake_key: statsstatsstats0
"""

COMPOSE = """
services:
  rsyslog:
    environment: [MEMORY_MESSAGES=2000000, DISK_SPACE=180g, REGION=mco1]
    ports: ["20516-20518:20516-20518", "514:20517/udp"]
"""


def run(tmp_path, intakes=INTAKES, *options, compose=None):
    (tmp_path / "intakes.yaml").write_text(intakes)
    if compose is not None:
        (tmp_path / "docker-compose.yml").write_text(compose)
    argv = [str(tmp_path / "intakes.yaml"), "--output", str(tmp_path / "out"), *options]
    return CliRunner().invoke(import_forwarder, argv)


def test_each_entry_becomes_a_listener_and_each_key_an_intake(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "out/bridge.yaml")
    assert {(one.payload, one.format) for one in config.intakes.values()} == {("auto", None)}
    assert [(one.kind, str(one.address), one.name, one.intake) for one in config.listeners] == [
        ("tcp", "*:20516", "Fortigate Paris", "fortigate-paris"),
        ("udp", "*:20517", "Techno2", "techno2"),
        ("tcp", "*:20518", "techno2", "techno2-2"),
        ("udp", "*:20516", "Fortigate udp", "fortigate-paris"),
    ]
    keys = {name: intake.intake_key.reveal() for name, intake in config.intakes.items()}
    assert keys == {"fortigate-paris": KEY, "techno2": "INTAKE_KEY_FOR_TECHNO_2", "techno2-2": OTHER}
    assert stat.S_IMODE((tmp_path / "out/keys/techno2").stat().st_mode) == 0o600


def test_no_key_is_shown(tmp_path):
    result = run(tmp_path)
    written = (tmp_path / "out/bridge.yaml").read_text()
    for key in (KEY, OTHER, "INTAKE_KEY_FOR_TECHNO_2", "statsstatsstats0"):
        assert key not in result.output + written


def test_compose_file_provides_region_spool_size_and_ports(tmp_path):
    result = run(tmp_path, compose=COMPOSE)
    config = load(tmp_path / "out/bridge.yaml")
    assert (config.collector.region, config.spool.max_size) == ("MCO1", 180 << 30)
    assert str(config.listeners[1].address) == "*:514"
    assert "TCP 443 to intake.mco1.sekoia.io" in result.output
    assert "20517; the devices send to 514" in result.output


def test_region_option_overrides_the_compose_file(tmp_path):
    run(tmp_path, INTAKES, "--region", "fra2", compose=COMPOSE)
    assert load(tmp_path / "out/bridge.yaml").collector.region == "FRA2"


def test_setgid_key_directory_makes_keys_readable_by_its_group(tmp_path):
    keys = tmp_path / "out/keys"
    keys.mkdir(parents=True)
    keys.chmod(0o2750)
    assert run(tmp_path).exit_code == 0
    assert stat.S_IMODE((keys / "techno2").stat().st_mode) == 0o640


def test_all_faults_are_listed_and_nothing_is_written(tmp_path):
    bad = f"""intakes:
- {{name: a, protocol: tcp, port: 514, intake_key: {KEY}}}
- {{name: b, protocol: tcp, port: 514, intake_key: {OTHER}}}
- {{name: c, protocol: carrier-pigeon, port: 99999, intake_key: {KEY}}}
- {{name: d, protocol: tcp, port: 515, intake_key: two words}}
- {{protocol: tcp, port: 516, intake_key: {KEY}}}
- alone
"""
    result = run(tmp_path, bad)
    assert result.exit_code == 2
    places = [line.split("intakes.yaml:")[1].split(": ")[:2] for line in result.stderr.splitlines()]
    assert places == [
        ["3:34", "port"],
        ["4:23", "protocol"],
        ["4:45", "port"],
        ["5:51", "intake_key"],
        ["6:3", "name"],
        ["7:3", "an intake must be a mapping with name, protocol, port and intake_key."],
    ]
    assert "two words" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "intakes: []", "collector: {region: FRA1}", "- a"])
def test_file_that_is_not_the_forwarders_is_rejected(tmp_path, text):
    result = run(tmp_path, text)
    assert result.exit_code == 2
    assert "Is this the forwarder's intakes.yaml?" in result.stderr


def test_force_replaces_existing_files_and_keeps_the_old_ones(tmp_path):
    assert run(tmp_path).exit_code == 0
    refused = run(tmp_path)
    assert refused.exit_code == 1
    assert "already" in refused.stderr
    assert run(tmp_path, INTAKES.replace(KEY, OTHER[::-1]), "--force").exit_code == 0
    assert (tmp_path / "out/keys/fortigate-paris").read_text() == f"{OTHER[::-1]}\n"
    assert (tmp_path / "out/keys/fortigate-paris.old").read_text() == f"{KEY}\n"
    assert (tmp_path / "out/bridge.yaml.old").exists()
