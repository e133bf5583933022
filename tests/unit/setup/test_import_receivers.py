"""Tests the import of ``rsyslog.conf`` and ``syslog-ng.conf``: conditions, order, listed lines, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli.import_forwarder import import_forwarder
from bridge.config import load
from bridge.setup.import_conditions import alternatives
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.import_kind import kind_of
from bridge.setup.import_result import without_secrets
from bridge.setup.rsyslog_conditions import expression_condition
from bridge.setup.rsyslog_selectors import property_filter
from bridge.setup.rsyslog_tree import parse_rsyslog
from bridge.setup.syslog_ng_filters import SyslogNgFilters
from bridge.setup.syslog_ng_tree import parse_syslog_ng

KEY, OTHER = "abcdefgh12345678", "ZYXWVUTS87654321"


def yaml_of(text: str) -> list[str]:
    """Returns the conditions of each route that an expression of rsyslog becomes."""
    return [", ".join(f"{k}: {v}" for k, v in one.as_yaml()) for one in alternatives(expression_condition(text))]


def filter_of(text: str, *, keeps_hostname: bool = True) -> list[str]:
    (statement,) = parse_syslog_ng(f"filter f {{ {text}; }};", "syslog-ng.conf")
    condition = SyslogNgFilters(keeps_hostname=keeps_hostname).condition(
        [node for one in statement[1].body or () for node in one]
    )
    return [", ".join(f"{k}: {v}" for k, v in one.as_yaml()) for one in alternatives(condition)]


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("$fromhost-ip isequal '10.0.0.1'", ['source: ["10.0.0.1"]']),
        ("$fromhost-ip startswith '10.1.'", ['source: ["10.1.0.0/16"]']),
        ('$fromhost-ip == ["10.0.0.1", "10.0.0.2"]', ['source: ["10.0.0.1", "10.0.0.2"]']),
        ("$hostname isequal 'a' or $hostname startswith 'b'", ['hostname: ["a", "b*"]']),
        ("$hostname == '10.0.0.1'", ['hostname: ["10.0.0.1"]', 'source: ["10.0.0.1"]']),
        ("$syslogtag == 'sshd:'", ['app_name: ["sshd"], except: {procid: ["*"]}']),
        ("$syslogtag startswith 'sshd['", ['app_name: ["sshd"], procid: ["*"]']),
        ("$syslogtag contains 'sshd'", ['app_name: ["*sshd*"]']),
        ("$app-name contains_i 'SQL' and $msg contains 'x'", ['app_name: ["*SQL*"], message: {contains: ["x"]}']),
        ("not ($programname == 'cron')", ['except: {app_name: ["cron", "cron/*"]}']),
        (
            "not ($programname == 'a' or $programname startswith 'b')",
            ['except: {app_name: ["a", "a/*", "b*"]}'],
        ),
        ("$syslogseverity <= 3", ["min_severity: err"]),
        ("$syslogseverity > 3", ["except: {min_severity: err}"]),
        ("$syslogseverity == 3", ["min_severity: err, max_severity: err"]),
        ("$msg startswith ' link'", ['message: {starts_with: ["link"]}']),
        (
            "($fromhost-ip == '10.0.0.1' or $app-name == 'a') and $hostname != 'h'",
            ['source: ["10.0.0.1"], except: {hostname: ["h"]}', 'app_name: ["a", "a/*"], except: {hostname: ["h"]}'],
        ),
        # rsyslog reads `and` and `or` from left to right.
        (
            "$hostname == 'h' or $hostname == 'i' and $msg contains 'x'",
            ['hostname: ["h", "i"], message: {contains: ["x"]}'],
        ),
        ("$hostname == 'h' # it's ours\n and $msg contains 'x'", ['hostname: ["h"], message: {contains: ["x"]}']),
        ("not ($hostname == 'h' and $msg contains 'x')", ['except: {hostname: ["h"], message: {contains: ["x"]}}']),
    ],
)
def test_expression_becomes_routes(text: str, routes: list[str]) -> None:
    assert yaml_of(text) == routes


@pytest.mark.parametrize(
    "text",
    [
        "$fromhost == 'a'", "$rawmsg contains 'x'", "re_extract($msg, 'x', 0, 0, '') == 'x'", "$procid contains '*'",
        "not $msg contains 'x'", "$msg contains '#011'", "$syslogtag == 'a[1]:'", "$programname == 'a/b'",
        "$hostname == 'a*'", "$fromhost-ip contains '10.'", "$fromhost-ip startswith '10.1'",
        "$!event == 4", "$hostname startswith 'a' and $hostname contains 'b'", "",
        "$msg", "(", "$msg contains", "$hostname isequal 'a' b",
        "not ($hostname == 'a') and not ($app-name == 'b')", "not " * 60 + "$msg contains 'a'",
    ],
)  # fmt: skip
def test_expression_without_counterpart_is_refused(text: str) -> None:
    with pytest.raises(NotConvertible) as raised:
        yaml_of(text)
    assert str(raised.value)


def test_older_filters() -> None:
    (one,) = alternatives(property_filter(':fromhost-ip, !isequal, "10.0.0.1"'))
    assert dict(one.as_yaml()) == {"except": '{source: ["10.0.0.1"]}'}


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("netmask(10.0.0.0/8)", ['source: ["10.0.0.0/8"]']),
        ("host('^fw-')", ['hostname: ["fw-*"]']),
        ("host('^(fw|sw)-[12]$')", ['hostname: ["fw-1", "fw-2", "sw-1", "sw-2"]']),
        ("host('^fw-[0-9]+$')", None),
        ("host('^(a|b)$')", ['hostname: ["a", "b"]']),
        ("host('fw.*paris$')", ['hostname: ["*fw*paris"]']),
        ("host(\"x\" type(string) flags(prefix)) and not (program(a) or program(b))",
         ['hostname: ["x*"], except: {app_name: ["*a*", "*b*"]}']),
        ("level(warning..emerg)", ["min_severity: warning"]),
        ("level(info)", ["min_severity: info, max_severity: info"]),
        ("level(err .. crit, debug)", ["min_severity: err, max_severity: crit", "max_severity: debug"]),
        ('"$HOST" eq "a"', ['hostname: ["a"]']),
        ('"$PID" eq ""', ['except: {procid: ["*"]}']),
        ('"$FACILITY" eq "security" and "$LEVEL" ne "debug"', ['facility: ["audit"], min_severity: info']),
        ("facility(local0..local2)", ['facility: ["local0", "local1", "local2"]']),
        ("facility(13, auth)", ['facility: ["auth", "audit"]']),
        ("message('a.b')", ['message: {matches: ["a.b"]}']),
        ("message('A' flags(ignore-case))", ['message: {matches: ["(?i)A"]}']),
        ("message('(' type(string))", ['message: {matches: ["\\\\A\\\\(\\\\z"]}']),
        ("message('a*c?' type(glob))", ['message: {matches: ["(?s)\\\\Aa.*c.\\\\z"]}']),
        ("message(x) and message(y)", ['message: {contains: ["x"], matches: ["y"]}']),
        ("match('^5$' value('PID'))", ['procid: ["5"]']),
        ("match('link' value('MESSAGE'))", ['message: {contains: ["link"]}']),
        ("message('^%ASA')", ['message: {starts_with: ["%ASA"]}']),
        ("facility(nowhere)", None),
        ('"$HOST" == "a"', None),
        ("message('(')", None),
        ("message(x) and message(y) and message(z)", None),
        ("host('10.0.0.1')", None),
        ("tags('x')", None),
        ("filter(unknown)", None),
    ],
)  # fmt: skip
def test_filter_of_syslog_ng_becomes_routes(text: str, routes: list[str] | None) -> None:
    if routes is None:
        with pytest.raises(NotConvertible):
            filter_of(text)
    else:
        assert filter_of(text) == routes


def test_address_as_host_is_the_sender_unless_host_names_are_kept() -> None:
    assert filter_of("host('^10.0.0.1$')", keeps_hostname=False) == ['source: ["10.0.0.1"]']
    assert len(filter_of('"$HOST" eq "10.0.0.1"')) == 2


@pytest.mark.parametrize("parse", [parse_rsyslog, parse_syslog_ng])
@pytest.mark.parametrize(
    "text",
    ["{" * 500, "}" * 500, "(" * 500, "if " * 300, 'input(type="', "ruleset(name=\"a\") {", "/*", '"', "'",
     "a" * 100_000, "if $msg then {" * 200, "if $msg then {\n" * 200, 'ruleset(name="a") {\n' * 200, "source s {" * 200,
     "\\\n" * 50, "&", ":a, b", "@include", "`x`", "\0", "if", "else"],
)  # fmt: skip
def test_parsers_end_on_any_text(parse: object, text: str) -> None:
    assert callable(parse)
    assert isinstance(parse(text, "file"), list)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("---\nintakes:\n- name: a\n", "forwarder"),
        ('module(load="imudp")\n', "rsyslog"),
        ("$ModLoad imudp\n", "rsyslog"),
        ("# a comment\n*.* @@host\n", "rsyslog"),
        ("@version: 3.38\n", "syslog-ng"),
        ("source s_net { udp(); };\n", "syslog-ng"),
        ("", "forwarder"),
    ],
)
def test_kind_is_recognised(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def run(folder: Path, text: str, *options: str) -> Result:
    (folder / "given.conf").write_text(text)
    argv = [str(folder / "given.conf"), "--output", str(folder / "out"), *options]
    return CliRunner().invoke(import_forwarder, argv)


RECEIVER = f"""
module(load="imudp")
input(type="imudp" port="514" ruleset="all")
input(type="imudp" port="515" ruleset="local")
input(type="imfile" file="/x")
template(name="one" type="string" string="x [SEKOIA@53288 intake_key=\\"{KEY}\\"] %rawmsg%")
template(name="two" type="string" string="x [SEKOIA@53288 intake_key=\\"{OTHER}\\"] %msg%")
ruleset(name="all") {{
  if $hostname startswith "a" then action(type="omfwd" target="intake.sekoia.io" template="one")
  foreach ($.x in $!y) do {{ stop }}
  action(type="omfwd" target="intake.sekoia.io" template="two")
  action(type="omfwd" target="intake.sekoia.io" template="one")
}}
ruleset(name="local") {{ action(type="omfile" file="/var/log/x") }}
ruleset(name="unused") {{ stop }}
"""


def test_every_line_without_counterpart_is_listed(tmp_path: Path) -> None:
    result = run(tmp_path, RECEIVER)
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "out/bridge.yaml")
    assert [(one.name, one.intake) for one in config.listeners] == [("udp-514", "two")]
    assert [(route.intake, [*route.hostname]) for route in config.routes] == [("one", ["a*"])]
    assert (config.intakes["one"].payload, config.intakes["two"].payload) == ("raw", "auto")
    lines = [line for line in result.output.splitlines() if "given.conf:" in line]
    listed = {int(line.split("given.conf:")[1].split(":")[0]) for line in lines}
    assert {4, 5, 9, 10, 12, 14, 15} <= listed
    assert KEY not in result.output and OTHER not in result.output


@pytest.mark.parametrize("kind", ["rsyslog", "syslog-ng"])
def test_file_without_a_key_is_a_fault(tmp_path: Path, kind: str) -> None:
    result = run(tmp_path, "", "--kind", kind)
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()


def test_destination_outside_the_regions_needs_a_collector(tmp_path: Path) -> None:
    text = RECEIVER.replace("intake.sekoia.io", "relay.example.org")
    result = run(tmp_path, text)
    assert result.exit_code != 0
    result = run(tmp_path, text, "--url", "https://siem.example.org")
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "out/bridge.yaml").intakes["one"].destination.url == "https://siem.example.org"


@pytest.mark.parametrize(
    "line",
    [
        'template(string="[SEKOIA@53288 intake_key=\\"MY-INTAKE-KEY\\"] %msg%")',
        "$template a,\"[SEKOIA@53288 intake_key=\\\"MY-INTAKE-KEY\\\"]\"",
        'set("MY-INTAKE-KEY" value(".SDATA.SEKOIA@53288.intake_key"));',
        'headers("X-SEKOIAIO-INTAKE-KEY: MY-INTAKE-KEY")',
        'action(type="x" password="MY-INTAKE-KEY")',
        'http(password("MY-INTAKE-KEY"))',
        'action(type="omelasticsearch" pwd="MY-INTAKE-KEY")',
        "action(type='omhttp' api_key='MY-INTAKE-KEY' token=\"MY-INTAKE-KEY\")",
        "$ActionSecret MY-INTAKE-KEY",
    ],
)  # fmt: skip
def test_listed_line_shows_no_secret(line: str) -> None:
    assert "MY-INTAKE-KEY" not in without_secrets(line)


def test_continued_rule_ends_the_rule_before_it(tmp_path: Path) -> None:
    text = f"""
$template one,"x [SEKOIA@53288 intake_key=\\"{KEY}\\"] %msg%"
$template two,"x [SEKOIA@53288 intake_key=\\"{OTHER}\\"] %msg%"
$UDPServerRun 514
if $hostname startswith 'a' then @@(o)intake.sekoia.io:10514;one
& stop
*.* @@(o)intake.sekoia.io:10514;two
"""
    result = run(tmp_path, text)
    assert result.exit_code == 0, result.output
    assert "without a stop" not in result.output
    config = load(tmp_path / "out/bridge.yaml")
    assert [route.intake for route in config.routes] == ["one"]
    assert [listener.intake for listener in config.listeners] == ["two"]


def test_include_never_takes_the_files_beside_the_main_file(tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text('input(type="imudp" port="999")\n')
    result = run(tmp_path, RECEIVER + "$IncludeConfig /nowhere/rsyslog.d/*.conf\n")
    assert result.exit_code == 0, result.output
    assert "999" not in result.output
    assert "no file was found" in result.output
