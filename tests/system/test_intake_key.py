"""Tests that an intake key in the text of messages, where the vendor's forwarder puts it, is nowhere kept or shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import Bridge, key_of
from tests.harness.cli import cli
from tests.harness.pki import Authority
from tests.harness.ports import free_port
from tests.harness.relp import RelpClient
from tests.harness.running import bridging
from tests.harness.send import send_lines, tcp, udp

KEY = "ABCDefgh01234567"
ELEMENT = f'[SEKOIA@53288 intake_key="{KEY}"]'
FORMS = ("message", "content", "device", "line", "structured", "rfc5424", "json", "raw", "auto")
HELD = "127.0.4.1"
"A source that no route matches."


def frame(text: str, element: str = ELEMENT) -> bytes:
    """Returns a frame of the vendor's rsyslog template."""
    return f"<13>1 {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} gw app 7 LOG {element} {text}".encode()


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge that cannot deliver, so that its events stay in the spool."""
    routes = [{"name": form, "intake": form, "source": f"127.0.2.{last}"} for last, form in enumerate(FORMS, 1)]
    routes.append({"name": "streams", "intake": "structured", "source": "127.0.3.0/24"})
    issued = Authority(tmp_path / "pki").issue("localhost")
    with bridging(
        tmp_path, "http://127.0.0.1:9", intakes={form: {"payload": form} for form in FORMS}, routes=routes,
        unrouted="hold",
    ) as bridge:  # fmt: skip
        bridge.configuration["listeners"] += [
            {"name": "relp", "relp": f"127.0.0.1:{free_port()}"},
            {"name": "post", "https": f"127.0.0.1:{free_port()}", "cert_file": str(issued.certificate),
             "key_file": str(issued.private_key)},
        ]  # fmt: skip
        bridge.start()
        yield bridge


def port_of(bridge: Bridge, listener: str) -> int:
    return int(bridge.status()["listeners"][listener])


def send_all(bridge: Bridge, folder: Path) -> int:
    """Sends messages with a key over every transport. Returns their number."""
    for last in range(1, len(FORMS) + 1):
        with udp(source=f"127.0.2.{last}") as origin:
            origin.sendto(frame(f"over udp {last}"), ("127.0.0.1", bridge.udp))
    send_lines(bridge.tcp, [frame("over tcp"), frame("cut", ELEMENT[:-6])], source="127.0.3.1")
    with tcp(bridge.tcp, source="127.0.3.2") as connection:
        connection.sendall(b"".join(b"%d %b" % (len(each), each) for each in [frame("counted"), frame("with\nan LF")]))
    relp = RelpClient(port_of(bridge, "relp"), source="127.0.3.3")
    relp.send([frame("over relp")])
    relp.wait_acknowledged(1)
    relp.close()
    agent = Agent(port_of(bridge, "post"), folder / "pki" / "authority.pem", source="127.0.3.4")
    key = key_of("message")
    assert agent.post("/plain/batch", frame("an event") + b"\n" + frame("its LF"), X_SEKOIAIO_INTAKE_KEY=key)[0] == 200
    assert agent.post("/plain/batch", frame("routed"))[0] == 200
    agent.close()
    with udp(source=HELD) as origin:
        origin.sendto(frame("for nobody"), ("127.0.0.1", bridge.udp))
    return len(FORMS) + 2 + 2 + 1 + 2 + 1 + 1


def spooled(bridge: Bridge, intake: str) -> list[str]:
    files = sorted((bridge.spool / intake).glob("*.lines"))
    return [line for file in files for line in file.read_text().splitlines()]


def test_key_in_the_text_is_neither_kept_nor_shown(relayed: Bridge, tmp_path: Path) -> None:
    sent = send_all(relayed, tmp_path)
    relayed.wait_received(sent)
    assert_not_shown(relayed)
    status = relayed.status()
    senders = {row["address"]: row["events"] for row in status["sources_with_intake_keys"]}
    assert senders == {f"127.0.2.{n}": 1 for n in range(1, len(FORMS) + 1)} | {
        "127.0.3.1": 2, "127.0.3.2": 2, "127.0.3.3": 1, "127.0.3.4": 3, HELD: 1,
    }  # fmt: skip
    assert "intake key in the text" in cli(relayed, "status", "--sources").stdout
    assert "had an intake key in the text" in cli(relayed, "why", HELD).stdout

    # While it runs, it renames its files at each attempt to deliver them.
    relayed.stop()
    assert len(spooled(relayed, "raw")) == 1
    # The operator chose the form ``raw``, so its event is the frame as received.
    assert ELEMENT in spooled(relayed, "raw")[0]
    others = [path for path in relayed.spool.rglob("*") if path.is_file() and path.parent.name != "raw"]
    contents = b"\n".join(path.read_bytes() for path in others)
    assert contents.count(b"over udp") == len(FORMS) - 1
    assert KEY.encode() not in contents
    structured = "\n".join(spooled(relayed, "structured"))
    for text in ("over udp 5", "over tcp", "cut", "counted", "with#012an LF", "over relp", "routed"):
        assert f"LOG {text}" in structured, structured
    (held,) = (relayed.spool / ".quarantine" / "unrouted").glob("*.jsonl")
    assert b'intake_key="***"] for nobody' in base64.b64decode(json.loads(held.read_text())["frame"])


def assert_not_shown(bridge: Bridge) -> None:
    """Asserts that the key is in no page, command or log line."""
    shown = [bridge.get(f"/api/source?address={source}")[1].decode() for source in ("127.0.2.8", "127.0.3.1", HELD)]
    shown += [bridge.get(path)[1].decode() for path in ("/api/status", "/api/unrouted", "/", "/metrics")]
    shown += [
        cli(bridge, *words).stdout
        for words in (
            ("status",), ("status", "--json"), ("why", HELD), ("why", "127.0.2.8", "--json"),
            ("spool", "show", "--limit", "100"), ("quarantine", "list"), ("unrouted", "list"),
        )
    ]  # fmt: skip
    text = frame("explained").decode()
    for form in range(1, len(FORMS) + 1):
        for words in (("--payloads",), ("--json", "--payloads")):
            shown.append(cli(bridge, "explain", "--from", f"127.0.2.{form}", *words, stdin=text).stdout)
            assert "explained" in shown[-1]
            assert words[0] == "--json" or "the text has an intake key" in shown[-1]
    assert bridge.process is not None
    shown.append(bridge.process.stderr)
    assert any("***" in each for each in shown)
    held = cli(bridge, "quarantine", "list", "--json").stdout.splitlines()
    shown += [base64.b64decode(json.loads(line)["frame"]).decode() for line in held]
    assert not [each for each in shown if KEY in each]
