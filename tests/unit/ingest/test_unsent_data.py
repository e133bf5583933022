"""Tests ``payload: auto`` in routing and pipeline, and what is said of structured data that is not sent."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.accounting import Ledger
from bridge.cli.check import check
from bridge.cli.why_steps import source_steps
from bridge.config import SourceWithUnsentData, linted, parse_text
from bridge.formats import FORMATS
from bridge.ingest import from_config as ingest_config
from bridge.ingest.peers import Peer, Peers
from bridge.ingest.unsent_data import SAME_TEXT, UnsentData
from bridge.monitoring.problems import summarize
from bridge.monitoring.sources import SourceList
from bridge.routing import Router
from bridge.syslog.frames import block_of
from bridge.syslog.reader import Reader
from bridge.syslog.timestamps import TimeReader
from tests.harness.builders import NOON, build_pipeline, build_spool

CONFIG = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "*:514"}]
intakes:
  default: {intake_key: "0000000000000001"}
  chosen: {intake_key: "0000000000000002", payload: message}
  auto: {intake_key: "0000000000000003", payload: auto}
  srx: {intake_key: "0000000000000004", format: juniper-ngfw}
  srx_auto: {intake_key: "0000000000000005", format: juniper-ngfw, payload: auto}
  content: {intake_key: "0000000000000006", payload: content}
  line: {intake_key: "0000000000000007", payload: line}
  structured: {intake_key: "0000000000000008", payload: structured}
  raw: {intake_key: "0000000000000009", payload: raw}
routes:
  - {name: "1", intake: default, source: 192.0.2.1}
  - {name: "2", intake: chosen, source: 192.0.2.2}
  - {name: "3", intake: auto, source: 192.0.2.3}
  - {name: "4", intake: srx, source: 192.0.2.4}
  - {name: "5", intake: srx_auto, source: 192.0.2.5}
  - {name: "6", intake: content, source: 192.0.2.6}
  - {name: "7", intake: line, source: 192.0.2.7}
  - {name: "8", intake: structured, source: 192.0.2.8}
  - {name: "9", intake: raw, source: 192.0.2.9}
  - {name: "10", intake: auto, source: 192.0.2.10, payload: message}
  - {name: "11", intake: default, source: 192.0.2.11, payload: auto}
  - {name: "12", intake: srx, source: 192.0.2.12, payload: auto}
  - {name: by-text, intake: auto, source: 192.0.2.13, message: {contains: [session]}}
  - {name: others, intake: default, source: 192.0.2.13}
  - {name: dropped, drop: true, source: 192.0.2.14}
spool: {directory: unused}
"""

HEAD = b"<14>1 2026-11-23T07:24:00.003Z srx-1 RT_FLOW - RT_FLOW_SESSION_CREATE "
SRX = b'[junos@2636.1.1.1.2.129 source-address="192.0.2.7" policy-name="out"]'
NXLOG = b'<14>1 2026-11-23T07:24:00Z dc-1 Microsoft-Windows-Security-Auditing 4 - [NXLOG@14506 EventID="4624"] '
CREATED = HEAD + SRX + b" session created"
JUNOS = ("junos@2636.1.1.1.2.129",)


def peer_of(number: int) -> Peer:
    return Peers(ingest_config.router(parse_text(CONFIG))).get("udp", f"192.0.2.{number}")


def sampled(frame: bytes, number: int = 1) -> UnsentData | None:
    peer = peer_of(number)
    peer.sample(frame, NOON * 1000, TimeReader())
    return peer.unsent_data and peer.unsent_data._replace(text=0)


# --- precedence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "payload", "refined", "chosen"),
    [
        (1, "message", False, False),
        (2, "message", False, True),
        (3, "auto", False, True),
        (4, "content", True, False),
        (5, "content", True, False),
        (10, "message", False, True),
        (11, "auto", False, True),
        (12, "content", True, False),
    ],
    ids=[
        "default",
        "chosen",
        "auto",
        "format",
        "format before auto",
        "route",
        "route auto",
        "format before route auto",
    ],
)
def test_auto_is_less_than_a_format_and_like_any_other_payload(
    number: int, payload: str, refined: bool, chosen: bool
) -> None:
    config = parse_text(CONFIG)
    router = Router(
        routes=config.routes, intakes=config.intakes, listeners={"udp": None}, sources=config.sources,
        unrouted=config.unrouted, timezone=config.timezone,
    )  # fmt: skip
    disposition = router.profile("udp", ip_address(f"192.0.2.{number}")).constant
    assert disposition is not None
    assert (disposition.payload, disposition.refined, disposition.chosen) == (payload, refined, chosen)


def test_pipeline_writes_the_data_of_vendors(tmp_path: Any) -> None:
    frames = [CREATED, HEAD + SRX, HEAD + b"- text", b"<30>Nov 23 07:24:00 gw app[7]: text"] * 3
    frames += [HEAD + b'[timeQuality tzKnown="1"] clock', HEAD + b'[timeQuality tzKnown="1"]']
    created = CREATED.removeprefix(HEAD)
    event = b"RT_FLOW_SESSION_CREATE "
    wanted = [event + created, event + SRX, b"text", b"text"] * 3 + [b"clock", event + b'[timeQuality tzKnown="1"]']
    for number in (3, 13):
        spool = build_spool(tmp_path / str(number), wall=lambda: float(NOON))
        pipeline = build_pipeline(spool, Ledger(), wall=lambda: float(NOON))
        reader, peer = Reader(), peer_of(number)
        for _ in range(5):
            pipeline.take(peer, block_of(frames), reader)
        spool.seal_all()
        files = sorted((tmp_path / str(number)).rglob("*.lines"))
        events = [line for file in files for line in file.read_bytes().splitlines()]
        # Of the second peer, a route by text sends some events to an intake with the default payload.
        assert sorted(set(events)) == sorted(set(wanted))
        if number == 3:
            assert len(events) == 5 * len(wanted)
            assert pipeline.read_counts.emptied == 5


# --- what is not sent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "ids", "text_format"),
    [
        (CREATED, JUNOS, "juniper-ngfw"),
        (HEAD + b'[origin ip="192.0.2.7"]' + SRX + b"[x] session created", (*JUNOS, "x"), "juniper-ngfw"),
        (HEAD + SRX[:-1] + b' nat="%b"] session created' % (b"n" * 1500), JUNOS, "juniper-ngfw"),
        (CREATED.replace(b"<14>1 ", b"<14>"), JUNOS, "juniper-ngfw"),
        (NXLOG + b"An account was logged on", ("NXLOG@14506",), None),
        (NXLOG + FORMATS["windows"].example.rpartition(b"] ")[2], ("NXLOG@14506",), "windows"),
        (FORMATS["kaspersky-endpoint-security"].example, ("event@23668",), "kaspersky-endpoint-security"),
    ],
    ids=["SRX", "several", "long", "without version", "NXLog", "NXLog with JSON", "Kaspersky"],
)
def test_data_of_a_vendor_are_named_with_the_format_that_fits(
    frame: bytes, ids: tuple[str, ...], text_format: str | None
) -> None:
    assert sampled(frame) == UnsentData(ids, "message", False, text_format)


@pytest.mark.parametrize(
    "frame",
    [
        HEAD + SRX,
        HEAD + SRX + b"  ",
        HEAD + b'[timeQuality tzKnown="1"][origin ip="192.0.2.7"][meta sequenceId="1"] text',
        HEAD + b'[SEKOIA@53288 intake_key="abcdefgh12345678"] text',
        HEAD + b"- [x@1] is part of the text",
        b'<30>Nov 23 07:24:00 gw app[7]: [x@1 a="b"] text',
        b"<6>kernel: [    1.5] text [x]",
    ],
    ids=["no text", "blank text", "descriptive", "intake key", "in the text", "RFC 3164", "kernel"],
)
def test_nothing_is_said_where_nothing_is_missing(frame: bytes) -> None:
    assert sampled(frame) is None


@pytest.mark.parametrize(
    ("number", "payload"),
    [(2, "message"), (6, "content"), (7, "line"), (10, "message")],
)
def test_chosen_payload_is_known_as_such(number: int, payload: str) -> None:
    assert sampled(CREATED, number) == UnsentData(JUNOS, payload, True, "juniper-ngfw")


@pytest.mark.parametrize("number", [3, 4, 5, 8, 9, 11, 12, 14, 99])
def test_other_payloads_formats_and_routes_send_the_data_or_no_event(number: int) -> None:
    assert sampled(CREATED, number) is None


def test_route_of_the_message_decides() -> None:
    assert sampled(CREATED, 13) is None
    assert sampled(HEAD + SRX + b" closed", 13) is not None


def test_finding_stays_until_the_next_configuration() -> None:
    peers = Peers(ingest_config.router(parse_text(CONFIG)))
    peer = peers.get("udp", "192.0.2.1")
    peer.sample(CREATED, NOON * 1000, TimeReader())
    found = peer.unsent_data
    peer.sample(CREATED, NOON * 1000 + 1000, TimeReader())
    assert peer.unsent_data == found._replace(repeats=1)
    found = peer.unsent_data
    peer.sample(HEAD + b"- text", NOON * 1000 + 2000, TimeReader())
    assert peer.unsent_data is found
    peers.change(ingest_config.router(parse_text(CONFIG)))
    assert peer.unsent_data is None


# --- what the operator reads ------------------------------------------------------------------------------------------


def source_list(*numbers: int) -> SourceList:
    peers = Peers(ingest_config.router(parse_text(CONFIG)))
    for number in numbers:
        peer = peers.get("udp", f"192.0.2.{number}")
        peer.note_read(3, NOON * 1000)
        peer.sample(CREATED, NOON * 1000, TimeReader())
    return SourceList(peers, lambda: float(NOON))


def problems(*numbers: int) -> list[dict[str, Any]]:
    sources = source_list(*numbers)
    status = {"unsent_structured_data": sources.unsent_data(100), "sources_count": sources.counts()}
    found: list[dict[str, Any]] = summarize(status)["problems"]
    return found


def test_headline_names_the_source_and_the_settings() -> None:
    (problem,) = problems(1)
    assert problem["text"] == "Events do not have the structured data of 192.0.2.1 (junos@2636.1.1.1.2.129)"
    assert problem["remedy"].startswith("set format: juniper-ngfw if it is of that product, else payload: auto for")
    assert problem["state"] == "notice", "the events have their text"


def test_data_of_a_source_with_one_text_is_a_problem() -> None:
    peers = Peers(ingest_config.router(parse_text(CONFIG)))
    peer = peers.get("udp", "192.0.2.1")

    def state_after(*texts: bytes) -> str:
        for text in texts:
            peer.sample(CREATED + text, NOON * 1000, TimeReader())
        status = {"unsent_structured_data": SourceList(peers, lambda: float(NOON)).unsent_data(100)}
        (problem,) = summarize(status)["problems"]
        return str(problem["state"])

    assert state_after(b"") == "notice"
    assert state_after(*[b""] * SAME_TEXT) == "degraded"
    assert state_after(b" and another text") == "notice"


def test_headline_leaves_out_what_the_operator_chose() -> None:
    assert problems(2, 3, 4) == []
    assert source_list(1, 2, 3, 4).counts()["unsent_data"] == 2


def why(number: int) -> list[str]:
    known = {"seen": [source_list(number).row(peer) for peer in source_list(number).find(f"192.0.2.{number}")]}
    status = {"uptime_seconds": 60, "kernel_drops": {}, "intakes": []}
    found = source_steps(parse_text(CONFIG), f"192.0.2.{number}", known, status)
    return [step.text for _, steps in found for step in steps if step.name == "data"]


def test_why_says_what_the_events_lack() -> None:
    (text,) = why(1)
    assert "structured data (junos@2636.1.1.1.2.129), and its events do not (payload message). Set format:" in text
    (text,) = why(2)
    assert text.endswith("as configured. payload: auto would add it")
    assert why(3) == why(4) == []


def test_check_warns_of_intakes_that_are_left_to_the_default(tmp_path: Any) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG)

    def seen(config: object) -> list[SourceWithUnsentData]:
        return [
            SourceWithUnsentData("192.0.2.1 (fw\x1b)", "1", "default", JUNOS, "juniper-ngfw"),
            SourceWithUnsentData("192.0.2.2", "2", "chosen", JUNOS, None),
            # The running bridge had no format and no payload there yet.
            SourceWithUnsentData("192.0.2.3", "3", "auto", JUNOS, None),
            SourceWithUnsentData("192.0.2.4", "4", "srx", JUNOS, None),
            SourceWithUnsentData("192.0.2.11", "11", "default", JUNOS, None),
            SourceWithUnsentData("192.0.2.99", None, "gone", JUNOS, None),
            *[SourceWithUnsentData(f"host-{n}", "others", "default", ("NXLOG@14506",), None) for n in range(25)],
        ]

    before = linted(file)[1]
    found = [fault for fault in linted(file, unsent_data=seen)[1] if fault not in before]
    assert [(fault.line, fault.column) for fault in found] == [(5, 3)] * 21
    first, second, *_, last = (fault.message for fault in found)
    assert first.startswith("intake default: the events of 192.0.2.1 (fw\\x1b) lack its structured data (junos@2636")
    assert "Set format: juniper-ngfw if the intake is of that product, else payload: auto." in first
    assert "host-0 lack its structured data (NXLOG@14506). Set payload: auto." in second
    assert last == "intake default: the structured data of 6 more sources is not sent."
    assert [fault for fault in linted(file, secrets=False, unsent_data=seen)[1] if "lack" in fault.message] == []


def test_check_without_a_running_bridge_says_nothing_of_sources(tmp_path: Any) -> None:
    file = tmp_path / "bridge.yaml"
    (tmp_path / "unused").mkdir()
    file.write_text(CONFIG)
    result = CliRunner().invoke(check, ["-c", str(file)])
    assert result.exit_code == 0
    assert "structured data" not in result.stdout
