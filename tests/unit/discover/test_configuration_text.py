"""Tests the written configuration: it is valid, routes what was seen and no more, and has no text of a message."""

import re
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Config, parse_text
from bridge.discover import FindingSettings, Observer, SenderFinding, find_all
from bridge.discover.configuration_text import Circumstances, configuration_text
from bridge.discover.plan import Plan, networks_of, plan_of
from bridge.ingest import from_config
from bridge.syslog.framing import datagrams
from bridge.syslog.reader import read_columns
from tests.bench.mix import read_mix
from tests.harness.discovering import ASA, FORTIGATE, SSHD, START, UNKNOWN, add, findings_of, observed, stamped

ZONES = (ZoneInfo("UTC"), ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"))


def written(findings: list[SenderFinding], **more: object) -> str:
    values = {
        "collector": {"region": "FRA1"}, "timezone": "UTC", "listeners": [("udp", "udp", "*:514")], "spool": "/s",
        "file": "bridge.yaml", "origin": "the capture site.pcap", "seconds": 600.0, "messages": 7, "senders": 2,
    }  # fmt: skip
    return configuration_text(plan_of(findings), Circumstances(**values | more))  # type: ignore[arg-type]


def loaded(text: str) -> Config:
    """Loads a configuration whose key files are not there yet."""
    return parse_text(re.sub(r"intake_key: \{file: [^}]*\}", "intake_key: abcdef0123456789", text))


def route_of(config: Config, source: str, frame: bytes) -> tuple[str, str | None]:
    """Returns what the bridge does with a frame: its kind and the intake."""
    profile = from_config.router(config).profile("udp", ip_address(source))
    ((disposition, _),) = profile.assign(read_columns(datagrams([frame]), profile.needs | {"raw"}))
    return disposition.kind, disposition.intake


def site() -> tuple[Observer, dict[str, str]]:
    observer, formats = Observer(), {}
    for message in read_mix().scaled(60).render(3000, START):
        add(observer, [message.text], message.device.address)
        formats[message.device.address] = message.device.product.format
    return observer, formats


def test_a_site_is_routed_by_its_own_capture() -> None:
    observer, formats = site()
    findings = list(find_all(observer, FindingSettings(zones=ZONES)))
    config = loaded(written(findings))
    assert {name: intake.format for name, intake in config.intakes.items()} == {name: name for name in formats.values()}
    for finding in findings:
        for frame in finding.samples:
            assert route_of(config, finding.source, frame) == ("deliver", formats[finding.source])


def test_what_is_not_identified_is_held_and_listed() -> None:
    observer = add(observed([UNKNOWN] * 20), [FORTIGATE % b"fw-1"] * 20, "10.0.0.4")
    text = written(list(find_all(observer, FindingSettings())))
    assert "192.0.2.7: 20 messages; not identified: no known product in 20 messages" in text
    assert route_of(loaded(text), "192.0.2.7", UNKNOWN) == ("hold", None)


def test_other_addresses_and_hosts_are_not_routed() -> None:
    observer = Observer()
    for address in ("10.0.0.4", "10.0.0.5", "10.0.0.6"):
        add(observer, [FORTIGATE % b"fw-1"] * 20, address)
    relay = [ASA % (stamped(number), b"asa-%d" % (number % 3)) for number in range(30)]
    add(observer, relay, "10.0.1.1")
    config = loaded(written(list(find_all(observer, FindingSettings()))))
    assert route_of(config, "10.0.0.6", FORTIGATE % b"fw-9") == ("deliver", "fortinet-fortigate")
    assert route_of(config, "10.0.0.7", FORTIGATE % b"fw-1") == ("hold", None)
    assert route_of(config, "10.0.1.1", relay[0]) == ("deliver", "cisco-secure-firewall")
    assert route_of(config, "10.0.1.1", ASA % (stamped(0), b"asa-9")) == ("hold", None)
    assert route_of(config, "10.0.1.2", relay[0]) == ("hold", None)
    assert [(str(entry.source[0]), entry.relay) for entry in config.sources if entry.relay] == [("10.0.1.1/32", True)]


def test_other_programs_of_a_host_are_held() -> None:
    config = loaded(written(findings_of([SSHD % (stamped(number), b"web-1") for number in range(20)])))
    assert route_of(config, "192.0.2.7", SSHD % (stamped(0), b"web-1")) == ("deliver", "openssh")
    assert route_of(config, "192.0.2.7", b"<78>Nov 23 07:24:00 web-1 CRON[7]: (root) CMD (true)") == ("hold", None)


@given(st.lists(st.integers(0, 600), min_size=1, max_size=200))
def test_networks_have_the_addresses_and_no_others(numbers: list[int]) -> None:
    addresses = {str(ip_address(0x0A000000 + number)) for number in numbers}
    found = [ip_network(text) for text in networks_of(sorted(addresses))]
    assert {str(address) for network in found for address in network} == addresses
    assert len(found) == len({network for network in found})


def test_zones_that_are_certain_are_set_and_others_are_comments() -> None:
    observer = Observer()
    for number, hours in enumerate((0, 1, -5, -8)):
        add(observer, [ASA % (stamped(n, hours), b"asa-%d" % number) for n in range(20)], f"10.0.0.{number}")
    text = written(list(find_all(observer, FindingSettings(zones=ZONES))))
    config = loaded(text)
    assert {str(entry.source[0].network_address): str(entry.timezone) for entry in config.sources} == {
        "10.0.0.0": "None", "10.0.0.1": "Europe/Paris", "10.0.0.2": "America/New_York", "10.0.0.3": "None",
    }  # fmt: skip
    assert "  # - {source: 10.0.0.3, timezone: America/Los_Angeles}" in text
    uncommented = text.replace("  # - {source: 10.0.0.3, t", "  - {source: 10.0.0.3, t")
    assert str(loaded(uncommented).sources[-1].timezone) == "America/Los_Angeles"


def test_a_silence_limit_of_a_day_is_valid() -> None:
    observer = add(Observer(), [FORTIGATE % b"fw-1"] * 101, "10.0.0.1", step=864)
    config = loaded(written(list(find_all(observer, FindingSettings()))))
    assert config.sources[0].alert_if_silent_for is not None
    assert config.sources[0].alert_if_silent_for.total_seconds() == 1800


def test_a_capture_without_addresses_is_routed_by_the_hosts_of_the_headers() -> None:
    observer = add(Observer(), [ASA % (stamped(n), b"asa-1") for n in range(20)], "", timed=False)
    add(observer, [FORTIGATE % b"fw-1"] * 20, "", timed=False)
    findings = list(find_all(observer, FindingSettings()))
    config = loaded(written(findings))
    assert route_of(config, "192.0.2.1", ASA % (stamped(0), b"asa-1")) == ("deliver", "cisco-secure-firewall")
    assert route_of(config, "192.0.2.1", FORTIGATE % b"fw-1") == ("hold", None)
    assert "give the sender with --from" in "".join(finding.why for finding in findings)


HOSTILE = (
    b'<189>date=2026-11-23 time=07:24:00 devname="x\ny: [" devid="FG100F7" logid="0000000013" type="traffic"'
    b' subtype="forward" level="notice" vd="root" msg="SECRETTEXT"',
    b"<86>Nov 23 07:24:00 a}b sshd[41]: Accepted publickey for SECRETTEXT from 192.0.2.31 port 50022 ssh2",
    b"<134>Nov 23 07:24:00 gw-1 CEF:0|Ex\x1b[31m\xc2\x85amp\ne: # x|Wid'get\xe2\x80\xa8|1.0|7|SECRETTEXT|3|src=1",
    b"<13>1 2026-11-23T07:24:00Z h\xc3\xa9\xff app SECRETTEXT - - SECRETTEXT",
    b"<13>Nov 23 07:24:00 h-1 x'y\": { SECRETTEXT",
)


@pytest.mark.parametrize("frame", HOSTILE)
def test_hostile_text_does_not_reach_the_file(frame: bytes) -> None:
    observer = add(observed([frame] * 20), [FORTIGATE % b"fw-1"] * 20, "10.0.0.4")
    text = written(list(find_all(observer, FindingSettings())))
    assert text.isascii()
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "SECRETTEXT" not in text
    loaded(text)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.sampled_from(HOSTILE))
def test_any_bytes_give_a_valid_configuration(tails: list[bytes], head: bytes) -> None:
    frames = [head[:cut] + tail for tail in tails for cut in (4, 20, 40, len(head))]
    observer = add(observed(frames * 2), [FORTIGATE % b"fw-1"] * 20, "10.0.0.4")
    text = written(list(find_all(observer, FindingSettings())))
    assert yaml.safe_load(text)
    loaded(text)


def test_the_plan_groups_by_product() -> None:
    observer, formats = site()
    plan: Plan = plan_of(list(find_all(observer, FindingSettings())))
    assert sorted(route.intake for route in plan.routes) == sorted(set(formats.values()))
