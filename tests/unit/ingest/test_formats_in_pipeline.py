"""Tests text formats in the pipeline: configuration, routing, and the counted mismatches."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from bridge.accounting import Ledger
from bridge.batching import GroupLimits, Window, group
from bridge.batching.grouping import MOST_SAMPLED
from bridge.config import Config, parse_text
from bridge.formats import FORMATS
from bridge.ingest.peers import Peers
from bridge.routing import Disposition, Router
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import FEW_A_SECOND, TimeReader, milliseconds
from tests.harness.builders import build_pipeline, build_spool

RECEIVED = milliseconds(datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))
FORTIGATE = FORMATS["fortinet-fortigate"].example
IOS = FORMATS["cisco-ios"].example

CONFIG = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "*:514"}]
intakes:
  plain: {intake_key: "0000000000000001"}
  fw: {intake_key: "0000000000000002", format: fortigate}
  ios: {intake_key: "0000000000000003", format: cisco-ios}
  own: {intake_key: "0000000000000004", format: cisco-ios, payload: raw, timestamp: none}
routes:
  - {name: a, intake: plain, source: 192.0.2.1}
  - {name: b, intake: fw, source: 192.0.2.2}
  - {name: c, intake: ios, source: 192.0.2.3}
  - {name: d, intake: own, source: 192.0.2.4}
  - {name: e, intake: own, source: 192.0.2.5, payload: content, timestamp: received}
  - {name: f, intake: ios, source: 192.0.2.6, timestamp: received}
spool: {directory: unused}
"""


def router_of(config: Config) -> Router:
    return Router(
        routes=config.routes, intakes=config.intakes, listeners={"udp": None}, sources=config.sources,
        unrouted=config.unrouted, timezone=config.timezone,
    )  # fmt: skip


def disposition_of(peer: int) -> Disposition:
    constant = router_of(parse_text(CONFIG)).profile("udp", ip_address(f"192.0.2.{peer}")).constant
    assert constant is not None
    return constant


@pytest.mark.parametrize(
    ("peer", "payload", "timestamp", "of_format", "refined"),
    [
        (1, "message", "event", None, False),
        (2, "message", "event", "fortinet-fortigate", True),
        (3, "device", "event", "cisco-ios", True),
        (4, "raw", "none", "cisco-ios", False),
        (5, "content", "received", "cisco-ios", False),
        (6, "device", "received", "cisco-ios", True),
    ],
)
def test_precedence_is_route_intake_format_default(
    peer: int, payload: str, timestamp: str, of_format: str | None, refined: bool
) -> None:
    found = disposition_of(peer)
    assert (found.payload, found.timestamp, found.format, found.refined) == (payload, timestamp, of_format, refined)


@pytest.mark.parametrize("name", FORMATS)
def test_every_name_and_alias_may_be_configured(name: str) -> None:
    for alias in (name, *FORMATS[name].aliases):
        config = parse_text(CONFIG.replace("format: fortigate", f"format: {alias}"))
        assert config.intakes["fw"].format == name


def grouped(frames: list[bytes], peer: int, **limits: int):  # type: ignore[no-untyped-def]
    found = disposition_of(peer)
    profile = router_of(parse_text(CONFIG)).profile("udp", ip_address(f"192.0.2.{peer}"))
    return group(
        read_columns(block_of(frames), profile.needs), found, reader=TimeReader(), received_ms=RECEIVED, peer=b"-",
        limits=GroupLimits(window=Window(None, None), **limits),
    )  # fmt: skip


def test_three_events_of_a_group_are_checked_against_the_format() -> None:
    strange = b"<13>Nov 23 07:24:00 host app: unlike any FortiGate"
    assert grouped([FORTIGATE] * 100, 2).sampled == 3
    assert grouped([FORTIGATE] * 100, 2).mismatched == 0
    assert [grouped([strange] * count, 2).mismatched for count in (1, 2, 3, 50)] == [1, 2, 3, 3]
    assert grouped([FORTIGATE, strange, FORTIGATE], 2).mismatched == 1
    assert grouped([strange] * 100, 1).sampled == 0


def test_few_of_many_groups_are_checked() -> None:
    frames = [b"<13>Nov 23 07:%02d:%02d host app: x" % (number // 60, number % 60) for number in range(75)]
    result = grouped(frames * FEW_A_SECOND, 2)
    assert len(result.groups) == 75
    assert result.sampled == result.mismatched
    assert result.sampled <= MOST_SAMPLED + 2


def test_explicit_payload_is_checked_against_the_format() -> None:
    assert grouped([IOS], 3).mismatched == 0
    result = grouped([IOS], 4)
    assert result.groups[0].data == IOS + b"\n"
    assert (result.sampled, result.mismatched) == (1, 1)


def test_pipeline_counts_by_intake(tmp_path: Path) -> None:
    config = parse_text(CONFIG)
    ledger = Ledger()
    spool = build_spool(tmp_path / "spool", wall=lambda: RECEIVED / 1000)
    pipeline = build_pipeline(spool, ledger, wall=lambda: RECEIVED / 1000)
    peers = Peers(router_of(config))
    for address in ("192.0.2.1", "192.0.2.2"):
        peer = peers.get("udp", address)
        pipeline.take(peer, block_of([FORTIGATE] * 8))
        pipeline.take(peer, block_of([b"<13>Nov 23 07:24:00 host app: text"] * 8))
    assert pipeline.read_counts.format_sampled == {"fw": 6}
    assert pipeline.read_counts.format_mismatches == {"fw": 3}
    latest = pipeline.read_counts.format_latest["fw"]
    assert (latest.sampled, latest.mismatches) == (6, 3)


def test_explicit_json_is_unchanged_by_a_format() -> None:
    """A text format does not change a payload form that is set explicitly."""
    text = CONFIG.replace("payload: raw", "payload: json")
    profile = router_of(parse_text(text)).profile("udp", ip_address("192.0.2.4"))
    assert profile.constant is not None
    made = group(
        read_columns(block_of([IOS]), profile.needs), profile.constant, reader=TimeReader(), received_ms=RECEIVED,
        peer=b"-", limits=GroupLimits(window=Window(None, None)),
    )  # fmt: skip
    assert json.loads(made.groups[0].data)["intake"] == "own"
