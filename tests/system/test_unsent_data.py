"""Tests that structured data is not thrown away in silence: what a running bridge says of it, and ``payload: auto``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.running import running
from tests.harness.send import udp

SRX = '[junos@2636.1.1.1.2.129 source-address="192.0.2.7" reason="TCP FIN"]'
SOURCE = "127.0.2.1"


def frame(text: str) -> bytes:
    head = f"<14>1 {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} srx-1 RT_FLOW - RT_FLOW_SESSION_CREATE"
    return f"{head} {SRX} {text}".encode()


def test_operator_is_told_what_events_lack_until_it_is_configured(tmp_path: Path) -> None:
    with running(tmp_path) as (collector, bridge):
        with udp(source=SOURCE) as device:
            device.sendto(frame("session created"), ("127.0.0.1", bridge.udp))
        bridge.wait_received(1)
        bridge.wait_drained()
        assert [event.text for event in collector.refresh()] == ["session created"]
        (row,) = until(lambda: bridge.status()["unsent_structured_data"], "the source is listed")
        assert (row["address"], row["intake"], row["ids"]) == (SOURCE, "all", ["junos@2636.1.1.1.2.129"])
        assert (row["payload"], row["payload_chosen"], row["format"]) == ("message", False, "juniper-ngfw")
        status = cli(bridge, "status", "--sources").stdout
        assert f"Events do not have the structured data of {SOURCE}" in status
        assert "structured data that events do not have" in status
        why = cli(bridge, "why", SOURCE).stdout
        assert "healthy, but its structured data is not sent" in why
        assert "Set format: juniper-ngfw" in why
        warning = f"warning: intake all: the events of {SOURCE} lack its structured data (junos@2636.1.1.1.2.129)"
        assert warning in cli(bridge, "check").stdout
        assert "junos" not in bridge.get("/metrics")[1].decode()

        # The configuration to be checked is newer than the one in use.
        bridge.configuration["intakes"]["all"]["payload"] = "auto"
        assert "lack its structured data" not in cli(bridge, "check").stdout
        cli(bridge, "reload")
        with udp(source=SOURCE) as device:
            device.sendto(frame("session closed"), ("127.0.0.1", bridge.udp))
        bridge.wait_received(2)
        bridge.wait_drained()
        until(
            lambda: f"RT_FLOW_SESSION_CREATE {SRX} session closed" in [event.text for event in collector.refresh()],
            "the event has its data",
        )
        assert bridge.status()["unsent_structured_data"] == []
        assert "structured data" not in cli(bridge, "status", "--sources").stdout
        assert ": healthy\n" in cli(bridge, "why", SOURCE).stdout
