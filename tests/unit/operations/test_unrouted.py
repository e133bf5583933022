"""Tests the list of unrouted senders: their product and route, and the hosts behind a relay."""

from bridge.config import parse_text
from bridge.operations import unrouted
from bridge.operations.unrouted import unrouted_rows
from bridge.spool.quarantine_entry import QuarantineEntry

CONFIG = parse_text(
    "collector: {region: FRA1}\nlisteners:\n  - {name: udp, udp: '127.0.0.1:5514'}\n"
    f"intakes:\n  fw: {{intake_key: {'k' * 16}, format: fortigate}}\n  other: {{intake_key: {'l' * 16}}}\n"
    "sources: [{source: 192.0.2.9, relay: true}]\nspool: {directory: x}\n"
    "routes:\n  - {name: a, source: 10.0.0.1, intake: other}\n",
    "bridge.yaml",
)
FORTIGATE = b'<189>date=2026-11-23 time=07:24:00 devname="fw" devid="FG1" logid="0000000013" type="traffic"'


def entry(peer, frame, received_ms=1_795_418_640_000):
    return QuarantineEntry(received_ms, "udp", peer, frame, "no route matches")


def test_senders_have_their_product_and_a_route():
    first, last = unrouted_rows(CONFIG, [entry("192.0.2.1", b"<13>x")] + [entry("192.0.2.7", FORTIGATE, 1)] * 4)
    assert (first["address"], first["frames"], first["product"]) == ("192.0.2.7", 4, "Fortinet FortiGate")
    assert first["route"] == '  - name: "from-192.0.2.7"\n    source: "192.0.2.7"\n    intake: fw\n'
    assert first["paste_where"] == "Paste it after line 10 of bridge.yaml"
    assert last["product"] is None
    assert "intake: INTAKE" in last["route"]


def test_hosts_behind_a_relay_are_senders():
    frames = [
        b"<13>Nov 23 07:24:00 web-1 app: x",
        b"<13>Nov 23 07:24:00 web-2 app: x",
        b"<13>Nov 23 07:24:00 web-2 app: y",
    ]
    rows = unrouted_rows(CONFIG, [entry("192.0.2.9", frame) for frame in frames])
    assert [(row["address"], row["behind"], row["frames"]) for row in rows] == [
        ("web-2", "192.0.2.9", 2), ("web-1", "192.0.2.9", 1),
    ]  # fmt: skip
    assert '    source: "192.0.2.9"\n    hostname: "web-2"\n' in rows[0]["route"]


def test_only_the_busiest_senders_are_identified(monkeypatch):
    monkeypatch.setattr(unrouted, "MOST_IDENTIFIED", 1)
    first, last = unrouted_rows(CONFIG, [entry("192.0.2.7", FORTIGATE)] * 2 + [entry("192.0.2.8", FORTIGATE)])
    assert first["product"] is not None
    assert (last["product"], last["reason"]) == (None, "not analysed")


def test_sender_that_a_new_route_matches_needs_no_other_route():
    (row,) = unrouted_rows(CONFIG, [entry("10.0.0.1", b"<13>x")] * 2)
    assert (row["frames"], row["matching_route"], row["route"]) == (2, "a", "")
    assert row["paste_where"] == (
        "Route a matches its latest message now. Run syslog-bridge reload and syslog-bridge unrouted reroute."
    )
    (unmatched,) = unrouted_rows(CONFIG, [entry("192.0.2.7", FORTIGATE)])
    assert unmatched["matching_route"] is None and unmatched["route"]
