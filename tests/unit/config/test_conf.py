"""Tests that the files of `conf/` load, that their options are valid, and that reference values load."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.config import Listener, load, parse_text
from bridge.config.collector_section import CollectorSection
from bridge.config.gateway_sections import AdminSection, BatchSection, LedgerSection, SpoolSection, TimestampsSection
from tests.harness.pki import Authority

CONF = Path(__file__).parents[3] / "conf"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_conf_files_load(path: Path) -> None:
    assert load(path, secrets=False).intakes


def test_commented_file_shows_the_defaults() -> None:
    config = load(CONF / "bridge.yaml", secrets=False)
    assert config.collector == CollectorSection().model_copy(update={"region": "FRA1"})
    assert config.timestamps == TimestampsSection()
    assert config.batch == BatchSection()
    assert config.spool == SpoolSection().model_copy(update={"directory": Path("/var/lib/syslog-bridge/spool")})
    assert config.ledger == LedgerSection()
    assert config.admin == AdminSection()
    for listener in config.listeners:
        own = {"name": listener.name, listener.kind: listener.address}
        assert listener == Listener().model_copy(update=own)
    assert (config.max_frame_size, config.oversize, str(config.timezone)) == (256_000, "quarantine", "UTC")


def test_options_of_the_commented_file_are_valid(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^( *)#(?=[^ \n])|^#(?=  )", r"\1", (CONF / "bridge.yaml").read_text())
    assert "#include" not in text and "\n# Durations" in text
    issued = Authority(tmp_path).issue("gateway.example")
    for written, real in (("tls/server.pem", issued.certificate), ("tls/server.key", issued.private_key)):
        text = text.replace(written, str(real))
    text = text.replace("proxy-ca.pem", str(issued.certificate))
    config = parse_text(text.replace("{file: keys/all}", "key"))
    assert [listener.kind for listener in config.listeners] == ["udp", "tcp", "tls", "relp"]
    assert [route.name for route in config.routes] == ["routine", "firewalls", "logins"]
    assert (len(config.sources), len(config.redact)) == (3, 1)
    assert config.spool.archive and config.admin.alerts_intake == "all"


def test_datacenter_site_includes_its_branches() -> None:
    config = load(CONF / "site-datacenter.yaml", secrets=False)
    assert [path.name for path in config.files] == ["site-datacenter.yaml", "branches.yaml"]
    assert config.routes[-1].name == "branches"
    assert config.intakes["branch-firewalls"].destination.url == "https://intake.usa1.sekoia.io/api/v1/intake-http"
    assert config.intakes["asa"].destination.url == "https://intake.fra2.sekoia.io/api/v1/intake-http"


# Every key of the reference with the reference's value, in another order.
FULL_TEXT = """
timezone: UTC
max_frame_size: 250KiB
oversize: quarantine
unrouted: {hold: {max_size: 500MB, max_age: 7d}}
timestamps: {max_past: 31d, max_future: 1d}
batch: {max_age: 2s, max_events: 20000, max_bytes: 5MB, timestamp_resolution: 1s, backlog_timestamp_resolution: 60s}
ledger: {keep: 400d}
admin: {listen: 127.0.0.1:8514, alerts_intake: null}
collector:
  {region: FRA1, endpoint: /plain/batch, authentication: header, compression: gzip, proxy: null, extra_ca_file: null,
   client_cert_file: null, timeout: 30s, connections: 8, connections_per_intake: 4, max_request_rate: 50,
   small_batches: plain, max_bandwidth: null}
spool:
  {directory: /var/lib/syslog-bridge/spool, max_size: 80%, min_free: 10%, when_full: drop-oldest, order: live-first,
   fsync: backlog, archive: null, quarantine: {max_size: 1GB, max_age: 30d}}
listeners:
  - {name: shared-udp, udp: "*:514", receive_buffer: 16MiB}
  - name: shared-tcp
    tcp: "*:514"
    framing: auto
    max_connections: 1000
    max_connections_per_peer: 50
    idle_timeout: never
    allow: [10.0.0.0/8, 192.0.2.0/24]
  - {name: secure, tls: "*:6514", cert_file: /etc/a.pem, key_file: /etc/a.key, client_ca_file: null}
  - {name: veeam, tcp: "*:20517", intake: veeam}
sources:
  - {source: 10.9.0.5, relay: true}
  - {source: 10.20.0.0/16, timezone: America/New_York}
  - {source: 192.0.2.7, name: fw-lyon, alert_if_silent_for: 10m, rate_limit: 5000/s, detect_gaps: true}
intakes:
  firewalls: {intake_key: key, format: fortigate}
  linux: {intake_key: key, payload: line, encoding: auto}
  veeam: {intake_key: key, timestamp: received, quota: 20GB/day, scattered_endpoint: /array}
routes:
  - {name: noise, drop: true, source: 10.1.0.1, message: {contains: ['subtype="local"']}}
  - {name: fw, intake: firewalls, source: [10.1.0.0/16, 192.0.2.7, "2001:db8::/64"]}
  - name: web-logins
    intake: linux
    listener: shared-tcp
    hostname: ["web-*", "db-??"]
    app_name: [sshd, sudo]
    min_severity: notice
    except: {hostname: "web-test-*"}
    payload: content
"""


@pytest.fixture
def full_text(tmp_path: Path) -> str:
    issued = Authority(tmp_path).issue("gateway.example")
    text = FULL_TEXT.replace("/etc/a.pem", str(issued.certificate))
    return text.replace("/etc/a.key", str(issued.private_key))


def test_reference_configuration_is_parsed_to_its_values(full_text: str) -> None:
    config = parse_text(full_text)
    udp, tcp, secure, veeam = config.listeners
    assert (udp.kind, str(udp.address), udp.receive_buffer, udp.allow) == ("udp", "*:514", 16 << 20, None)
    assert (secure.kind, str(secure.address), secure.client_ca_file) == ("tls", "*:6514", None)
    assert tcp.allow is not None
    assert [str(network) for network in tcp.allow] == ["10.0.0.0/8", "192.0.2.0/24"]
    assert (tcp.idle_timeout, veeam.intake) == (None, "veeam")
    relay, branch, firewall = config.sources
    assert (relay.relay, str(branch.timezone)) == (True, "America/New_York")
    assert firewall.alert_if_silent_for == timedelta(minutes=10)
    assert (firewall.rate_limit, firewall.detect_gaps) == (5000, True)
    assert list(config.intakes) == ["firewalls", "linux", "veeam"]
    assert config.intakes["linux"].payload == "line"
    assert config.intakes["firewalls"].format == "fortinet-fortigate"
    assert (config.intakes["veeam"].timestamp, config.intakes["veeam"].quota) == ("received", 20 * 10**9)
    assert config.intakes["veeam"].destination.scattered_endpoint == "/array"
    assert config.intakes["linux"].destination.scattered_endpoint is None
    noise, firewalls, logins = config.routes
    assert (noise.drop, noise.message and noise.message.contains) == (True, ('subtype="local"',))
    assert [str(network) for network in firewalls.source] == ["10.1.0.0/16", "192.0.2.7/32", "2001:db8::/64"]
    assert (logins.listener, logins.hostname, logins.min_severity) == (("shared-tcp",), ("web-*", "db-??"), 5)
    assert logins.except_ is not None
    assert logins.except_.hostname == ("web-test-*",)
    assert (config.unrouted.kind, config.unrouted.limits.max_size) == ("hold", 500_000_000)
    assert config.timestamps.max_past == timedelta(days=31)
    assert (str(config.spool.max_size), config.spool.quarantine.max_size) == ("80%", 10**9)
