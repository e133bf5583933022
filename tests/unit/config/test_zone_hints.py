"""Tests the warnings on zones that are not what they seem, and the errors for texts that are no zones."""

import pytest

from bridge.config import linted
from bridge.config.zone_hints import unknown_zone

_CONFIG = """collector: {{region: FRA1}}
listeners: [{{name: udp, udp: "127.0.0.1:5514"}}]
intakes: {{a: {{intake_key: {{file: a.key}}}}}}
spool: {{directory: spool}}
timezone: {top}
sources: [{{source: 192.0.2.1, timezone: {source}}}]
routes: [{{name: all, intake: a, timezone: {route}}}]
"""


@pytest.fixture
def warn(tmp_path):
    def warn(top="UTC", source="UTC", route="UTC"):
        (tmp_path / "a.key").write_text("a" * 16)
        (tmp_path / "a.key").chmod(0o600)
        file = tmp_path / "bridge.yaml"
        file.write_text(_CONFIG.format(top=top, source=source, route=route))
        return [(fault.line, fault.message) for fault in linted(file)[1]]

    return warn


def test_zones_without_daylight_saving_time_are_warnings_in_every_section(warn):
    text = (
        "timezone: EST is UTC-05:00, all year without daylight saving time. Write the place of the devices:"
        " America/New_York has it in winter, America/Chicago has it in summer, America/Panama has it all year."
    )
    assert warn("EST", "EST", "EST") == [(5, text), (6, text), (7, text)]


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("MST", "America/Phoenix has it all year"), ("HST", "UTC-10:00, all year"),
        ("Etc/GMT+5", "UTC-05:00 (its sign is the reverse of the usual one)"), ("Etc/GMT-2", "UTC+02:00 (its sign"),
    ],
)  # fmt: skip
def test_fixed_zone_is_a_warning(warn, zone, words):
    ((_, text),) = warn(zone)
    assert words in text


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "CET", "EST5EDT", "America/Panama", "Etc/UTC", "Etc/GMT"])
def test_zone_of_a_place_is_no_warning(warn, zone):
    assert warn(zone, zone, zone) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cest", "Write one of its places: Europe/Paris, Europe/Berlin,"), ("BRT", "its place, America/Sao_Paulo."),
        ("IST", "Asia/Kolkata, Europe/Dublin, Asia/Jerusalem"), ("New York", "did you mean America/New_York?"),
        ("GMT-5", "America/Panama has it all year"), ("+05:30", "Asia/Kolkata has it all year"),
        ("+17:00", "Write the place of the devices, such as Europe/Paris."),
        ("Mars/Olympus", "Write a zone such as Europe/Paris, or UTC."),
    ],
)  # fmt: skip
def test_unknown_zone_is_explained(text, words):
    assert words in unknown_zone(text)
