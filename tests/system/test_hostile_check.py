"""Tests that `check --connect` and `check --send-test` end, and say what is wrong, whatever a server does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.harness.bridge import Bridge, key_of
from tests.harness.hostile_server import ATTACKS, hostile, until_closed
from tests.harness.polling import DEADLINE_SECONDS
from tests.harness.process import SYSLOG_BRIDGE

# `endless-tls` accepts connections and never answers the TLS handshake.
BEHAVIOURS = {**ATTACKS, "endless-tls": until_closed}


def test_check_ends_for_each_attack_and_shows_neither_key_nor_control_characters(tmp_path: Path) -> None:
    with hostile(BEHAVIOURS) as servers:
        urls = {name: server.url for name, server in servers.items()}
        urls["endless-tls"] = urls["endless-tls"].replace("http:", "https:")
        bridge = Bridge(tmp_path, collector_url="http://127.0.0.1:1", intakes={n: {"url": u} for n, u in urls.items()})
        bridge.configuration["collector"] |= {"timeout": "1s"}
        argv = [SYSLOG_BRIDGE, "check", "-c", str(bridge.write_configuration()), "--connect", "--send-test"]
        ran = subprocess.run(
            [*argv, "--format", "json"], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
    assert ran.returncode == 1, ran.stderr
    failed = {(row["step"], name): row["text"] for row in json.loads(ran.stdout) if not row["ok"]
              for name in row["intakes"]}  # fmt: skip
    assert {name for step, name in failed if step == "event"} == set(urls)
    assert ("tls", "endless-tls") in failed and "no answer within 1 s" in failed["tls", "endless-tls"]
    for text in failed.values():
        assert text.isprintable() and len(text) < 700, text
    assert key_of("echo")[:10] not in ran.stdout + ran.stderr
