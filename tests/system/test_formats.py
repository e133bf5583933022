"""Tests ``format:`` end to end: each device's frame arrives in its parser's form, and mismatches are counted."""

from __future__ import annotations

from pathlib import Path

from bridge.formats import FORMATS
from tests.harness.polling import until
from tests.harness.running import running
from tests.harness.send import udp

# Text that some of the events contain.
EXPECTED = {
    "cisco-ios": "sw-core-01: Nov 23 07:24:00.631 CET: %SYS-5-CONFIG_I: Configured from console by jdoe on vty0",
    "unbound": "[17265:0] info: 192.0.2.10 www.example.org. A IN",
    "rubycat-prove-it": "\ufeff@cee: {",
    "watchguard-firebox": "LEEF:1.0|WatchGuard|XTM|12.8.2.B666661|30000148|serial=80BE08000000\tpolicy=HTTPS-00",
    "juniper-ngfw": "RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.142 reason=",
}


def test_every_format_delivers_its_example_and_counts_mismatches(tmp_path: Path) -> None:
    source = {name: f"127.0.3.{last}" for last, name in enumerate(FORMATS, 1)}
    with running(
        tmp_path,
        intakes={name: {"format": name} for name in FORMATS},
        routes=[{"intake": name, "source": source[name]} for name in FORMATS],
        timestamps={"max_past": "never", "max_future": "never"},
        batch={"max_age": "50ms"},
    ) as (collector, bridge):
        for name, one in FORMATS.items():
            with udp(source=source[name]) as origin:
                origin.sendto(one.example, ("127.0.0.1", bridge.udp))
        with udp(source=source["vmware-esxi"]) as origin:
            origin.sendto(b"<13>Nov 23 07:24:00 host app: nothing that ESXi says", ("127.0.0.1", bridge.udp))
        bridge.wait_received(len(FORMATS) + 1)
        bridge.wait_drained()
        events = until(
            lambda: found if len(found := collector.refresh()) == len(FORMATS) + 1 else None,
            lambda: f"{len(FORMATS) + 1} events; {bridge.status()}",
        )
        texts = [event.text for event in events]
        for name, one in FORMATS.items():
            assert any(one.fits(text.encode()) for text in texts), name
        for name, text in EXPECTED.items():
            assert any(text in arrived for arrived in texts), name
        status = {row["name"]: row for row in bridge.status()["intakes"]}
        wrong = {name: row["format_mismatches"] for name, row in status.items() if row["format_mismatches"]}
        assert wrong == {"vmware-esxi": 1}
        assert all(row["format_sampled"] for row in status.values())
        _, scraped = bridge.get("/metrics")
        assert b'syslog_bridge_format_mismatch_total{intake="vmware-esxi"} 1.0' in scraped
        assert b'syslog_bridge_format_mismatch_total{intake="unbound"} 0.0' in scraped
