"""Tests what ``import`` reads from the forwarder's environment, compose file and ``extended_conf``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli.import_forwarder import import_forwarder
from bridge.config import Config, load

KEY, OTHER, THIRD = "abcdefgh12345678", "ZYXWVUTS87654321", "thirdkey00000003"
ENTRY = f"{{name: fw, protocol: udp, port: 514, intake_key: {KEY}}}"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(folder: Path, compose: str | None, *options: str, entries: str = ENTRY, **files: str) -> Result:
    write(folder, {"intakes.yaml": f"intakes: [{entries}]\n", **files})
    if compose is not None:
        write(folder, {"docker-compose.yml": compose})
    argv = [str(folder / "intakes.yaml"), "--output", str(folder / "out"), *options]
    return CliRunner().invoke(import_forwarder, argv)


def environment(*settings: str) -> str:
    return f"services: {{rsyslog: {{environment: [{', '.join(settings)}]}}}}\n"


def config_of(folder: Path, result: Result) -> Config:
    assert result.exit_code == 0, result.output
    return load(folder / "out/bridge.yaml", secrets=False)


def template(name: str, key: str, text: str = "%msg%") -> str:
    header = "<%pri%>1 %timegenerated:::date-rfc3339% %hostname% %app-name% %procid% LOG"
    string = f'{header} [SEKOIA@53288 intake_key=\\"{key}\\"] {text}\\n'
    return f'template(name="{name}" type="string" string="{string}")\n'


def forward(name: str, host: str = "intake.sekoia.io") -> str:
    return f'action(name="a" type="omfwd" protocol="tcp" target="{host}" port="10514" Template="{name}")'


# --- region ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("intake.sgp1.sekoia.io", "https://intake.sgp1.sekoia.io/api/v1/intake-http"),
        ("intake.sekoia.io", "https://intake.sekoia.io"),
        ("intake.new1.sekoia.io", "https://intake.new1.sekoia.io/api/v1/intake-http"),
        ("siem.example.org", "https://siem.example.org/api/v1/intake-http"),
    ],
)
def test_endpoint_of_region_other_is_the_collector(tmp_path: Path, endpoint: str, url: str) -> None:
    result = run(tmp_path, environment("REGION=OTHER", f"ENDPOINT={endpoint}"))
    config = config_of(tmp_path, result)
    assert config.intakes["fw"].destination.url == url
    assert f"TCP 443 to {endpoint}" in result.output


@pytest.mark.parametrize("settings", [["REGION=OTHER"], ["REGION=OTHER", "ENDPOINT=a b"], ["REGION=FRA9"]])
def test_unknown_region_is_a_fault_with_its_place(tmp_path: Path, settings: list[str]) -> None:
    result = run(tmp_path, environment(*settings))
    assert result.exit_code == 2
    assert "docker-compose.yml:1:" in result.stderr
    assert "--region" in result.stderr and "--url" in result.stderr
    assert not (tmp_path / "out").exists()


def test_region_and_url_options_replace_the_region(tmp_path: Path) -> None:
    compose = environment("REGION=OTHER")
    assert config_of(tmp_path, run(tmp_path, compose, "--region", "mco1")).collector.region == "MCO1"
    result = run(tmp_path, compose, "--url", "https://siem.example.org/in", "--force")
    assert config_of(tmp_path, result).intakes["fw"].destination.url == "https://siem.example.org/in"
    both = run(tmp_path, compose, "--url", "https://siem.example.org", "--region", "FRA1", "--force")
    assert both.exit_code == 2


def test_unreadable_compose_file_is_a_fault(tmp_path: Path) -> None:
    result = run(tmp_path, "services: {a: {environment: [REGION=MCO1}\n")
    assert result.exit_code == 2
    assert "docker-compose.yml:" in result.stderr


# --- environment and ports ------------------------------------------------------------------------------------------


def test_env_file_is_read_and_environment_replaces_it(tmp_path: Path) -> None:
    compose = (
        "services: {rsyslog: {env_file: [one.env, {path: two.env, required: false}], environment: {REGION: UAE1}}}\n"
    )
    settings = "# settings\nREGION=FRA2\nexport DISK_SPACE='100g'\nMEMORY_MESSAGES=2000000 # RAM\nRELP_OUTPUT=True\n"
    result = run(tmp_path, compose, **{"one.env": settings})
    config = config_of(tmp_path, result)
    assert (config.collector.region, config.spool.max_size) == ("UAE1", 100 << 30)
    assert "MEMORY_MESSAGES is not needed" in result.output
    assert "RELP on TCP 11514" in result.output


def test_missing_env_file_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "services: {rsyslog: {env_file: forwarder.env}}\n")
    assert "forwarder.env (env_file of the compose file) was not read" in result.output


def test_large_env_file_is_not_read(tmp_path: Path) -> None:
    result = run(tmp_path, "services: {rsyslog: {env_file: big.env}}\n", **{"big.env": "REGION=FRA2\n" * (1 << 19)})
    assert config_of(tmp_path, result).collector.region == "FRA1"
    assert "big.env (env_file of the compose file) was not read" in result.output


def test_variables_of_the_env_file_beside_are_replaced(tmp_path: Path) -> None:
    compose = environment('"REGION=${ZONE:-FRA1}"', '"DISK_SPACE=${SIZE:-10g}"')
    result = run(tmp_path, compose, **{".env": "ZONE=USA1\n"})
    config = config_of(tmp_path, result)
    assert (config.collector.region, config.spool.max_size) == ("USA1", 10 << 30)


def test_long_and_short_ports_give_address_and_port(tmp_path: Path) -> None:
    compose = """services:
  rsyslog:
    environment: [REGION=FRA1]
    ports:
      - {target: 20516, published: "514", protocol: udp, host_ip: 192.0.2.7, mode: host}
      - {target: 20517, published: 1514, protocol: tcp}
      - target: 20518
        published: 6514
        host_ip: "2001:db8::7"
      - "127.0.0.1:601:20519/tcp"
      - "8080"
"""
    entries = ", ".join(
        f"{{name: n{port}, protocol: {'udp' if port == 20516 else 'tcp'}, port: {port}, intake_key: {KEY}}}"
        for port in range(20516, 20521)
    )
    result = run(tmp_path, compose, entries=entries)
    config = config_of(tmp_path, result)
    assert [(one.kind, str(one.address)) for one in config.listeners] == [
        ("udp", "192.0.2.7:514"),
        ("tcp", "*:1514"),
        ("tcp", "[2001:db8::7]:6514"),
        ("tcp", "127.0.0.1:601"),
        ("tcp", "*:20520"),
    ]
    assert "does not publish tcp 20520" in result.output
    assert "a port of the compose file was not read: 8080" in result.output


def test_all_keys_of_an_entry_are_carried_over_or_named(tmp_path: Path) -> None:
    entries = (
        f"{{name: fw, protocol: tls, port: 6514, intake_key: {KEY}, debug: true, queue_size: 5000, tls_key_name: gw,"
        " tls_cert_name: gw, tls_ca_name: ca}"
    )
    result = run(tmp_path, None, entries=entries)
    (listener,) = config_of(tmp_path, result).listeners
    assert (listener.kind, str(listener.address)) == ("tls", "*:6514")
    assert "copy tls/gw.crt, tls/gw.key" in result.output
    for words in ("queue_size is not needed", "tls_ca_name is not needed", "debug is not imported"):
        assert words in result.output


# --- extended_conf --------------------------------------------------------------------------------------------------

SHARED = (
    template("Tmpl_PaloAlto", OTHER)
    + template("Tmpl_Rest", THIRD)
    + f"""
input(type="imtcp" port="514" ruleset="tcp514")
input(type="imudp" port="514" ruleset="tcp514")
ruleset(name="tcp514") {{
    if ($fromhost-ip isequal "192.168.10.5") then {{
        {forward("Tmpl_PaloAlto")}
        stop
    }}
    if ($syslogtag startswith "%ASA-") then {{ {forward("Tmpl_PaloAlto")} stop }}
    if ($hostname contains_i "SW-") then {{ {forward("Tmpl_PaloAlto")} stop }}
    if ($msg contains_i "asa") then {{ {forward("Tmpl_PaloAlto")} stop }}
    if ($msg contains "threat") then {{ {forward("Tmpl_PaloAlto")} stop }}
    {forward("Tmpl_Rest")}
}}
"""
)
COMPOSE = """services:
  rsyslog:
    image: ghcr.io/sekoia-io/sekoiaio-docker-concentrator:2.7.2
    environment: [REGION=FRA1]
    ports: ["514:514", "5140:514/udp"]
    volumes: ["./rules:/extended_conf"]
"""


def test_rules_of_a_shared_port_become_routes(tmp_path: Path) -> None:
    entries = f"{{name: fw, protocol: tcp, port: 20516, intake_key: {KEY}}}"
    result = run(tmp_path, COMPOSE, entries=entries, **{"rules/port514.conf": SHARED})
    config = config_of(tmp_path, result)
    assert [(one.kind, str(one.address), one.intake) for one in config.listeners] == [
        ("tcp", "*:20516", "fw"),
        ("tcp", "*:514", "rest"),
        ("udp", "*:5140", "rest"),
    ]
    routes = [
        (route.intake, [*map(str, route.source)], [*route.app_name], [*route.hostname], route.message)
        for route in config.routes
    ]
    assert [route[:4] for route in routes] == [
        ("palo-alto", ["192.168.10.5/32"], [], []),
        ("palo-alto", [], ["%ASA-*"], []),
        ("palo-alto", [], [], ["*SW-*"]),
        ("palo-alto", [], [], []),
        ("palo-alto", [], [], []),
    ]
    assert [*map(str, routes[3][4].matches)] == ["(?i)asa"]
    assert [*routes[4][4].contains] == ["threat"]
    assert {tuple(route.listener) for route in config.routes} == {("tcp-514", "udp-514")}
    keys = {name: (tmp_path / "out/keys" / name).read_text().strip() for name in config.intakes}
    assert keys == {"fw": KEY, "palo-alto": OTHER, "rest": THIRD}
    assert "port514.conf:" not in result.output


def test_key_of_an_entry_and_of_a_rule_is_one_intake(tmp_path: Path) -> None:
    result = run(tmp_path, COMPOSE, entries=ENTRY.replace("514", "20514"), **{
        "rules/a.conf": SHARED.replace(OTHER, KEY)})  # fmt: skip
    assert set(config_of(tmp_path, result).intakes) == {"fw", "rest"}


def test_port_in_both_places_is_a_fault(tmp_path: Path) -> None:
    compose = environment("REGION=FRA1")
    result = run(tmp_path, compose, **{"extended_conf/a.conf": SHARED})
    assert result.exit_code == 2
    assert "intakes.yaml:1:11: port: extended_conf listens on udp 514 too" in result.stderr


def test_other_region_of_a_rule_is_that_of_its_intake(tmp_path: Path) -> None:
    rules = SHARED.replace("intake.sekoia.io", "intake.fra2.sekoia.io")
    result = run(tmp_path, COMPOSE, entries="", **{"rules/a.conf": rules})
    config = config_of(tmp_path, result)
    assert config.collector.region == "FRA1"
    assert {intake.destination.url for intake in config.intakes.values()} == {
        "https://intake.fra2.sekoia.io/api/v1/intake-http"
    }


def test_unknown_host_of_a_rule_is_a_fault(tmp_path: Path) -> None:
    rules = SHARED.replace("intake.sekoia.io", "relay.example.org")
    result = run(tmp_path, COMPOSE, **{"rules/a.conf": rules})
    assert result.exit_code == 2
    assert "the destination relay.example.org is not a region's" in result.stderr


def test_no_key_of_extended_conf_is_shown(tmp_path: Path) -> None:
    # Lines that are not carried over and hold a key.
    rules = SHARED + (
        f'template(name="x" string="intake_key=\\"{THIRD}\\" %msg%")\n'
        'action(type="omfwd" target="10.0.0.1" template="x" password="hunter2")\n'
        'set $.intake_key = "MY-INTAKE-KEY";\n'
    )
    result = run(tmp_path, COMPOSE, entries="", **{"rules/a.conf": rules})
    config_of(tmp_path, result)
    shown = result.output + (tmp_path / "out/bridge.yaml").read_text()
    for secret in (OTHER, THIRD, "hunter2"):
        assert secret not in shown
