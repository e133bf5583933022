"""Tests that status, `status`, `/metrics`, `/readyz` and `why` report a day of faults without contradiction.

The test prints a table of the faults and of what each surface says (`pytest -s`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.why_incidents import STEPS
from bridge.cli.why_step import NOTE, WRONG
from bridge.monitoring.alarm_kinds import HEALTHY, KINDS
from bridge.monitoring.problem_history import EVERY as PROBLEMS_EVERY
from bridge.monitoring.problem_history import MIN_SECONDS
from tests.harness.bridge import Bridge, key_of
from tests.harness.cli import cli
from tests.harness.collector import Collector
from tests.harness.gate import Gate
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging
from tests.harness.send import send_lines

INTAKES = ("web", "dns", "firewalls", "wrong-key")
ROUTED = {name: f"127.0.1.{number}" for number, name in enumerate(INTAKES, start=1)}
SILENT, WRONG_CLOCK, UNROUTED, PLAIN, DRIFTED = "127.0.7.1", "127.0.6.1", "127.0.5.1", "127.0.4.1", "127.0.8.1"
UNREDACTED, UNMATCHED = "127.0.9.1", "127.0.10.1"
FAULTS = {
    "outage": ("collector", ROUTED["web"]),
    "parked key": ("parked", ROUTED["wrong-key"]),
    "full spool": ("loss", ROUTED["firewalls"]),
    "silent source": ("silence", SILENT),
    "clock off": ("clock", WRONG_CLOCK),
    "unrouted": ("unrouted", UNROUTED),
    "rejected TLS sender": ("rejected", PLAIN),
    "drift": ("drift", DRIFTED),
    "slow rule of redact": ("unredacted", UNREDACTED),
    "slow route": ("match_limit", UNMATCHED),
}
"Fault -> kind of its problem, and the sender that suffers from it."


@contextmanager
def gateway(directory: Path) -> Iterator[tuple[Bridge, Gate, int]]:
    """Runs a bridge behind a gate; yields also the port of its TLS listener."""
    collector = Collector(directory / "collector", keys=tuple(key_of(name) for name in INTAKES[:3]))
    collector.start()
    gate = Gate(collector.port)
    gate.open()
    server, port = Authority(directory / "pki").issue("127.0.0.1", file="server"), free_port()
    routes: list[dict[str, Any]] = [{"name": "slow", "intake": "dns", "message": {"matches": ["(y+)+$"]}}]
    routes += [{"intake": name, "source": address} for name, address in ROUTED.items()]
    routes.append({"intake": "web", "source": [WRONG_CLOCK, DRIFTED]})
    try:
        with bridging(directory, gate.url, intakes={name: {} for name in INTAKES}, routes=routes) as bridge:
            bridge.configuration["unrouted"] = "hold"
            bridge.configuration["redact"] = [{"name": "slow", "regex": "(x+)+$", "source": UNREDACTED}]
            bridge.configuration["spool"] |= {"max_size": "4MB", "min_free": "1MB"}
            bridge.configuration["sources"] = [{"source": SILENT, "name": "fw-silent", "alert_if_silent_for": "1s"}]
            bridge.configuration["listeners"].append(
                {"name": "secure", "tls": f"127.0.0.1:{port}", "cert_file": str(server.certificate),
                 "key_file": str(server.private_key)}
            )  # fmt: skip
            bridge.start()
            yield bridge, gate, port
    finally:
        collector.stop()


def send(bridge: Bridge, source: str, *, behind: timedelta = timedelta(), count: int = 3, size: int = 0) -> None:
    when = datetime.now(UTC) - behind
    send_lines(bridge.tcp, (rfc5424(n, when).frame + b" " + b"x" * size for n in range(count)), source=source)


def send_other_messages(bridge: Bridge) -> None:
    """Sends messages as a device may after a firmware update, from the source that is known for others."""
    head = f"<13>{datetime.now(UTC):%b %d %H:%M:%S} gw CEF:0|Vendor|Product|2.0"
    texts = (f"{head}|{n}|event|5|src=192.0.2.7".encode() for n in range(4))
    send_lines(bridge.tcp, texts, source=DRIFTED)


def kinds(bridge: Bridge) -> set[str]:
    return {problem["kind"] for problem in bridge.status()["headline"]["problems"]}


def masked(text: str) -> str:
    """Returns a text without the figures that change from one moment to the next."""
    text = re.sub(r"not growing|full in [^;.\n]*|(?<=; )full(?=[;.]|$)", "FULL", text, flags=re.M)
    return re.sub(r"\d[\d.,:]*(?: (?:s|min|h|d|B|kB|MB|GB)\b)?", "N", text)


def surfaces(bridge: Bridge) -> dict[str, list[str]]:
    """Returns what each surface says of the problems: the kinds of two, and the texts of three."""
    metrics = bridge.get("/metrics")[1].decode()
    problems = bridge.status()["headline"]["problems"]
    shown = cli(bridge, "status", "--sources").stdout
    counted = re.findall(r'^syslog_bridge_problems\{kind="(\w+)",state="(\w+)"\} (\d+)\.0$', metrics, re.M)
    assert {kind for kind, _, _ in counted} == set(KINDS), "every kind always has a series"
    return {
        "status": sorted(f"{problem['state']} {problem['kind']}" for problem in problems),
        "metrics": sorted(
            f"{state} {kind}" for kind, state, number in counted for _ in range(int(number))
        ),
        "texts": sorted(masked(problem["text"]) for problem in problems),
        "readyz": sorted(
            masked(line.partition(": ")[2]) for line in bridge.get("/readyz")[1].decode().splitlines()
        ),
        "command": sorted(
            masked(problem["text"]) for problem in problems if masked(problem["text"]) in masked(shown)
        ),
    }  # fmt: skip


def agree(found: dict[str, list[str]]) -> bool:
    return found["status"] == found["metrics"] and found["texts"] == found["readyz"] == found["command"]


def cause_faults(bridge: Bridge, gate: Gate, tls_port: int) -> None:
    send(bridge, DRIFTED, count=120)
    send(bridge, ROUTED["wrong-key"])
    until(lambda: "parked" in kinds(bridge), lambda: f"parked: {bridge.status()['headline']}")
    gate.shut()
    for name in ("web", "dns", "firewalls"):
        send(bridge, ROUTED[name])
    send(bridge, UNROUTED)
    send_lines(bridge.tcp, [b"<13>gw app: " + b"x" * 300 + b"!"], source=UNREDACTED)
    send_lines(bridge.tcp, [b"<13>gw app: " + b"y" * 400 + b"!"], source=UNMATCHED)
    send(bridge, WRONG_CLOCK, behind=timedelta(minutes=55))
    with suppress(OSError), socket.create_connection(("127.0.0.1", tls_port), source_address=(PLAIN, 0)) as plain:
        plain.sendall(b"<13>plain text\n" * 10)
        plain.settimeout(10)
        plain.recv(1000)
    send(bridge, ROUTED["firewalls"], count=6000, size=2000)


@pytest.mark.weight(60)
def test_all_surfaces_report_the_same_problems(tmp_path: Path) -> None:
    with gateway(tmp_path) as (bridge, gate, tls_port):
        until(lambda: bridge.status()["headline"]["state"] == HEALTHY or kinds(bridge) == {"silence"}, "healthy")
        cause_faults(bridge, gate, tls_port)
        expected = {kind for kind, _ in FAULTS.values()} & set(KINDS)

        def faults_are_found() -> bool:
            send_other_messages(bridge)
            # A drift is confirmed after 40 s at the earliest; a loss that does not go on has ended after 50 s.
            send(bridge, ROUTED["firewalls"], count=100, size=2000)
            return expected <= kinds(bridge)

        until(faults_are_found, lambda: f"{expected}: {bridge.status()['headline']}", every_seconds=0.5)
        found: dict[str, list[str]] = {}

        def surfaces_agree() -> bool:
            found.update(surfaces(bridge))
            return agree(found)

        until(surfaces_agree, lambda: str(found))
        headline = bridge.status()["headline"]
        assert headline["state"] == "critical"
        assert headline["text"].startswith(headline["problems"][0]["text"])
        assert headline["problems"][0]["kind"] == "loss", "loss comes first"
        assert all(problem["remedy"] for problem in headline["problems"]), headline
        (outage,) = [problem for problem in headline["problems"] if problem["kind"] == "collector"]
        assert set(outage["affected"]) >= {"web", "dns", "firewalls"}, "an outage is one problem"
        assert outage["text"].startswith("Collector unreachable since ")
        print(table(bridge, headline["problems"]))

        def outage_seconds() -> float:
            rows = [row for row in bridge.status()["intakes"] if row["delivery"] == "backing-off"]
            return max((row["failing_seconds"] or 0.0 for row in rows), default=0.0)

        until(lambda: outage_seconds() > MIN_SECONDS + PROBLEMS_EVERY, "the outage is long enough to be remembered")
        gate.open()
        until(lambda: "collector" not in kinds(bridge), lambda: f"no outage: {bridge.status()['headline']}")
        until(surfaces_agree, lambda: str(found))
        until(
            lambda: "collector" in {ended["kind"] for ended in bridge.status()["headline"]["ended"]},
            lambda: f"an outage that has ended: {bridge.status()['headline']}",
        )
        assert "Collector unreachable since" in cli(bridge, "status", "--sources").stdout.partition("\nended\n")[2]
        assert "  ended     Collector unreachable since" in cli(bridge, "why", ROUTED["web"]).stdout
        cli(bridge, "quarantine", "purge", "--reason", "unrouted", "--yes")
        until(lambda: "unrouted" not in kinds(bridge), lambda: f"nothing is held: {bridge.status()['headline']}")
        until(surfaces_agree, lambda: str(found))
        until(
            lambda: "unrouted" in {ended["kind"] for ended in bridge.status()["headline"]["ended"]},
            lambda: f"unrouted has ended: {bridge.status()['headline']}",
        )


def table(bridge: Bridge, problems: list[dict[str, Any]]) -> str:
    """Returns the faults, and what status, `why`, metrics and alert rules say of each, as a table."""
    rows = ["| fault | status | `why` | metric | alert |", "|---|---|---|---|---|"]
    for fault, (kind, address) in FAULTS.items():
        texts = [problem["text"] for problem in problems if problem["kind"] == kind]
        lines = cli(bridge, "why", address).stdout.splitlines()
        marked = [line.strip() for line in lines if line.strip().startswith((WRONG, NOTE))]
        named = [line for line in marked if line.split()[1] in (kind, STEPS.get(kind))]
        why = named or [line for line in marked if line.startswith(WRONG)]
        assert why, f"why {address} does not explain {fault}: {lines}"
        alert = KINDS[kind].alert if kind in KINDS else "-"
        cells = (fault, "; ".join(texts) or "-", "; ".join(why[:2]) or "-", f'problems{{kind="{kind}"}}', alert)
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(rows)
