"""Tests the alarm for certificates that expire soon."""

import re
from pathlib import Path

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.certificate_expiry import WARN_BEFORE, CertificateExpiry

DAY = 86400.0
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (30 * DAY, None),
        (30 * DAY - 1, "listener tls: its certificate expires in 29 days"),
        (1.0, "listener tls: its certificate expires in less than a day"),
        (0.0, "listener tls: its certificate has expired and clients reject it"),
    ],
)
def test_alarm_starts_thirty_days_before_expiry(left: float, text: str | None) -> None:
    alarms = Alarms()
    CertificateExpiry(alarms, lambda: {"tls": 1e9 + left}, lambda: 1e9).look()
    assert alarms.active.get(("certificate", "tls")) == text


def test_alarm_ends_when_the_certificate_is_renewed() -> None:
    alarms, expires = Alarms(), {"tls": DAY}
    expiry = CertificateExpiry(alarms, lambda: expires, lambda: 0.0)
    expiry.look()
    assert alarms.active
    expires["tls"] = 90 * DAY
    expiry.look()
    assert not alarms.active


def test_documentation_and_prometheus_rule_have_the_same_limit() -> None:
    days = f"{WARN_BEFORE / DAY:.0f}"
    rules = (ROOT / "packaging/prometheus/syslog-bridge.rules.yml").read_text()
    assert re.findall(r"certificate_expiry_seconds < (\d+) \* 86400", rules) == [days]
    said = re.findall(r"certificate.*?\b(\d+) days", (ROOT / "packaging/docs/deploy/tls.md").read_text())
    assert said
    assert set(said) == {days}
