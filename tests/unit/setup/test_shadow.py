"""Tests the comparison of the bridge with an imported forwarder."""

from pathlib import Path

from bridge.discover import FindingSettings, Observer, find_all
from bridge.setup.import_kind import import_file
from bridge.setup.shadow import Shadow, shadow_of
from tests.harness.discovering import FORTIGATE, UNKNOWN, add, stamped

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
    ios = rows["10.0.0.1"]
    assert (ios.forwarder.intake, ios.bridge.intake) == ("ios", "ios")
    assert ios.forwarder.time == ios.bridge.time == "2026-11-23T07:24:11.250Z"
    assert ios.differences == ["text"]
    assert ios.forwarder.text == "%LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up"
    assert ios.bridge.text == f"sw-1: Nov 23 07:24:11.250: {ios.forwarder.text}"
    assert rows["10.0.0.3"].differences == []


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
