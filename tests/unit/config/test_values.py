"""Tests default values and the parsing of written values."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.config import Address, Config, ConfigurationError, Share, parse_text

MINIMAL = """
collector: {region: FRA1}
listeners: [{udp: "*:514"}, {tcp: "*:514"}]
intakes: {all: {intake_key: AbCdEf}}
unrouted: {intake: all}
spool: {directory: spool}
"""


def load_minimal(**replaced: str) -> Config:
    """Loads the minimal configuration with some keys replaced or added."""
    lines = dict(line.split(": ", 1) for line in MINIMAL.strip().splitlines())
    return parse_text("\n".join(f"{key}: {value}" for key, value in (lines | replaced).items()))


def test_minimal_configuration_has_the_defaults() -> None:
    config = parse_text(MINIMAL)
    assert config.timezone == ZoneInfo("UTC")
    assert config.max_frame_size == 250 * 1024
    assert config.oversize == "quarantine"
    collector = config.collector
    assert (collector.connections, collector.connections_per_intake, collector.max_request_rate) == (8, 4, 50)
    udp, tcp = config.listeners
    assert (udp.name, udp.kind, udp.receive_buffer, udp.allow, udp.intake) == ("udp:*:514", "udp", 16 << 20, None, None)
    assert (tcp.name, tcp.framing, tcp.max_connections, tcp.max_connections_per_peer) == ("tcp:*:514", "auto", 1000, 50)
    assert tcp.idle_timeout is None
    intake = config.intakes["all"]
    assert (intake.name, intake.payload, intake.encoding, intake.timestamp) == ("all", None, "auto", None)
    assert intake.intake_key.reveal() == "AbCdEf"
    destination = intake.destination
    assert (destination.url, destination.endpoint) == ("https://intake.sekoia.io", "/plain/batch")
    assert (destination.compression, destination.timeout) == ("gzip", timedelta(seconds=30))
    assert (config.unrouted.kind, config.unrouted.intake) == ("intake", "all")
    assert (config.batch.max_age, config.batch.max_events, config.batch.max_bytes) == (
        timedelta(seconds=2),
        20_000,
        5_000_000,
    )
    assert (config.spool.directory, config.spool.max_size, config.spool.order) == (
        Path("spool"),
        Share(80),
        "live-first",
    )
    assert config.admin.listen == Address("127.0.0.1", 8514)
    assert config.files == (Path("<text>"),)
    assert len(config.sha256) == 64


def test_unrouted_is_held_by_default() -> None:
    for written in ({}, {"unrouted": "hold"}, {"unrouted": "{hold: {}}"}):
        config = parse_text(
            MINIMAL.replace("unrouted: {intake: all}", "routes: [{intake: all}]")
            + "\n".join(f"{key}: {value}" for key, value in written.items())
        )
        assert (config.unrouted.kind, config.unrouted.intake) == ("hold", None)
        assert (config.unrouted.limits.max_size, config.unrouted.limits.max_age) == (500_000_000, timedelta(days=7))
    assert load_minimal(unrouted="drop", routes="[{intake: all}]").unrouted.kind == "drop"


def test_scalars_stay_text_where_yaml_reads_another_type() -> None:
    config = parse_text("""
collector: {region: FRA1}
listeners: [{name: 0514, udp: "*:514"}]
intakes: {no: {intake_key: 0123456789012345}, on: {intake_key: 1e3}, "2024": {intake_key: 12:30}}
routes: [{name: 12:30, intake: no, hostname: [yes, 1_000, 0x10]}, {name: true, intake: 2024, app_name: off}]
unrouted: {intake: on}
spool: {directory: 2024-08-27}
""")
    assert list(config.intakes) == ["no", "on", "2024"]
    assert [intake.intake_key.reveal() for intake in config.intakes.values()] == ["0123456789012345", "1e3", "12:30"]
    assert [(route.name, route.intake) for route in config.routes] == [("12:30", "no"), ("true", "2024")]
    assert config.routes[0].hostname == ("yes", "1_000", "0x10")
    assert config.routes[1].app_name == ("off",)
    assert config.listeners[0].name == "0514"
    assert config.spool.directory == Path("2024-08-27")


def test_anchors_and_aliases_are_resolved() -> None:
    config = parse_text("""
collector: {region: FRA1}
listeners: [{udp: "*:514", allow: &inside [10.0.0.0/8]}, {tcp: "*:514", allow: *inside}]
intakes: {all: {intake_key: k}}
unrouted: {intake: all}
spool: {directory: spool}
""")
    assert config.listeners[0].allow == config.listeners[1].allow == (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("*:514", "*", 514, "*:514"),
        ("0.0.0.0:0", "0.0.0.0", 0, "0.0.0.0:0"),
        ("[::]:514", "::", 514, "[::]:514"),
        ("[0:0::1]:6514", "::1", 6514, "[::1]:6514"),
    ],
)
def test_addresses_are_parsed_and_normalised(text: str, host: str, port: int, shown: str) -> None:
    (listener,) = load_minimal(listeners=f'[{{udp: "{text}"}}]').listeners
    assert (listener.address.host, listener.address.port, str(listener.address)) == (host, port, shown)
    assert listener.name == f"udp:{shown}"


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("*:514", "0.0.0.0:514", True),
        ("*:514", "[::1]:514", True),
        ("0.0.0.0:514", "192.0.2.1:514", True),
        ("0.0.0.0:514", "[::]:514", False),
        ("192.0.2.1:514", "192.0.2.2:514", False),
        ("*:514", "*:515", False),
        ("*:0", "*:0", False),
    ],
)
def test_conflicting_listener_addresses_are_a_fault(one: str, other: str, clash: bool) -> None:
    listeners = f'[{{name: a, tcp: "{one}"}}, {{name: b, tcp: "{other}"}}]'
    if clash:
        with pytest.raises(ConfigurationError, match="port is used by the listener"):
            load_minimal(listeners=listeners)
    else:
        assert len(load_minimal(listeners=listeners).listeners) == 2


def test_keys_of_an_intake_override_those_of_the_collector() -> None:
    config = parse_text("""
collector: {url: "https://intake.example:8443/api/", compression: gzip, timeout: 5s}
listeners: [{udp: "*:514"}]
intakes:
  own: {intake_key: k, region: SGP1, compression: none}
  local: {intake_key: k, url: "http://[::1]:8080"}
  all: {intake_key: k}
unrouted: {intake: all}
spool: {directory: spool}
""")
    own, local, shared = (intake.destination for intake in config.intakes.values())
    assert (own.url, own.compression) == ("https://intake.sgp1.sekoia.io/api/v1/intake-http", "none")
    assert local.url == "http://[::1]:8080"
    assert (shared.url, shared.compression) == ("https://intake.example:8443/api", "gzip")
    assert shared.timeout == own.timeout == timedelta(seconds=5)


def test_ca_files_of_an_intake_replace_those_of_the_collector(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    config = parse_text(
        MINIMAL.replace("{region: FRA1}", "{region: FRA1, extra_ca_file: a.pem}").replace(
            "intakes: {", "intakes: {own: {intake_key: k, ca_file: a.pem}, "
        ),
        str(tmp_path / "bridge.yaml"),
    )
    own, shared = config.intakes["own"].destination, config.intakes["all"].destination
    assert (own.ca_file, own.extra_ca_file) == (tmp_path / "a.pem", None)
    assert (shared.ca_file, shared.extra_ca_file) == (None, tmp_path / "a.pem")


def test_configured_values_limit_related_defaults() -> None:
    assert load_minimal(collector="{region: FRA1, connections: 2}").collector.connections_per_intake == 2
    assert load_minimal(batch="{timestamp_resolution: 5m}").batch.backlog_timestamp_resolution == timedelta(minutes=5)
    assert load_minimal(listeners='[{tcp: "*:514", max_connections: 3}]').listeners[0].max_connections_per_peer == 3


def test_conditions_of_a_route_are_parsed() -> None:
    (route, other) = load_minimal(
        routes="[{intake: all, source: 192.0.2.7, message: {starts_with: a, contains: [b, c]}, timezone: Asia/Tokyo,"
        " timestamp: none, min_severity: 0}, {drop: true, min_severity: emergency}]"
    ).routes
    assert (route.name, other.name) == ("route-1", "route-2")
    assert route.message is not None
    assert (route.message.starts_with, route.message.contains) == (("a",), ("b", "c"))
    assert (route.timezone, route.timestamp, route.min_severity) == (ZoneInfo("Asia/Tokyo"), "none", 0)
    assert (other.drop, other.min_severity, other.message, other.except_) == (True, 0, None, None)


def test_networks_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "firewalls").write_text("# ours\n192.0.2.7\n\n 2001:db8::/64 # lab\n")
    config = parse_text(
        MINIMAL + "routes: [{intake: all, source: [10.0.0.1, {file: firewalls}]}]\n", str(tmp_path / "bridge.yaml")
    )
    assert [str(network) for network in config.routes[0].source] == ["10.0.0.1/32", "192.0.2.7/32", "2001:db8::/64"]


def test_configuration_is_immutable() -> None:
    config = parse_text(MINIMAL)
    with pytest.raises(Exception, match="frozen"):
        config.batch.max_events = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        config.max_frame_size = 1  # type: ignore[misc]


@pytest.mark.parametrize("written", ["514", '"514"', '":514"', "'*:514'"])
def test_port_alone_listens_on_all_addresses(written: str) -> None:
    (listener,) = load_minimal(listeners=f"[{{udp: {written}}}]").listeners
    assert listener.udp == Address("*", 514) and listener.full_name == "udp:*:514"


def test_spool_directory_is_that_of_the_package_by_default() -> None:
    without_spool = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith("spool"))
    for text in (without_spool, without_spool + "\nspool: {max_size: 1GB}\n"):
        assert parse_text(text).spool.directory == Path("/var/lib/syslog-bridge/spool")
