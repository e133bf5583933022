"""Tests that usual mistakes of a first day are answered with the place, the fault and the remedy.

Each row of the table changes one text of a valid configuration. ``check`` must report exactly one line: at the changed
place, with what is wrong and what to write or to run instead.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from bridge.cli.main import main
from bridge.spool.quarantine_entry import QuarantineEntry
from tests.harness.pki import Authority
from tests.harness.ports import free_port

VALID = """\
collector: {region: FRA1}
timezone: Europe/Paris
listeners:
  - {name: udp, udp: "127.0.0.1:UDP"}
  - {name: tcp, tcp: "127.0.0.1:TCP"}
sources:
  - {source: 10.9.0.1, timezone: Europe/Berlin}
intakes:
  firewalls: {intake_key: {file: keys/firewalls}, format: fortigate}
  linux: {intake_key: {file: keys/linux}}
routes:
  - {name: firewalls, intake: firewalls, source: 10.1.0.0/16}
  - {name: rest, intake: linux, source: 10.0.0.0/8}
unrouted: hold
spool: {directory: spool}
admin: {listen: "127.0.0.1:ADMIN"}
"""


class Mistake(NamedTuple):
    """A change of the valid configuration, and the answer to it."""

    name: str
    before: str
    after: str
    place: str
    "The part of the changed text to which line and column point."
    fault: str
    remedy: str
    code: int = 2


MISTAKES = (
    Mistake("tab", "  - {name: udp", "\t- {name: udp", "\t- ", "YAML does not allow tabs", "Use spaces"),
    Mistake(
        "indentation", "  linux:", "   linux:", "linux", "is not aligned with the lines before it",
        "Correct the indentation",
    ),
    Mistake(
        "no space after a colon", "{name: rest", "{name:rest", "name:rest", "a space is missing",
        "Write name: VALUE",
    ),
    Mistake("star without quotes", '"127.0.0.1:UDP"', "*:514", "*:514", "needs quotes", 'for example "*:514"'),
    Mistake(
        "key twice", "unrouted: hold", "unrouted: hold\nunrouted: drop", "unrouted: drop", "is given twice",
        "Remove one",
    ),
    Mistake("misspelt key", "unrouted: hold", "unroutd: hold", "unroutd", "unknown key", "did you mean unrouted?"),
    Mistake(
        "misspelt list", "listeners:", "listener:", "listener:", "unknown key 'listener'", "did you mean listeners?",
    ),
    Mistake(
        "name to fill in", "intake: linux, source", "intake: INTAKE, source", "INTAKE", "INTAKE stands for a name",
        "Write the name of an intake",
    ),
    Mistake(
        "certificate is missing", 'tcp: "127.0.0.1:TCP"', 'tls: "127.0.0.1:TCP", cert_file: a.pem, key_file: a.key',
        "a.pem", "No such file or directory", "Correct the path, or install the file with ",
    ),
    Mistake(
        "key in place of a certificate", 'tcp: "127.0.0.1:TCP"',
        'tls: "127.0.0.1:TCP", cert_file: keys/linux, key_file: keys/linux', "keys/linux",
        "holds no readable PEM certificate", "Name a file that has the line -----BEGIN CERTIFICATE-----",
    ),
    Mistake("unknown region", "FRA1", "EU1", "EU1", "unknown value 'EU1'", "Write FRA1, FRA2, MCO1"),
    Mistake(
        "URL without scheme", "region: FRA1", "url: intake.sekoia.io", "intake.sekoia.io", "invalid URL",
        "Write https://HOST",
    ),
    Mistake(
        "key file is missing", "keys/linux", "keys/linus", "intake_key", "No such file or directory",
        "sudo install -m 0600 /dev/stdin ",
    ),
    Mistake(
        "path in place of the key", "{file: keys/linux}", "keys/linux", "intake_key", "this is a path, not a key",
        "Write intake_key: {file: PATH}",
    ),
    Mistake(
        "key in place of its file", "{file: keys/linux}", "{file: SecretKey1234567}", "intake_key",
        "No such file or directory", "write it to a file, and write {file: PATH}",
    ),
    Mistake(
        "dollar before a variable", "{file: keys/linux}", "{env: $LINUX_KEY}", "intake_key",
        "invalid name of an environment variable", "without $",
    ),
    Mistake(
        "key of another intake", "keys/linux", "keys/firewalls", "linux", "has the same key as intake firewalls",
        "Give each intake the key from its own page", 0,
    ),
    Mistake(
        "host name to listen on", "127.0.0.1:UDP", "gw.example.org:514", '"gw.', "is not an IP address",
        'for example "*:514"',
    ),
    Mistake(
        "one port twice", 'tcp: "127.0.0.1:TCP"', 'udp: "127.0.0.1:UDP"', '"127.0.0.1:UDP"',
        "the port is used by the listener at", "Choose another port",
    ),
    Mistake(
        "TLS without certificate", 'tcp: "127.0.0.1:TCP"', 'tls: "127.0.0.1:TCP", key_file: keys/linux',
        '"127.0.0.1:TCP"', "cert_file is missing", "PATH of a PEM file",
    ),
    Mistake(
        "name as a source", "10.1.0.0/16", "fw.example.org", "fw.example.org", "is not an address or network",
        "Host names belong in hostname",
    ),
    Mistake("host bits", "10.1.0.0/16", "10.1.2.3/16", "10.1.2.3/16", "has host bits set", "Write 10.1.0.0/16"),
    Mistake(
        "unknown intake", "intake: firewalls,", "intake: firewall,", "firewall,", "unknown intake",
        "did you mean firewalls?",
    ),
    Mistake(
        "wide route first", "10.1.0.0/16", "0.0.0.0/0", "{name: rest", "route rest never matches", "Move it up", 0,
    ),
    Mistake(
        "vendor as format", "fortigate", "fortinet", "fortinet", "unknown format",
        "did you mean one of fortinet-fortigate",
    ),
    Mistake(
        "payload of an endpoint", "format: fortigate", "payload: plain", "plain", "unknown value",
        "Write message, auto",
    ),
    Mistake(
        "abbreviated zone", "Europe/Berlin", "CEST", "CEST", "is an abbreviation, not a zone",
        "Write one of its places",
    ),
    Mistake(
        "offset as zone", "Europe/Paris", '"+02:00"', '"+02:00"', "is an offset, not a zone",
        "Write the place of the devices",
    ),
    Mistake(
        "size in words", "{directory: spool}", "{directory: spool, max_size: 10 Gigabyte}", "10 G", "invalid size",
        "for example 10GB",
    ),
    Mistake("intake for the rest", "unrouted: hold", "unrouted: linux", "linux", "unknown value", "{intake: NAME}"),
)  # fmt: skip


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("UDP", "TCP", "ADMIN")}


def filled(text: str, ports: dict[str, int]) -> str:
    for name, port in ports.items():
        text = text.replace(name, str(port))
    return text


@pytest.fixture
def file(tmp_path: Path, ports: dict[str, int]) -> Path:
    """Writes the valid configuration with its keys."""
    (tmp_path / "keys").mkdir()
    for name in ("firewalls", "linux"):
        (tmp_path / "keys" / name).write_text(name[0] * 16)
        (tmp_path / "keys" / name).chmod(0o600)
    written = tmp_path / "bridge.yaml"
    written.write_text(filled(VALID, ports))
    return written


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_the_configuration_of_the_table_is_valid(file: Path) -> None:
    result = run("check", "-c", str(file), "--strict")
    assert (result.exit_code, len(result.output.splitlines())) == (0, 1), result.output


def positions(text: str, part: str) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(text.splitlines(), 1):
        if part in line:
            yield number, line.index(part) + 1


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_mistake_is_answered_with_place_fault_and_remedy(mistake: Mistake, file: Path, ports: dict[str, int]) -> None:
    valid = file.read_text()
    before, after = filled(mistake.before, ports), filled(mistake.after, ports)
    assert valid.count(before) >= 1
    wrong = valid.replace(before, after, 1)
    file.write_text(wrong)
    result = run("check", "-c", str(file))
    assert result.exit_code == mistake.code, result.output
    line = result.output.splitlines()[0]
    assert len(result.output.splitlines()) == 1 + (mistake.code == 0), result.output
    places = [f"{file}:{line}:{column}: " for line, column in positions(wrong, filled(mistake.place, ports))]
    assert any(line.startswith(place) for place in places), (line, places)
    assert mistake.fault in line
    assert mistake.remedy in line
    assert "SecretKey" not in result.output
    # With --strict, a warning fails as an error does.
    assert run("check", "-c", str(file), "--strict").exit_code == 2


def test_port_of_another_program_is_answered_with_program_and_process(file: Path, ports: dict[str, int]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", ports["UDP"]))
        result = run("check", "-c", str(file))
        strict = run("check", "-c", str(file), "--strict")
    assert (result.exit_code, strict.exit_code) == (0, 2)
    line = result.output.splitlines()[0]
    assert line.startswith(f"{file}:4:22: warning: udp port {ports['UDP']} is in use by ")
    assert f"(process {os.getpid()}). Stop that process, or use another port." in line


@pytest.mark.parametrize(
    ("words", "code", "fault", "remedy"),
    [
        (("check", "-c", "nowhere.yaml"), 2, "nowhere.yaml:1:1: cannot read the file", "Run sudo syslog-bridge setup"),
        (("chek",), 2, "No such command 'chek'", "Did you mean 'check'?"),
        (("check", "--conect"), 2, "No such option", "--connect"),
        (("reload", "-c", "FILE"), 1, "the bridge has never run", "systemctl start syslog-bridge"),
        (("status", "-c", "FILE"), 1, "the bridge has never run", "systemctl start syslog-bridge"),
        (("tail", "-c", "FILE"), 1, "the bridge has never run", "systemctl start syslog-bridge"),
        (("check", "-c", "."), 2, ".:1:1: cannot read the file: Is a directory", "such as bridge.yaml"),
        (("key", "set", "lunix", "-c", "FILE"), 2, "there is no intake lunix", "The intakes are firewalls, linux"),
        (("send", "--to", "127.0.0.1:514", "x"), 2, "invalid target", "Write udp://192.0.2.1:514"),
        (("explain", "--from", "firewall", "-c", "FILE"), 2, "is not an IP address", "such as 192.0.2.7"),
        (("tail", "--count", "x", "-c", "FILE"), 2, "'x' is not a valid whole number", "'-n' / '--count'"),
        (("reload", "--confirm", "5", "-c", "FILE"), 2, "the unit is missing", "Write 5s for seconds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistyped_command_is_answered_with_fault_and_remedy(
    file: Path, words: tuple[str, ...], code: int, fault: str, remedy: str
) -> None:
    result = run(*(str(file) if word == "FILE" else word for word in words))
    assert result.exit_code == code, result.output
    assert fault in result.output and remedy in result.output, result.output


def test_certificate_that_has_expired_or_expires_soon_is_a_warning(file: Path, ports: dict[str, int]) -> None:
    authority = Authority(file.parent)
    now = datetime.now(UTC)
    dates = {"expired": (-60, -1), "soon": (-60, 5), "early": (5, 60), "good": (-1, 60)}
    for name, (begin, end) in dates.items():
        authority.issue(name, not_before=now + timedelta(days=begin), not_after=now + timedelta(days=end))
    listener = f'{{name: tcp, tcp: "127.0.0.1:{ports["TCP"]}"}}'
    found = {}
    for name in dates:
        secure = f'{{name: tls, tls: "127.0.0.1:{ports["TCP"]}", cert_file: {name}.crt, key_file: {name}.key}}'
        file.write_text(file.read_text().replace(listener, secure))
        result = run("check", "-c", str(file))
        assert result.exit_code == 0, result.output
        ((line, column),) = positions(file.read_text(), f"{name}.crt")
        place = f"{file}:{line}:{column}: warning: cert_file: {file.parent}/{name}.crt "
        found[name] = [text.removeprefix(place) for text in result.output.splitlines()[:-1]]
        listener = secure
    begin = now + timedelta(days=5)
    assert found == {
        "expired": ["has expired and clients reject it. Renew it, then reload."],
        "soon": ["expires in 4 days. Renew it, then reload."],
        "early": [f"is valid from {begin:%Y-%m-%d %H:%M} UTC on. Check the clock of this machine."],
        "good": [],
    }


@pytest.fixture
def stopped(file: Path) -> Path:
    """Adds the spool of a bridge that does not run."""
    spool = file.parent / "spool"
    spool.mkdir()
    (spool / "format").write_text("1\n")
    (spool / "lock").write_text("1\n")
    return file


def test_tail_without_a_running_bridge_says_how_to_start_it(stopped: Path) -> None:
    result = run("tail", "-c", str(stopped))
    assert (result.exit_code, result.stderr) == (
        1, "tail: no bridge is running. Start it with systemctl start syslog-bridge\n",
    )  # fmt: skip


def test_command_that_fails_is_named_as_it_was_typed(stopped: Path) -> None:
    for words in (
        ("spool", "move", "--intake", "linux", "--to", "lunix", "--yes"),
        ("replay", "--intake", "linux", "--since", "-1h", "--yes"),
    ):
        result = run(*words, "-c", str(stopped))
        assert result.exit_code == 1
        typed = " ".join(word for word in words[:2] if not word.startswith("-"))
        assert result.stderr.startswith(f"{typed}: "), result.stderr


def test_reload_of_a_configuration_with_errors_says_that_nothing_was_changed(stopped: Path) -> None:
    stopped.write_text(stopped.read_text().replace("unrouted: hold", "unroutd: hold"))
    result = run("reload", "-c", str(stopped))
    assert result.exit_code == 2
    assert result.stderr.endswith("reload: nothing was changed. A running bridge keeps its configuration\n")


def held(spool: Path, *senders: tuple[str, str]) -> None:
    folder = spool / ".quarantine" / "unrouted"
    folder.mkdir(parents=True)
    entries = [QuarantineEntry(1795415040000, name, peer, b"<13>app: x", "no route") for name, peer in senders]
    (folder / f"1795415040000000-{len(entries)}.jsonl").write_bytes(b"".join(entry.line() for entry in entries))


def test_route_of_a_sender_at_two_listeners_is_suggested_once(stopped: Path) -> None:
    held(stopped.parent / "spool", ("udp", "192.0.2.7"), ("tcp", "192.0.2.7"), ("udp", "192.0.2.8"))
    found = run("unrouted", "list", "-c", str(stopped)).stdout
    assert found.count('- name: "from-192.0.2.7"') == 1
    assert found.count("The route above for this address also takes these messages.") == 1
    assert found.count('- name: "from-192.0.2.8"') == 1


def test_dry_run_of_a_reroute_tells_what_the_routes_take(stopped: Path) -> None:
    held(stopped.parent / "spool", ("udp", "10.1.0.1"), ("udp", "10.2.0.1"), ("udp", "10.3.0.1"), ("udp", "192.0.2.8"))
    words = ("unrouted", "reroute", "-c", str(stopped))
    expected = "  1 to intake firewalls\n  2 to intake linux\n  1 still held\n"
    assert run(*words, "--dry-run").stdout == (
        f"would route 3 frames by the routes of the configuration file\n{expected}"
    )
    of_one = run(*words, "--dry-run", "--source", "192.0.2.8", "--output", "json").stdout
    assert json.loads(of_one) == {
        "dry_run": True, "frames": 0, "counts": {}, "moved": {}, "filtered": 0, "stayed": 1,
    }  # fmt: skip
    assert run(*words).stdout == expected.replace("  ", "")
    assert run(*words, "--dry-run").stdout.startswith("would route 0 frames"), "the first dry run changed nothing"
