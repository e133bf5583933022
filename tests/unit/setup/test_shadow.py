"""Tests the comparison of the bridge with an imported forwarder."""

from pathlib import Path

from bridge.discover import FindingSettings, Observer, find_all
from bridge.setup.import_kind import import_file
from bridge.setup.shadow import Shadow, shadow_of
from tests.harness.discovering import ASA, FORTIGATE, UNKNOWN, add, stamped

INTAKES = """
intakes:
  - {name: ios, protocol: udp, port: 20516, intake_key: abcdef0123456789}
  - {name: mixed, protocol: udp, port: 20517, intake_key: 0123456789abcdef}
  - {name: silent, protocol: udp, port: 20518, intake_key: 0123456789abcdeX}
"""
IOS = b"<189>52: sw-1: %b.250: %%LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up"


def compared(folder: Path) -> Shadow:
    file = folder / "intakes.yaml"
    file.write_text(INTAKES)
    observer = Observer()
    add(observer, [IOS % stamped(number) for number in range(20)], "10.0.0.1", transport="udp 20516")
    add(observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.2", transport="udp 20517")
    add(observer, [UNKNOWN] * 20, "10.0.0.3", transport="udp 20517")
    return shadow_of(import_file(file, None, None, None), "intakes.yaml", list(find_all(observer, FindingSettings())))


def test_each_sender_is_compared(tmp_path: Path) -> None:
    rows = {row.finding.source: row for row in compared(tmp_path).rows}
    ios = rows["10.0.0.1"].shown
    assert (ios.forwarder.intake, ios.bridge.intake) == ("ios", "ios")
    # rsyslog takes the number of the message for the tag, and what is left is what the format wants.
    assert rows["10.0.0.1"].differences == {}
    assert ios.forwarder.text == ios.bridge.text
    assert str(ios.bridge.text).startswith("sw-1: Nov 23 07:24:")
    # The forwarder sends the time of reception.
    assert ios.forwarder.time != ios.bridge.time
    unknown = rows["10.0.0.3"].shown
    assert (unknown.forwarder.text, unknown.bridge.text) == ("7 bar", "pressure 7 bar")


def test_the_forwarder_cuts_what_rsyslog_takes_for_a_tag(tmp_path: Path) -> None:
    (row,) = [row for row in compared(tmp_path).rows if row.finding.source == "10.0.0.2"]
    assert row.differences["text"] == 12
    assert (row.shown.forwarder.text, row.shown.bridge.text) == (
        FORTIGATE.decode().partition(" ")[2].replace("%b", "fw-1"), FORTIGATE[5:].decode().replace("%b", "fw-1"),
    )  # fmt: skip


def test_an_intake_gets_a_format_only_if_all_its_senders_have_it(tmp_path: Path) -> None:
    found = compared(tmp_path)
    text = found.imported.as_yaml("intakes.yaml")
    assert "    format: cisco-ios    # all senders that were seen" in text
    assert text.count("\n    format:") == 1
    begin = "intake mixed: it gets messages of the formats fortinet-fortigate and of senders"
    assert [note for note in found.notes if note.startswith(begin)]
    assert "intake silent: no message for it was seen, so it has no format" in found.notes


def test_keys_are_not_in_the_comparison(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert "abcdef0123456789" not in repr(found.rows)
    assert "abcdef0123456789" not in found.imported.as_yaml("intakes.yaml")


def test_messages_to_ports_of_others_are_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "intakes.yaml"
    file.write_text(INTAKES)
    observer = add(Observer(), [UNKNOWN] * 3, "10.0.0.3", transport="udp 514")
    (row,) = shadow_of(import_file(file, None, None, None), "a", list(find_all(observer, FindingSettings()))).rows
    assert (row.shown.forwarder.intake, row.differences) == (None, {})
    assert row.shown.forwarder.note == "it was sent to udp 514, where the forwarder does not listen"


def test_messages_without_a_port_are_compared_with_the_first_listener_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "intakes.yaml"
    file.write_text(INTAKES)
    observer = add(Observer(), [UNKNOWN] * 3, "10.0.0.3", transport="", timed=False)
    found = shadow_of(import_file(file, None, None, None), "a", list(find_all(observer, FindingSettings())))
    assert found.rows[0].shown.forwarder.intake == "ios"
    assert found.rows[0].shown.forwarder.time is None
    assert found.notes[0].startswith("3 of the examined messages do not tell the port that they were sent to")


def test_the_rules_of_the_forwarder_test_what_it_reads(tmp_path: Path) -> None:
    file = tmp_path / "rsyslog.conf"
    template = '<%pri%>1 %timereported:::date-rfc3339% %hostname% - - - [S@1 intake_key=\\"{key}\\"] %msg%\\n'
    action = 'action(type="omfwd" target="intake.sekoia.io" port="10514" protocol="tcp" template="{name}")'
    file.write_text(
        'input(type="imudp" port="514")\n'
        + "".join(
            f'template(name="{name}" type="string" string="{template.format(key=key)}")\n'
            for name, key in (("asa", "abcdef0123456789"), ("rest", "0123456789abcdef"))
        )
        + f'if $syslogtag startswith "%ASA-" then {{ {action.format(name="asa")} stop }}\n'
        + action.format(name="rest")
    )
    observer = add(Observer(), [ASA % (stamped(number), b"asa-1") for number in range(3)], "10.0.0.1")
    (row,) = shadow_of(import_file(file, None, None, None), "a", list(find_all(observer, FindingSettings()))).rows
    # The tag that rsyslog reads behind the host name is the colon.
    assert (row.shown.forwarder.intake, row.shown.bridge.intake) == ("rest", "asa")
    assert row.differences == {"intake": 3}
