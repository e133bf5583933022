"""Tests that names stay which users' tools rely on: JSON keys of API and journal, metrics with labels, file names.

`stable_names.json` lists them. A name that is missing from a running bridge fails the test; new names are allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import bridge as bridge_package
from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import udp

LISTED = json.loads(Path(__file__).with_name("stable_names.json").read_text())

REASON_CODES = (
    "collector_shortfall", "damaged", "damaged_expired", "disk_full", "oversize", "purged", "quarantine_write_failed",
    "refused", "refused_full", "source_limit", "spool_file_damaged", "spool_file_missing", "spool_full",
    "spool_write_failed", "unrouted", "{reason}_expired", "{reason}_full",
)  # fmt: skip

# Objects whose keys are data: intakes, listeners, routes, reasons. Their keys are shown as `*`.
DATA = re.compile(
    r"(dropped|kernel_drops|quarantine|held|possible_duplicates|stray_headers|certificates|filtered|mirror|sent|"
    r"accounts|refused|rejected|turned_away|format_sampled|format_mismatches|by_listener|by_intake|quota|outcomes|requests)"
)
# Applied in this order.
SPOOL = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"\d{16}"), "<sequence>"),
    (re.compile(r"\d{13}"), "<ms>"),
    (re.compile(r"-\d+-\d+\."), "-<events>-<bytes>."),
    (re.compile(r"\.sending\."), "."),
)


def names(value: Any, path: str = "") -> Iterator[str]:
    """Yields the path of every key: `intakes[].name`, `ledger.dropped.*`."""
    if isinstance(value, dict):
        for key, below in value.items():
            key_path = f"{path}.{'*' if DATA.fullmatch(path.rpartition('.')[2]) else key}".lstrip(".")
            yield key_path
            yield from names(below, key_path)
    elif isinstance(value, list):
        for below in value:
            yield from names(below, f"{path}[]")


def observe(bridge: Bridge) -> dict[str, list[str]]:
    """Returns what a bridge shows that has received, delivered, held and filtered events."""
    found: dict[str, set[str]] = {}
    for page in ("status", "sources", "source?address=127.0.1.1", "unrouted", "quarantine", "log", "history"):
        code, body = bridge.get(f"/api/{page}")
        assert code == 200, page
        found[f"api/{page.partition('?')[0]}"] = set(names(json.loads(body)))
    metrics = text_string_to_metric_families(bridge.get("/metrics")[1].decode())
    found["metrics"] = {
        f"{sample.name}{{{','.join(sorted(set(sample.labels) - {'le'}))}}}"
        for family in metrics
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    return {title: sorted(listed) for title, listed in sorted(found.items())}


def observe_files(bridge: Bridge) -> dict[str, set[str]]:
    """Returns the names of files in the spool, and of fields in the journal."""
    found: dict[str, set[str]] = {}
    found["spool"] = set()
    for path in bridge.spool.rglob("*"):
        name = str(path.relative_to(bridge.spool))
        for pattern, word in SPOOL:
            name = pattern.sub(word, name)
        found["spool"].add(name)
    found["journal"] = set()
    for day in (bridge.spool / ".ledger").glob("*.jsonl"):
        for line in day.read_text().splitlines():
            fields = json.loads(line)
            found["journal"] |= {f"{fields['kind']}: {name}" for name in names(fields)}
    return found


def test_listed_names_exist(tmp_path: Path) -> None:
    routes = [
        {"name": "good", "intake": "good", "source": "127.0.1.1"},
        {"name": "none", "drop": True, "source": "127.0.1.2"},
        {"name": "away", "intake": "away", "source": "127.0.1.4"},
    ]
    intakes = {"good": {}, "away": {"url": "http://127.0.0.1:1"}}
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, intakes=intakes) as bridge:
        bridge.configuration |= {"routes": routes, "unrouted": "hold"}
        bridge.start()
        for source, text in (
            ("127.0.1.1", "delivered"),
            ("127.0.1.2", "filtered"),
            ("127.0.1.3", "held"),
            ("127.0.1.4", "spooled"),
        ):
            with udp(source=source) as device:
                now = datetime.now(UTC)
                frame = f"<13>{now:%b} {now.day:2} {now:%H:%M:%S} gw app: {text}"
                if source == "127.0.1.1":
                    # With structured data that its event does not have.
                    frame = f'<13>1 {now:%Y-%m-%dT%H:%M:%SZ} gw app - - [x@1 a="b"] {text}'
                device.sendto(frame.encode(), ("127.0.0.1", bridge.udp))
        bridge.wait_received(4)
        until(lambda: bridge.ledger()["delivered"] == 1, "one event is delivered")
        found = observe(bridge)
        bridge.stop()
        for title, listed in observe_files(bridge).items():
            found[title] = sorted({*found.get(title, []), *listed})
    missing = {title: sorted(set(listed) - set(found.get(title, []))) for title, listed in LISTED.items()}
    assert not any(missing.values()), missing


def test_reason_codes_exist() -> None:
    """Reasons of drops, quarantine and alarms are labels of metrics, and keys of the API and the journal."""
    code = "".join(path.read_text() for path in Path(bridge_package.__file__).parent.rglob("*.py"))
    assert [reason for reason in REASON_CODES if f'"{reason}"' not in code] == []
