"""Answers of the API at a gateway with every kind of fault at once, with long names and large figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 23, 6, 52, 10, tzinfo=UTC)
JSON = dict[str, Any]

LOSS = "71,827 events dropped since 04:40: the spool of intake firewalls-frankfurt is full"


def ago(**units: float) -> str:
    return (NOW - timedelta(**units)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def problem(kind: str, state: str, text: str, remedy: str = "", affected: tuple[str, ...] = (), **since: float) -> JSON:
    return {
        "kind": kind, "state": state, "text": text, "remedy": remedy, "affected": list(affected),
        "since": ago(**since) if since else None,
    }  # fmt: skip


PROBLEMS = [
    problem("loss", "critical", LOSS, "Restore delivery, then raise max_size", ("firewalls-frankfurt",), hours=2.2),
    problem(
        "collector", "critical",
        "Collector unreachable since 04:40; 5 intakes, 2,681 events safe on disk; full in 9 h",
        'Run "syslog-bridge check --connect": it names the step that fails (DNS, firewall, proxy)',
        ("proxies-munich", "proxies-paris", "vpn-gateways", "servers-linux", "servers-windows"), hours=2.2,
    ),
    problem(
        "parked", "critical", 'Intake wrong-key is parked: the collector answered 401: {"error": "unknown intake key"}',
        "Put the right intake key into its file", ("wrong-key",), minutes=12,
    ),
    problem(
        "rejected", "degraded", "Listener secure rejects 192.0.2.77 and 2001:db8:85a3:8d3:1319:8a2e:370:7348: plain"
        " text on a TLS port, 48 times", "Send to a tcp: listener, or let the sender use TLS", ("192.0.2.77",),
        hours=30,
    ),
    problem("unrouted", "degraded", "Messages from 212 sources match no route", "Add a route", ("10.20.30.40",)),
    problem("silence", "degraded", "Source fw-lyon (192.0.2.9) is silent", "Check the device", ("fw-lyon",), days=3),
    problem("structured_data", "notice", "Events do not have the structured data of 3 sources", "Set payload: auto"),
    problem("defect", "degraded", "The ledger does not balance", affected=("ledger",)),
    problem(
        "drift", "degraded", "Source sw-core-zurich-02 changed its format: rfc3164 before, cisco-ios now",
        "Set format: cisco-ios", tuple(f"10.0.{n}.1" for n in range(30)), minutes=3,
    ),
]  # fmt: skip
ENDED = [
    {
        "kind": "collector", "state": "critical", "text": "Collector unreachable; 2 intakes", "since": ago(hours=9),
        "ended": ago(hours=8.5),
    },
    {
        "kind": "sync", "state": "degraded", "text": "The disk syncs slowly", "since": ago(days=1.2),
        "ended": ago(days=1.19),
    },
]  # fmt: skip


def intake(name: str, state: str, **changed: Any) -> JSON:
    answer = {
        "at": ago(seconds=2), "outcome": "accepted", "status": 200, "text": None, "accepted": 1200, "first_id": "a",
        "last_id": "b",
    }  # fmt: skip
    row = {
        "name": name, "state": state, "backlog_events": 0, "backlog_bytes": 0, "oldest_seconds": None,
        "last_error": None, "received_per_second": 812.4, "delivered_per_second": 811.9, "last_answer": answer,
        "last_acceptance": answer, "delivered": 183_204_112, "unconfirmed": 0, "requests": {"accepted": 152_670},
        "next_attempt_seconds": None, "body_limit_bytes": None, "late_after_seconds": 60.0,
        "delivered_bytes_today": 48_112_000_000, "quota_bytes": None, "format_sampled": 5000, "format_mismatches": 0,
        "format_latest_sampled": 200, "format_latest_mismatches": 0,
    }  # fmt: skip
    return row | changed


def failing(events: int) -> JSON:
    return {
        "backlog_events": events, "backlog_bytes": events * 640, "oldest_seconds": 7930.0,
        "last_error": "no connection: Connection refused", "next_attempt_seconds": 41.0, "delivered_per_second": 0.0,
    }  # fmt: skip


INTAKES = [
    intake("firewalls-frankfurt", "full", **failing(18_204_117)),
    intake("servers-linux", "delivering", full_in_seconds=1200.0, backlog_events=20, oldest_seconds=0.2),
    intake("wrong-key", "parked", **failing(12) | {"last_error": 'the collector answered 401: {"error": "unknown"}'}),
    intake("proxies-munich", "backing-off", **failing(2210), full_in_seconds=32_400.0),
    intake("proxies-paris", "backing-off", **failing(471)),
    intake("vpn-gateways", "idle", format_mismatches=3120, format_latest_mismatches=125),
]
DROPPED = {"spool_full": 71_827}
REJECTED = [
    {
        "address": "192.0.2.77", "name": None, "listener": "secure", "reason": "plain_text",
        "meaning": "plain text on a TLS port", "count": 48, "first": ago(hours=30), "last": ago(minutes=1),
        "seconds_ago": 60, "remedy": "Send to a tcp: listener, or let the sender use TLS",
    },
    {
        "address": "2001:db8:85a3:8d3:1319:8a2e:370:7348", "name": "backup-appliance-data-center-2",
        "listener": "branch-offices", "reason": "not_in_allow", "count": 4, "last": ago(days=2), "seconds_ago": 172_800,
        "remedy": "Add the address to allow",
    },
]  # fmt: skip
DRIFT = {
    "address": "10.0.0.1", "listener": "udp-514", "name": "sw-core-zurich-02", "intake": "servers-linux",
    "format": "cisco-asa", "since": ago(minutes=3), "old_shape": "rfc3164 with %ASA-", "new_shape": "rfc5424",
    "sampled": 40, "mismatches": 40, "fitting_format": "cisco-ios", "product": "Cisco IOS",
    "text": "source sw-core-zurich-02 changed its messages: rfc5424 instead of rfc3164 with %ASA-",
    "remedy": "if it was updated, set format: cisco-ios",
}  # fmt: skip
LISTENERS = {"udp-514": 514, "branch-offices": 1514, "secure": 6514}

STATUS: JSON = {
    "headline": {
        "state": "critical", "text": f"{LOSS}. And 8 more problems below.", "problems": PROBLEMS, "ended": ENDED,
    },
    "taken": ago(seconds=0), "version": "0.1.0", "gateway": "gw-frankfurt-02", "started": ago(days=41),
    "uptime_seconds": 41 * 86400, "rates": {"received": 11_204.0, "delivered": 812.0},
    "ledger": {
        "received": 201_410_224, "recovered": 20_044, "replayed": 0, "taken_over": 0, "delivered": 183_204_112,
        "spooled": 18_206_810, "buffered": 122, "quarantined": 1310, "filtered": 40_211, "handed_over": 0,
        "dropped": DROPPED,
    },
    "intakes": INTAKES, "sources": [],
    "sources_count": {"total": 10_412, "unrouted": 212, "clock": 2, "silent": 3},
    "gateway_clock_offset_seconds": -0.4, "unrouted": [{"address": "10.20.30.40"}],
    "kernel_drops": {"udp-514": 1204}, "listeners": LISTENERS,
    "listener_details": {
        "udp-514": {"kind": "udp", "address": "*:514", "connections": None, "max_connections": None},
        "branch-offices": {"kind": "relp", "address": "[::]:1514", "connections": 204, "max_connections": 1000},
        "secure": {"kind": "tls", "address": "*:6514", "connections": 1000, "max_connections": 1000},
    },
    "quarantine": {"refused": 204, "oversize": 2, "damaged": 0, "unrouted": 1104},
    "spool": {
        "bytes": 41_200_000_000, "limit_bytes": 50_000_000_000, "full_in_seconds": 86_400 * 3, "limited_by": "min_free",
        "disk_free_bytes": 9_000_000_000, "min_free_bytes": 5_000_000_000,
    },
    "held_connections": 3, "possible_duplicates": {"servers-linux": 58},
    "refused_connections": {"udp-514": 0, "branch-offices": 4, "secure": 48},
    "refusals": {"branch-offices": {"not_in_allow": 4}, "secure": {"plain_text": 40, "max_connections_per_peer": 8}},
    "clients_not_in_client_names": [
        {
            "listener": "secure", "names": ["gateway-paris-03.branch.example.com"], "address": "192.0.2.80",
            "last_seen": ago(minutes=20), "pattern": "*.branch.example.com", "silent_seconds": 1200,
        },
    ],
    "clients_not_in_client_names_count": 1,
    "certificates": {"secure": 5 * 86400, "admin.listen": 80 * 86400},
    "silent_sources": {"192.0.2.9": 3 * 86400, "fw-very-long-name-of-a-firewall-in-lyon-02": 4000},
    "silent_source_names": {"192.0.2.9": "fw-lyon"},
    "rejected_sources": REJECTED, "health_checks": {"secure": 1440}, "drifts": [DRIFT],
    "alarms": [], "fleet": None, "config_sha256": "9b8d4c45ae42" * 5,
}  # fmt: skip


def source(number: int, **changed: Any) -> JSON:
    row = {
        "address": f"10.{number // 250}.{number % 250}.1", "listener": "udp-514", "client": None, "behind": None,
        "name": None, "route": "firewalls", "intake": "firewalls-frankfurt", "events": 18_204_112 // (number + 1),
        "events_per_second": 812.0 / (number + 1), "last_seen": ago(seconds=1), "silent_seconds": 1,
        "shape": "fortinet", "clock_offset_seconds": -0.2, "clock": "right", "clock_kind": None, "clock_remedy": None,
        "times_not_believed": 0, "unrouted": 0, "limited": 0, "sequence_missing": None, "expect_seconds": None,
    }  # fmt: skip
    return row | changed


SOURCES = [
    source(0, name="fw-very-long-name-of-a-firewall-in-lyon-02", expect_seconds=60, silent_seconds=4000),
    source(1, address="2001:db8:85a3:8d3:1319:8a2e:370:7348", behind="192.0.2.1", client="gateway.example.com"),
    source(2, clock="2 hours ahead: local time without zone", clock_remedy="set sources: timezone to Europe/Paris"),
    source(3, route="unrouted", intake=None, sequence_missing=12_000, limited=40),
    source(4, name="N" * 250, shape="structured-data"),
    *(source(number) for number in range(5, 50)),
]
LOG = [
    ("warn", "deliver", "intake proxies-munich: no connection: Connection refused; attempt 8, next in 48.1 s"),
    ("error", "spool", "intake firewalls-frankfurt has used its share of the spool: its oldest events are dropped"),
    ("info", "app", "ready: udp-514 (udp port 514), branch-offices (relp port 1514), secure (tls port 6514)"),
]
TIMES = [NOW.timestamp() - 20 * n for n in range(180, 0, -1)]
RATES = [100.0 + n % 20 for n in range(180)]

ANSWERS: JSON = {
    "api/status": STATUS,
    "api/sources": {"total": 10_412, "matching": 10_412, "offset": 0, "sources": SOURCES},
    "api/source": {
        "address": "10.0.0.1", "messages_shown": True,
        "seen": [
            SOURCES[0] | {
                "identified": None, "messages": [], "format_mismatch_share": 1.0,
                "shapes": [{"shape": "rfc5424", "share": 0.97}, {"shape": None, "share": 0.03}],
                "drift": DRIFT | {"before": "<13>Nov 23 06:40:00 sw %ASA-1", "after": "<13>1 2026-11-23 sw IOS"},
            }
        ],
        "rejections": [REJECTED[0] | {"accepted_since": ago(minutes=2)}],
        "usual_rate": {
            "percent": 50, "hour": "06:00", "per_minute": 12.0, "usual_per_minute": 840.0, "limit_per_minute": 420.0,
            "observations": 14, "needed_observations": 7,
        },
    },
    "api/unrouted": {
        "total": 212,
        "unrouted": [
            {
                "address": address, "listener": "udp-514", "events": 1104, "last_seen": ago(seconds=4),
                "sample": '<189>date=2026-11-23 time=06:52:06 devname="fw-new" devid="FG200" type="traffic"',
                "guesses": [{"format": "fortinet-fortigate", "product": "Fortinet FortiGate"}], "guessed": True,
                "runner_up": None, "matched": 10, "examined": 10, "relay_of": 0, "timezone_candidates": [],
                "clock": "its messages name their zone, in 10 of 10 times",
                "confidence": 1.0, "reason": "date= time= devname= in 10 of 10 messages",
                "paste_where": "Paste it into bridge.yaml below line 41 (routes:)",
                "new_intake": "fortinet-fortigate:\n  intake_key: {file: fortinet-fortigate.key}\n",
                "new_intake_where": "Paste it into bridge.yaml below line 12. Write the intake key into its file",
                "route": f'routes:\n  - name: from-{address}\n    source: "{address}"\n    intake: NAME  # one of'
                " firewalls-frankfurt, servers-linux, proxies-munich\n",
            }
            for address in ("10.20.30.40", "2001:db8:85a3:8d3:1319:8a2e:370:7348")
        ],
    },
    "api/quarantine": {
        "held": STATUS["quarantine"],
        "last": [
            {
                "reason": reason, "received_ms": int(NOW.timestamp() * 1000), "listener": "udp-514",
                "address": "2001:db8:85a3:8d3:1319:8a2e:370:7348", "intake": "servers-linux",
                "why": "the collector answered 400 to this event alone",
                "sample": "<13>Nov 23 06:52 gw app: " + "y" * 400,
                "bytes": 300_000,
            }
            for reason in ("refused", "oversize", "unrouted")
        ],
    },
    "api/log": {
        "log": [
            {"time": ago(seconds=5 * n), "level": level, "logger": logger, "text": text}
            for n, (level, logger, text) in enumerate(LOG * 30)
        ]
    },
    "api/history": {
        "step": 5.0, "time": TIMES, "received": RATES, "delivered": RATES[::-1], "dropped": [n % 3 for n in range(180)],
        "waiting": [18_000_000 + 1000 * n for n in range(180)], "oldest": [40.0 * n for n in range(180)],
        "delay": [None, *(0.4 for _ in range(179))],
    },
    "api/intake_history": {
        "step": 20.0, "time": TIMES,
        "intakes": {
            row["name"]: {"received": RATES, "delivered": [rate / 2 for rate in RATES], "waiting": [*range(180)]}
            for row in INTAKES
        },
    },
}  # fmt: skip
