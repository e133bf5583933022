"""Tests the table of formats: names, texts, and that each example becomes an event of its format."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.batching.grouping import SHOWS_TIME
from bridge.batching.payload import FORMS
from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS, Format, UnknownFormat, find, table_json
from bridge.syslog.columns import FIELDS
from tests.harness.cost import stays_under

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "formats.json"
CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))

# Formats whose expression differs from the reference, with what the parser of the intake does.
CORRECTED = {
    "cisco-ios": "it refuses an offset (UTC+1) and a blank before the colon behind the zone",
    "cisco-nx-os": "it refuses two blanks before the day, also after the PRI (payload raw)",
    "openvpn": "it also reads lines without a connection, or with an address alone",
    "vmware-esxi": "it also reads commands, keys, sessions, serial numbers and lines of the kernel",
    "windows": "it reads any JSON, but only the keys of NXLog become fields",
    "sophos": "it also reads device_name= at the beginning, which rsyslog takes as the tag",
    "cisco-ise": "it reads a level behind the category (CISE_Alarm WARN:)",
}

every_format = pytest.mark.parametrize("one", FORMATS.values(), ids=FORMATS)


def test_names_are_unique_and_sorted() -> None:
    assert len(FORMATS) == 106
    names = [name for one in FORMATS.values() for name in (one.name, *one.aliases)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert list(FORMATS) == sorted(FORMATS)


def test_formats_equal_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip("no ../shared/reference/formats.json")
    rows = {row["slug"]: row for row in json.loads(REFERENCE.read_text())}
    assert set(rows) == set(FORMATS) - {one.name for one in table_json.FORMATS}
    for name, row in rows.items():
        one = FORMATS[name]
        assert (one.begins.decode() == row["regex"]) == (name not in CORRECTED)
        assert one.foreign == row["foreign"]
        # "yes 9/9; ..." or "no 0/9; ...". Some formats with "no" read the time of one kind of text.
        if row["own_time"].startswith("yes"):
            assert one.own_time, name


@every_format
def test_format_is_complete(one: Format) -> None:
    assert one.forms <= set(FORMS)
    assert one.timestamp in ("event", "received", "none")
    assert one.product
    assert one.setting
    assert one.lost
    assert one.example.startswith(b"<")
    texts = (
        one.product,
        one.setting,
        one.lost,
        one.also,
        one.own_time,
        *one.notes,
        one.rule.description if one.rule else "",
    )
    assert all(text.isprintable() and text == text.strip() for text in texts)
    if one.rule:
        assert one.rule.needs <= set(FIELDS)
        # The times of a read are made for the format's own payload form. If a form shows times, it must be that one.
        assert not (one.forms & set(SHOWS_TIME)) or one.payload in SHOWS_TIME


@every_format
def test_example_fits_its_format(one: Format) -> None:
    event = event_for(one, one.example, CONTEXT)
    assert one.fits(event)
    assert event == event.strip()
    assert b"\n" not in event


HEADS = (b"", b"a b ", b"1 2026-11-23T", b"2026-", b"2026-11-23T07:24:00Z host app[1]: ", b"Nov 23 07:24:00 ", b"FW: ")
PARTS = (
    b" ", b"<", b"[", b"0", b"a", b"T", b"a ", b"1,", b"=", b'"', b"[1", b": ", b"@", b"CEF:", b"\xff", b"%", b"a: ",
    b"1.1 - ", b"Nov 23 07:24:00 ", b"a/",
)  # fmt: skip


@every_format
def test_expression_is_fast_for_hostile_texts(one: Format) -> None:
    for head in HEADS:
        for part in PARTS:
            text = head + part * (250_000 // len(part))
            # The slowest expression takes some milliseconds. A search that is not linear takes minutes.
            assert stays_under(0.1, lambda text=text: one.fits(text)), (head, part)


class Row:
    """A read of one frame, in which all columns have the same value."""

    count = 1
    holds_lf = False

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __getitem__(self, name: str) -> list[bytes]:
        return [self._text]


@pytest.mark.parametrize("one", [one for one in FORMATS.values() if one.rule], ids=lambda one: one.name)
def test_rule_is_fast_for_hostile_texts(one: Format) -> None:
    rule = one.rule
    assert rule

    def apply(text: bytes) -> None:
        rule.forms(one.payload, Row(text))
        rule.edited([text], holds_lf=False)
        rule.edited([text], holds_lf=True)

    for head in HEADS:
        for part in PARTS:
            text = head + part * (250_000 // len(part))
            assert stays_under(0.5, lambda text=text: apply(text)), (head, part)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("fortigat", "fortigate"),
        ("FortiGate", "fortigate"),
        ("cisco_ios", "cisco-ios"),
        ("palo alto", "one of paloalto-ngfw, paloalto-prisma-access"),
        ("juniper", "one of juniper-ngfw, juniper-switches"),
        ("Check Point", "check-point"),
        ("WINDOWS", "windows"),
        ("unbond", "unbound"),
        ("esx", "esxi"),
    ],
)
def test_unknown_name_suggests_the_nearest_name(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownFormat) as raised:
        find(wrong)
    assert raised.value.hint == f"did you mean {meant}?"


def test_unknown_name_without_a_near_one_points_to_the_list() -> None:
    with pytest.raises(UnknownFormat, match=r"unknown format 'zzz': run \"syslog-bridge formats\" for a list"):
        find("zzz")
    assert find("asa") is find("cisco-secure-firewall")
