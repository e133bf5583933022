"""Tests ``syslog-bridge discover``: findings of a capture, the written files, and what it refuses."""

import json
import re

import pytest
from click.testing import CliRunner

from bridge.cli import discover_input
from bridge.cli.discover import discover
from bridge.cli.main import main
from bridge.cli.test import test as run_test
from bridge.config import linted, load
from tests.harness.captures import CONFIGURATION, datagram, linked, packet, pcap, segment
from tests.harness.discovering import ASA, FORTIGATE, UNKNOWN, stamped

FRAMES = [
    *((ASA % (stamped(number), b"asa-1"), "192.0.2.1") for number in range(0, 60, 3)),
    *((FORTIGATE % b"fw-1", "192.0.2.2") for _ in range(20)),
    *((UNKNOWN, "192.0.2.3") for _ in range(20)),
]


@pytest.fixture
def run(tmp_path):
    def discovered(data, *options, code=0, name="capture", stdin=None):
        path = "-"
        if data is not None:
            path = tmp_path / name
            path.write_bytes(data)
        result = CliRunner().invoke(
            discover, ["--capture", str(path), *options], input=stdin, catch_exceptions=False
        )  # fmt: skip
        assert result.exit_code == code, result.output
        return result

    return discovered


def site():
    return pcap([linked(packet(datagram(frame), source)) for frame, source in FRAMES])


def keys_filled(config_file):
    """Writes a key for each intake, as the printed commands would."""
    for number, path in enumerate(sorted(set(re.findall(r"keys/[a-z0-9-]+", config_file.read_text())))):
        key = config_file.parent / path
        key.write_text(f"{number:016}\n")
        key.chmod(0o600)


def test_findings_of_a_capture_as_text_and_json(run):
    text = run(site()).stdout
    assert "192.0.2.1 asa-1: Cisco ASA, FTD, Firepower (100%) -> cisco-secure-firewall" in text
    assert "192.0.2.3 pump-7: unknown, held" in text
    assert "2 of 3 identified with a text format, 0 by fewer than 20 messages" in text
    found = json.loads(run(site(), "--output", "json").stdout)
    assert (found["messages"], found["senders"]) == (60, 3)
    assert {each["source"]: each["format"] for each in found["findings"]} == {
        "192.0.2.1": "cisco-secure-firewall", "192.0.2.2": "fortinet-fortigate", "192.0.2.3": None
    }  # fmt: skip
    assert found["findings"][0]["transports"] == ["udp 514"]


def test_the_written_configuration_passes_check_and_test(run, tmp_path):
    target = tmp_path / "new" / "bridge.yaml"
    given = ("--write", str(target), "--region", "FRA1", "--timezone", "UTC", "--spool", str(tmp_path / "spool"))
    output = run(site(), *given).stdout
    assert f"syslog-bridge key set -c {target} fortinet-fortigate" in output
    assert "configuration is valid: 1 listener, 2 intakes, 2 routes, 3 source entries; unrouted: hold" in output
    keys_filled(target)
    config, warnings = linted(target)
    assert warnings == []
    assert [listener.full_name for listener in config.listeners] == ["udp"]
    samples = target.with_name("bridge.samples")
    assert samples.stat().st_mode & 0o777 == 0o600
    tested = CliRunner().invoke(run_test, ["-c", str(target), str(samples)])
    assert tested.output == "15 of 15 samples match their expectations\n"
    recorded = CliRunner().invoke(run_test, ["-c", str(target), "--record", str(tmp_path / "capture")])
    intakes = {re.search(r'"intake": ("[a-z-]+"|null)', line)[1] for line in recorded.stdout.splitlines()[1:]}
    assert intakes == {'"cisco-secure-firewall"', '"fortinet-fortigate"', "null"}


def test_nothing_is_written_over(run, tmp_path):
    target = tmp_path / "bridge.yaml"
    target.write_text("mine")
    assert "already exists" in run(site(), "--write", str(target), "--region", "FRA1", code=1).stderr
    assert target.read_text() == "mine"
    (tmp_path / "other.samples").write_text("mine")
    result = run(site(), "--write", str(tmp_path / "other.yaml"), "--region", "FRA1", code=1)
    assert "other.samples already exists" in result.stderr
    assert not (tmp_path / "other.yaml").exists()


def test_the_region_is_not_guessed(run, tmp_path):
    result = run(site(), "--write", str(tmp_path / "bridge.yaml"), code=2)
    assert "the region of the collector is not guessed" in result.stderr


def test_nothing_identified_writes_nothing(run, tmp_path):
    data = (UNKNOWN + b"\n") * 20
    result = run(data, "--write", str(tmp_path / "bridge.yaml"), "--region", "FRA1", code=1)
    assert "no sender was identified" in result.stderr
    assert not (tmp_path / "bridge.yaml").exists()


def test_text_of_one_sender_and_of_unknown_senders(run, tmp_path):
    data = b"".join(ASA % (stamped(number), b"asa-1") + b"\n" for number in range(20))
    target = tmp_path / "one" / "bridge.yaml"
    run(data, "--from", "192.0.2.9", "--write", str(target), "--url", "https://gateway.example")
    (route,) = load(target, secrets=False).routes
    assert ([str(each) for each in route.source], route.hostname) == (["192.0.2.9/32"], ())
    target = tmp_path / "unknown" / "bridge.yaml"
    result = run(data, "--write", str(target), "--url", "https://gateway.example")
    (route,) = load(target, secrets=False).routes
    assert (route.source, route.hostname) == ((), ("asa-1",))
    assert "It has no addresses either" in result.stdout


def test_stdin_and_streams(run):
    counted = b"".join(b"%d %b" % (len(FORTIGATE % b"fw-1"), FORTIGATE % b"fw-1") for _ in range(20))
    found = json.loads(run(None, "--stream", "--from", "192.0.2.9", "--output", "json", stdin=counted).stdout)
    assert (found["messages"], found["findings"][0]["format"]) == (20, "fortinet-fortigate")


def test_skipped_packets_and_an_empty_capture_are_reported(run):
    data = pcap([linked(packet(datagram(FORTIGATE % b"fw-1"))), linked(packet(b"x" * 40, protocol=6))])
    assert "1 TCP segments to other ports that do not begin with a PRI" in run(data).stdout
    assert "no message was received" in run(b"", code=1).stderr
    assert "Name a file" in CliRunner().invoke(discover, ["--capture", "/nowhere/x"]).stderr


def test_ctrl_c_leaves_a_usable_draft(run, tmp_path, monkeypatch):
    real = discover_input._captured

    def interrupted(capture, ports):
        for number, received in enumerate(real(capture, ports)):
            if number == 30:
                raise KeyboardInterrupt
            yield received

    monkeypatch.setattr(discover_input, "_captured", interrupted)
    target = tmp_path / "bridge.yaml"
    result = run(site(), "--write", str(target), "--region", "FRA1")
    assert "Interrupted: the findings are of what was received until then." in result.stdout
    config = load(target, secrets=False)
    assert set(config.intakes) == {"cisco-secure-firewall", "fortinet-fortigate"}
    assert "Interrupted" in target.read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--capture", "x", "--listen", "udp://127.0.0.1:0"), "exclude each other"),
        (("--stream",), "need --capture"),
        (("--listen", "tls://127.0.0.1:0"), "is not a port to listen on"),
        (("--listen", "udp://127.0.0.1:0", "--for", "5"), "the unit is missing"),
        (("--capture", "x", "--timezone", "CEST"), "Write one of its places"),
        (("--capture", "x", "--region", "FRA1", "--url", "https://a.example"), "exclude each other"),
    ],
)
def test_wrong_options(options, text):
    result = CliRunner().invoke(discover, options)
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_without_a_bridge_it_says_what_to_watch(tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(
        'collector: {region: FRA1}\nlisteners: [{udp: "127.0.0.1:0"}]\nintakes: {all: {intake_key: {file: k}}}\n'
        f"unrouted: {{intake: all}}\nspool: {{directory: {tmp_path}/spool}}\n"
    )
    result = CliRunner().invoke(discover, ["-c", str(file)])
    assert result.exit_code == 1
    assert "no bridge is running. Name what to watch: --capture FILE" in result.stderr


# --- update ----------------------------------------------------------------------------------------------------------

RUNNING = """\
collector: {{url: "https://gateway.example"}}
listeners:
  - {{name: udp, udp: "127.0.0.1:514"}}
intakes:
  asa: {{intake_key: {{file: keys/asa}}, format: cisco-secure-firewall}}
routes:
  - {{name: asa, intake: asa, source: 192.0.2.200}}
unrouted: hold
spool: {{directory: {spool}}}
"""


@pytest.fixture
def present(tmp_path):
    file = tmp_path / "etc" / "bridge.yaml"
    (file.parent / "keys").mkdir(parents=True)
    (file.parent / "keys" / "asa").write_text("0123456789abcdef\n")
    file.write_text(RUNNING.format(spool=tmp_path / "spool"))
    return file


def test_update_shows_a_diff_and_changes_nothing(run, present):
    before = present.read_text()
    output = run(site(), "-c", str(present), "--update").stdout
    assert "New senders (new):\n  192.0.2.1: matches no route, and is Cisco ASA, FTD, Firepower" in output
    assert "+    intake: fortinet-fortigate" in output
    assert "192.0.2.3: not routed, and not identified" in output
    assert "Nothing was changed. To use the diff, add --apply" in output
    assert present.read_text() == before
    found = json.loads(run(site(), "-c", str(present), "--update", "--output", "json").stdout)
    assert [change["group"] for change in found["changes"]] == ["new", "new"]
    assert found["new_intakes"] == ["fortinet-fortigate"]


def test_apply_needs_the_keys_of_new_intakes(run, present):
    before = present.read_text()
    result = run(site(), "-c", str(present), "--update", "--apply", code=1)
    assert "First write the keys of the new intakes" in result.stderr
    assert f"sudo install -m 0600 /dev/stdin {present.parent}/keys/fortinet-fortigate" in result.stderr
    assert present.read_text() == before


def test_apply_writes_and_keeps_the_old_file(run, present):
    before = present.read_text()
    (present.parent / "keys" / "fortinet-fortigate").write_text("fedcba9876543210\n")
    present.chmod(0o640)
    output = run(site(), "-c", str(present), "--update", "--apply").stdout
    assert "no bridge is running: the change applies at its start" in output
    assert [route.name for route in load(present).routes] == ["asa", "cisco-secure-firewall", "fortinet-fortigate"]
    assert (present.parent / "bridge.yaml.old").read_text() == before
    assert present.stat().st_mode & 0o777 == 0o640
    assert "agrees with the configuration" in run(site(), "-c", str(present), "--update").stdout


def test_only_the_chosen_groups_are_applied(run, present):
    output = run(site(), "-c", str(present), "--update", "--apply", "--only", "zones").stdout
    assert "no change" in output
    assert "fortigate" not in present.read_text()


def test_a_result_that_is_not_valid_is_taken_back(run, present):
    before = present.read_text()
    # An empty key file is a fault that only the complete check finds.
    (present.parent / "keys" / "fortinet-fortigate").write_text("")
    result = run(site(), "-c", str(present), "--update", "--apply", code=1)
    assert "the old files are back" in result.stderr
    assert present.read_text() == before


@pytest.mark.parametrize("step", ["look for the file", "look for the bridge", "follow the bridge"])
def test_a_user_without_permission_is_told_what_to_do(monkeypatch, tmp_path, step):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied", "/var/lib/syslog-bridge/spool")

    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIGURATION)
    options = ["-c", str(file)]
    if step == "look for the file":
        options = []
        monkeypatch.setattr(type(file), "exists", refuse)
    elif step == "look for the bridge":
        monkeypatch.setattr(discover_input.spool_owner, "has_owner", refuse)
    else:
        monkeypatch.setattr(discover_input.spool_owner, "has_owner", lambda directory: True)
        monkeypatch.setattr(discover_input.FollowedMessages, "start", refuse)
    result = CliRunner().invoke(main, ["discover", *options])
    assert result.exit_code == 1
    assert "spool: permission denied. Only root and the bridge's user can follow the bridge. " in result.stderr
    assert "Run the command with sudo, or watch without a bridge: --capture FILE, or --listen udp://" in result.stderr


# --- shadow ----------------------------------------------------------------------------------------------------------


def test_shadow_compares_and_writes_the_imported_configuration(run, tmp_path):
    forwarder = tmp_path / "intakes.yaml"
    forwarder.write_text("intakes:\n  - {name: asa, protocol: udp, port: 514, intake_key: abcdef0123456789}\n")
    data = pcap([linked(packet(datagram(frame), source)) for frame, source in FRAMES if source == "192.0.2.1"])
    target = tmp_path / "new" / "bridge.yaml"
    result = run(data, "--shadow", str(forwarder), "--write", str(target))
    assert "192.0.2.1: Cisco ASA, FTD, Firepower: " in result.stdout
    assert "forwarder  key of intake asa, time 2026-11-23T07:24:" in result.stdout
    assert "1 sender of 1 would be delivered differently" in result.stdout
    assert "abcdef0123456789" not in result.output
    assert load(target).intakes["asa"].format == "cisco-secure-firewall"
    found = json.loads(run(data, "--shadow", str(forwarder), "--output", "json").stdout)
    assert [each["source"] for each in found["senders"]] == ["192.0.2.1"]
    assert "exclude each other" in run(data, "--shadow", str(forwarder), "--update", code=2).stderr


def test_shadow_reads_tcp_and_messages_without_a_pri_on_the_ports_of_the_forwarder(run, tmp_path):
    forwarder = tmp_path / "intakes.yaml"
    entry = "{{name: {0}, protocol: {0}, port: 20516, intake_key: {0}abcdef012345678}}"
    forwarder.write_text(f"intakes:\n  - {entry.format('tcp')}\n  - {entry.format('udp')}\n")
    frame = b"words without a header"
    data = pcap(
        [
            linked(packet(segment(b"", 0, port=20516, flags=2), "192.0.2.1", protocol=6)),
            linked(packet(segment(frame + b"\n", 1, port=20516), "192.0.2.1", protocol=6)),
            linked(packet(datagram(frame, port=20516), "192.0.2.2")),
        ]
    )
    found = json.loads(run(data, "--shadow", str(forwarder), "--output", "json").stdout)["senders"]
    assert {each["source"]: each["forwarder"]["intake"] for each in found} == {"192.0.2.1": "tcp", "192.0.2.2": "udp"}


def test_shadow_lists_a_limited_number_of_senders(run, tmp_path):
    forwarder = tmp_path / "intakes.yaml"
    forwarder.write_text("intakes:\n  - {name: all, protocol: udp, port: 514, intake_key: abcdef0123456789}\n")
    data = pcap(linked(packet(datagram(UNKNOWN), f"10.0.{number >> 8}.{number & 255}")) for number in range(503))
    text = run(data, "--shadow", str(forwarder)).stdout
    assert text.count("  bridge  ") == 500
    assert "and 3 more, which --output json lists" in text
    assert "503 senders of 503 would be delivered differently" in text


def test_shadow_reads_the_forwarder_before_it_watches(tmp_path):
    file = tmp_path / "intakes.yaml"
    file.write_text("intakes: []\n")
    result = CliRunner().invoke(main, ["discover", "--capture", str(tmp_path / "none.pcap"), "--shadow", str(file)])
    assert result.exit_code != 0
    assert "intakes.yaml" in result.stderr


def test_the_listeners_of_a_capture_have_its_ports_and_transports(run, tmp_path):
    lines = b"".join(FORTIGATE % b"fw-1" + b"\n" for _ in range(20))
    data = pcap(
        [
            linked(packet(segment(lines, 1, port=6514), "192.0.2.2", protocol=6)),
            *(linked(packet(datagram(ASA % (stamped(number), b"asa-1")), "192.0.2.1")) for number in range(20)),
        ]
    )
    target = tmp_path / "bridge.yaml"
    run(data, "--region", "FRA1", "--write", str(target))
    listeners = load(target, secrets=False).listeners
    assert [(each.name, each.kind, str(each.address)) for each in listeners] == [
        ("udp-514", "udp", "*:514"), ("tcp-6514", "tcp", "*:6514")
    ]  # fmt: skip


def test_shadow_shows_the_part_of_long_texts_that_differs(run, tmp_path):
    forwarder = tmp_path / "intakes.yaml"
    forwarder.write_text("intakes:\n  - {name: all, protocol: udp, port: 514, intake_key: abcdef0123456789}\n")
    frame = b"<13>Nov 23 07:24:00 web-1 app: " + b"x" * 300 + b"\tend"
    lines = run(pcap([linked(packet(datagram(frame)))]), "--shadow", str(forwarder)).stdout.splitlines()
    # rsyslog escapes control characters.
    assert lines[1].endswith(f": ...{'x' * 40}#011end")
    assert lines[2].endswith(f": ...{'x' * 40}\\tend")
