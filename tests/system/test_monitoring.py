"""Tests that the contract's metrics are exported, and that dashboard and alert rules use no other metrics."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import running
from tests.harness.send import send_lines
from tests.peers.unpacked import PeerMissing, Unpacked

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = CHECKOUT / "packaging/prometheus/syslog-bridge.rules.yml"
DASHBOARD = CHECKOUT / "packaging/grafana/syslog-bridge.json"

# Stable metrics: name, labels.
CONTRACT = {
    "events_received_total": ["listener"],
    "events_delivered_total": ["intake"],
    "events_dropped_total": ["reason"],
    "events_filtered_total": ["route"],
    "events_quarantined": ["intake", "reason"],
    "spool_bytes": ["intake"],
    "spool_events": ["intake"],
    "spool_oldest_seconds": ["intake"],
    "requests_total": ["intake", "outcome"],
    "delivery_seconds": [],
    "timestamp_error_seconds": [],
    "udp_receive_buffer_drops_total": ["listener"],
    "possible_duplicates_total": ["intake"],
    "intake_state": ["intake", "state"],
    "route_events_total": ["route"],
    "certificate_expiry_seconds": ["name"],
    "config_info": ["sha256"],
    "config_last_reload_success": [],
    "build_info": [],
    "ledger_imbalance_events": [],
    "reactor_stall_seconds": [],
}
# Without a TLS listener there is no certificate.
WITHOUT_SAMPLES = {"certificate_expiry_seconds"}


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the metrics of a bridge that has delivered, filtered and held events."""
    routes = [{"name": "noise", "drop": True, "message": {"contains": ["noise"]}}, {"intake": "all", "app_name": "app"}]
    with running(tmp_path_factory.mktemp("metrics"), routes=routes, unrouted="hold") as (collector, bridge):
        send_lines(bridge.tcp, [b"<13>Nov 23 07:24:00 gw app: one", b"<13>Nov 23 07:24:00 gw app: noise", b"<13>other"])
        collector.wait_for(1)
        bridge.wait_drained()
        return bridge.get("/metrics")[1].decode()


def families(scrape: str) -> set[str]:
    """Returns all metric names, including the series of histograms."""
    found = dict(re.findall(r"^# TYPE syslog_bridge_(\S+) (\S+)$", scrape, re.M))
    parts = {
        f"{name}_{part}" for name, kind in found.items() if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    return set(found) | parts


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_metrics_are_exported(scrape: str, name: str) -> None:
    assert name in families(scrape)
    if name in WITHOUT_SAMPLES:
        return
    samples = re.findall(rf"^syslog_bridge_{name}(?:_count)?(?:{{(.*)}})? \S+$", scrape, re.M)
    assert samples, f"no sample of {name}"
    labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)}
    assert labels >= set(CONTRACT[name])


def test_sources_are_never_metric_labels(scrape: str) -> None:
    assert "127.0.0.1" not in scrape


def test_dashboard_uses_only_exported_metrics(scrape: str) -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    used = {name for panel in dashboard["panels"] for target in panel["targets"] for name in names(target["expr"])}
    assert len(used) > 10
    assert used <= families(scrape), used - families(scrape)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_alert_rules_use_only_exported_metrics(scrape: str) -> None:
    # The clock metric exists once a collector has answered with its time.
    assert names(RULES.read_text()) <= families(scrape)


def names(text: str) -> set[str]:
    return set(re.findall(r"syslog_bridge_(\w+)", text))


def test_promtool_accepts_rules_metrics_and_dashboard_queries(scrape: str) -> None:
    try:
        promtool = str(Unpacked.find("prometheus").root / "usr/bin/promtool")
    except PeerMissing as missing:
        pytest.skip(str(missing))
    for arguments, given in (
        (["check", "rules", str(RULES)], ""),
        (["test", "rules", str(CHECKOUT / "tests/package/rules_test.yml")], ""),
        (["check", "metrics"], scrape),
    ):
        done = subprocess.run([promtool, *arguments], input=given, capture_output=True, text=True, timeout=120)
        # `check metrics` exits with 3 for style warnings on names; the contract's names stay.
        assert done.returncode in ((0, 3) if arguments[1] == "metrics" else (0,)), done.stdout + done.stderr
        assert "error while linting" not in done.stderr
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            expression = re.sub(r"\$__\w+", "5m", target["expr"]).replace("$instance", ".*")
            rule = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": expression}]}]}
            done = subprocess.run(
                [promtool, "check", "rules", "/dev/stdin"], input=json.dumps(rule), capture_output=True, text=True
            )
            assert done.returncode == 0, f"{target['expr']}: {done.stderr}"
