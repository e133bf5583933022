"""Tests the comparison of a configuration with what is seen, and the edits of its files."""

from pathlib import Path
from textwrap import dedent
from zoneinfo import ZoneInfo

import pytest

from bridge.config.loading import load_with_places
from bridge.discover import FindingSettings, Observer, find_all
from bridge.discover.changes import Changes, changes_of, zone_in
from bridge.discover.edits import Edited, Editor
from bridge.ingest.from_config import router
from tests.harness.discovering import ASA, FORTIGATE, SSHD, UNKNOWN, add, stamped

DAY = 86_400.0
CONFIGURATION = """\
# my gateway
timezone: UTC
collector: {region: FRA1}
listeners:
  - {name: udp, udp: "*:514"}    # all devices
sources:
  - {source: 10.0.0.1, name: asa-paris}
  - {source: [10.0.0.1, 10.0.0.9], alert_if_rate_below: 30%}
  - source: 10.0.0.9
    name: spare
intakes:
  # firewalls of Paris
  asa: {intake_key: {file: keys/asa}, format: cisco-secure-firewall}
routes:
  # the first rule
  - name: asa
    intake: asa
    source:
      - 10.0.0.1
      - 10.0.0.8    # lab
      - 10.0.0.2
unrouted: hold
spool: {directory: /s}
"""


def asa(count: int = 20, hours: float = 0) -> list[bytes]:
    return [ASA % (stamped(number, hours), b"asa-1") for number in range(count)]


class Case:
    """A configuration in a file and what was seen."""

    def __init__(self, folder: Path, text: str = CONFIGURATION) -> None:
        self.file = folder / "bridge.yaml"
        self.file.write_text(dedent(text))
        self.config, self.root = load_with_places(self.file)
        self.observer = Observer()

    def changes(self, *zones: str, seconds: float = 600) -> Changes:
        configured = router(self.config)
        settings = FindingSettings(
            tuple(map(ZoneInfo, zones or ("UTC",))), lambda source, host: zone_in(configured, source, host)
        )
        return changes_of(self.config, list(find_all(self.observer, settings)), seconds)

    def edited(self, changes: Changes) -> Edited:
        return Editor(self.config, self.root, {str(self.file): self.file.read_text()}).apply(changes.changes)

    def applied(self, changes: Changes) -> "Case":
        """Returns the case with the edits in its file, which is valid."""
        edited = self.edited(changes)
        self.file.write_text(edited.after[str(self.file)])
        self.config, self.root = load_with_places(self.file)
        return self


def groups(changes: Changes) -> list[str]:
    return [change.group for change in changes.changes]


def test_what_agrees_needs_no_change(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, asa(), "10.0.0.1")
    found = case.changes()
    assert groups(found) == []
    assert list(case.edited(found).diff()) == []


def test_new_senders_get_a_route_to_the_intake_of_their_format(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, asa(), "10.0.0.5")
    add(case.observer, asa(), "10.0.0.1")
    found = case.changes()
    assert groups(found) == ["new"]
    assert found.changes[0].reason.startswith("10.0.0.5: matches no route, and is Cisco ASA, FTD, Firepower: mnemonic")
    diff = "\n".join(case.edited(found).diff())
    removed = [line for line in diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == []
    case.applied(found)
    assert [route.name for route in case.config.routes] == ["asa", "cisco-secure-firewall"]
    assert "# my gateway" in case.file.read_text()
    assert groups(case.changes()) == []


def test_a_new_product_gets_an_intake(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.5")
    add(case.observer, [SSHD % (stamped(n), b"web-1") for n in range(20)], "10.0.0.6")
    found = case.changes()
    assert case.edited(found).intakes == ["openssh", "fortinet-fortigate"]
    case.applied(found)
    assert set(case.config.intakes) == {"asa", "fortinet-fortigate", "openssh"}
    assert [route.app_name for route in case.config.routes[1:]] == [("sshd",), ()]
    assert groups(case.changes()) == []


def test_a_sender_of_another_product_gets_a_route_before_the_others(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.2")
    found = case.changes()
    assert groups(found) == ["changed"]
    assert (
        "is delivered to intake asa, whose format is cisco-secure-firewall, and is Fortinet" in found.changes[0].reason
    )
    case.applied(found)
    assert [route.name for route in case.config.routes] == ["fortinet-fortigate", "asa"]
    assert "  # the first rule\n  - name: asa\n" in case.file.read_text()
    assert groups(case.changes()) == []


def test_a_wrong_zone_is_corrected_only_with_the_zones_of_the_site(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, asa(hours=1), "10.0.0.1")
    found = case.changes()
    assert groups(found) == []
    assert any("its zone may be Europe/Paris" in note for note in found.notes)
    found = case.changes("UTC", "Europe/Paris", "America/New_York")
    assert groups(found) == ["zones"]
    case.applied(found)
    assert str(case.config.sources[0].timezone) == "Europe/Paris"
    assert groups(case.changes("UTC", "Europe/Paris", "America/New_York")) == []


def test_senders_that_are_gone_are_judged_after_a_day(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, asa(), "10.0.0.1")
    add(case.observer, asa(), "10.0.0.2")
    found = case.changes()
    assert groups(found) == []
    assert "2 senders of the configuration sent nothing in 10 min" in "".join(found.notes)
    found = case.changes(seconds=DAY)
    assert [change.gone for change in found.changes] == ["10.0.0.9", "10.0.0.8"]
    edited = case.edited(found)
    assert edited.by_hand == ["10.0.0.9: sent nothing in 24 h. Remove it by hand"]
    case.applied(found)
    text = case.file.read_text()
    assert "10.0.0.8" not in text
    assert "{source: [10.0.0.1], alert_if_rate_below: 30%}" in text
    assert [str(each) for each in case.config.routes[0].source] == ["10.0.0.1/32", "10.0.0.2/32"]


def test_the_only_line_of_a_sender_is_removed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, asa(), "10.0.0.9")
    found = case.changes(seconds=DAY)
    edited = case.edited(found)
    case.applied(found)
    assert "asa-paris" not in case.file.read_text()
    assert [str(each) for each in case.config.routes[0].source] == ["10.0.0.2/32"], "the last one of a list stays"
    assert edited.by_hand == ["10.0.0.2: sent nothing in 24 h. Remove it by hand"]


def test_unidentified_senders_are_noted(tmp_path: Path) -> None:
    case = Case(tmp_path)
    add(case.observer, [UNKNOWN] * 20, "10.0.0.5")
    found = case.changes()
    assert groups(found) == []
    assert "10.0.0.5: not routed, and not identified: no known product in 20 messages" in found.notes


def test_the_intake_is_not_chosen_among_several(tmp_path: Path) -> None:
    second = "  asa2: {intake_key: {file: keys/asa2}, format: cisco-secure-firewall}\nroutes:"
    case = Case(tmp_path, CONFIGURATION.replace("routes:", second))
    add(case.observer, asa(), "10.0.0.5")
    found = case.changes()
    assert groups(found) == []
    assert "10.0.0.5: Cisco ASA, FTD, Firepower; choose its intake yourself: asa, asa2" in found.notes


def test_an_intake_without_format_is_left_alone(tmp_path: Path) -> None:
    case = Case(tmp_path, CONFIGURATION.replace("keys/asa}, format: cisco-secure-firewall", "keys/asa}"))
    add(case.observer, asa(), "10.0.0.1")
    found = case.changes()
    assert groups(found) == []
    assert any("its intake asa has no format" in note for note in found.notes)


BRACKETS = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "*:514"}]
intakes: {asa: {intake_key: {file: k}, format: cisco-secure-firewall}}
routes: [{name: asa, intake: asa, source: 10.0.0.1}]
spool: {directory: /s}
"""


def test_sections_in_brackets_are_left_to_the_operator(tmp_path: Path) -> None:
    case = Case(tmp_path, BRACKETS)
    add(case.observer, asa(), "10.0.0.5")
    add(case.observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.6")
    edited = case.edited(case.changes())
    assert list(edited.diff()) == []
    assert len(edited.by_hand) == 2


def test_missing_sections_are_added(tmp_path: Path) -> None:
    text = """
    collector: {region: FRA1}
    listeners: [{name: udp, udp: "*:514"}]
    intakes:
      asa: {intake_key: {file: k}, format: cisco-secure-firewall}
      rest: {intake_key: {file: k}}
    unrouted: {intake: rest}
    spool: {directory: /s}
    """
    case = Case(tmp_path, text)
    add(case.observer, asa(hours=1), "10.0.0.5")
    add(case.observer, asa(hours=1), "10.0.0.6")
    case.applied(case.changes("UTC", "Europe/Paris"))
    assert [str(entry.timezone) for entry in case.config.sources] == ["Europe/Paris", "Europe/Paris"]


def test_routes_of_a_missing_section_have_the_order_of_the_plan(tmp_path: Path) -> None:
    """A route that names a program is before one that takes all messages of a sender."""
    text = """
    collector: {region: FRA1}
    listeners: [{name: udp, udp: "*:514"}]
    intakes:
      asa: {intake_key: {file: k}, format: cisco-secure-firewall}
    unrouted: {intake: asa}
    spool: {directory: /s}
    """
    case = Case(tmp_path, text)
    add(case.observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.5")
    add(case.observer, [SSHD % (stamped(n), b"web-1") for n in range(20)], "10.0.0.6")
    case.applied(case.changes())
    assert [route.name for route in case.config.routes] == ["openssh", "fortinet-fortigate"]
    assert groups(case.changes()) == []


@pytest.mark.parametrize("catch_all", [True, False])
def test_new_routes_stand_before_a_route_that_takes_the_rest(tmp_path: Path, catch_all: bool) -> None:
    rest = "  - {name: rest, intake: asa, min_severity: emerg}\n" if catch_all else ""
    case = Case(tmp_path, CONFIGURATION.replace("unrouted: hold", f"{rest}unrouted: hold"))
    add(case.observer, asa(), "10.0.0.5")
    add(case.observer, [FORTIGATE % b"fw-1"] * 20, "10.0.0.2")
    case.applied(case.changes())
    assert case.config.routes[0].name == "fortinet-fortigate"
    assert groups(case.changes()) == []
