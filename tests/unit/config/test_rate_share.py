"""Tests the key ``alert_if_rate_below`` of ``sources:``."""

from __future__ import annotations

import yaml

from bridge.config import parse_text
from bridge.config.effective_text import effective
from bridge.config.schema import schema
from bridge.ingest.addresses import address_of
from bridge.ingest.from_config import router
from bridge.routing.conditions import Address

TEXT = f"""
collector: {{region: FRA1}}
listeners: [{{udp: "*:514"}}]
intakes: {{all: {{intake_key: {"k" * 16}}}}}
unrouted: {{intake: all}}
sources:
  - {{source: 10.0.0.1, alert_if_rate_below: 30%}}
  - {{source: 10.0.0.0/8, alert_if_rate_below: 50%}}
spool: {{directory: spool}}
"""


def test_first_entry_that_sets_the_key_decides() -> None:
    found = router(parse_text(TEXT))

    def percent(text: str) -> int | None:
        address: Address | None = address_of(text)
        return found.known(address).rate_below

    assert [percent(text) for text in ("10.0.0.1", "10.0.0.2", "192.0.2.1")] == [30, 50, None]


def test_key_is_in_the_effective_configuration_and_in_the_schema() -> None:
    shown = yaml.safe_load(effective(parse_text(TEXT)))
    assert [source["alert_if_rate_below"] for source in shown["sources"]] == ["30%", "50%"]
    key = schema()["properties"]["sources"]["items"]["properties"]["alert_if_rate_below"]
    assert key["anyOf"] == [{"type": "string", "pattern": "^[0-9]{1,2}%$"}, {"type": "null"}]
