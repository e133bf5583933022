"""Tests that a write of which the disk takes only a part leaves no joined, half or wrongly acknowledged event."""

from __future__ import annotations

import signal
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import Bridge, key_of
from tests.harness.disk import small_disk
from tests.harness.faulty_disk import FaultyDisk
from tests.harness.gate import Gate
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.relp import RelpClient
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines
from tests.system.test_https_listener import add_https_listener
from tests.system.test_relp import add_relp_listener

PLENTY = [71_000_000_000, 1_000_000]


class Events:
    """Numbered events of 3000 bytes. `sent` are all texts that may arrive, `owed` those that must."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.owed: set[str] = set()
        self._number = 0

    def frames(self, count: int, *, raw: bool = False) -> list[bytes]:
        """Returns the frames of new events. `raw`: the whole frame is the text of its event."""
        made = []
        for _ in range(count):
            frame = rfc5424(self._number, datetime.now(UTC)).frame
            self._number += 1
            made.append(frame + b" " + b"x" * (2999 - len(frame)))
            self.sent.add(text_of(made[-1], raw=raw))
        return made

    def owe(self, frames: list[bytes], *, raw: bool = False) -> None:
        """Records that events were stored or acknowledged."""
        self.owed |= {text_of(frame, raw=raw) for frame in frames}


def text_of(frame: bytes, *, raw: bool = False) -> str:
    text = frame.decode()
    return text if raw else text.partition("] ")[2]


class RelpSender(threading.Thread):
    """Connects at once; once started, sends messages over RELP until all are acknowledged or the connection ends."""

    def __init__(self, port: int, messages: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.client = RelpClient(port)
        self._messages = messages

    def run(self) -> None:
        try:
            self.client.send(self._messages)
            self.client.wait_acknowledged(len(self._messages))
        except OSError:
            return


def assert_names_are_right(bridge: Bridge, spool: Path) -> None:
    """Asserts that the sealed files have the events and bytes that their names say."""
    assert bridge.process is not None
    # It renames its files before and after each attempt.
    with bridge.process.stopped():
        for path in (spool / "all").glob("*-*-*-*.lines"):
            _, _, events, size = path.name.split(".")[0].split("-")
            data = path.read_bytes()
            assert (data.count(b"\n"), len(data), data[-1:]) == (int(events), int(size), b"\n"), path


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.long)])
def test_partly_written_groups_leave_only_whole_events(tmp_path: Path, kills: int) -> None:
    authority, events = Authority(tmp_path / "pki"), Events()
    with collecting(tmp_path) as collector, small_disk(tmp_path / "disk", "1m") as disk:
        gate = Gate(collector.port)
        with bridging(tmp_path, gate.url) as bridge:
            bridge.configuration["spool"] = {
                "directory": str(disk / "spool"), "max_size": "1GB", "min_free": "4KiB", "when_full": "pause",
            }  # fmt: skip
            relp, https = add_relp_listener(bridge), add_https_listener(bridge, authority)
            faulty_disk = FaultyDisk(bridge)
            # The filesystem does not report that it is nearly full, so writes meet its end and are short.
            faulty_disk.set(free=PLENTY)
            faulty_disk.start()
            agent = Agent(https, authority.ca)

            def post() -> int:
                batch = events.frames(60, raw=True)
                status = agent.post("/plain/batch", b"\n".join(batch), X_SEKOIAIO_INTAKE_KEY=key_of("all"))[0]
                if status == 200:
                    events.owe(batch, raw=True)
                return status

            lines = events.frames(1000)
            events.owe(lines)
            device = threading.Thread(target=send_lines, args=(bridge.tcp, lines), daemon=True)
            device.start()
            until(lambda: bridge.status()["held_connections"] == 1, lambda: f"a write is short: {bridge.status()}")
            sender = RelpSender(relp, events.frames(300))
            sender.start()
            until(lambda: bridge.status()["held_connections"] == 2, lambda: f"RELP waits: {bridge.status()}")
            until(lambda: post() == 503, lambda: f"a request is refused: {bridge.status()}")
            # A probe of the disk decides, after the failed writes.
            until(lambda: bridge.status()["spool"]["fault"] == "quota", lambda: f"its cause: {bridge.status()}")
            assert_names_are_right(bridge, disk / "spool")

            subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
            device.join()
            sender.join()
            assert len(sender.client.acknowledged) == 300, "what waited is acknowledged once it is stored"
            events.owe(sender.client.acknowledged)
            until(lambda: post() == 200, lambda: f"a request is accepted: {bridge.status()}")
            bridge.wait_received(len(lines) + 300 + 60)
            ledger = bridge.ledger()
            assert (ledger["received"], ledger["dropped"]) == (ledger["spooled"] + ledger["buffered"], {})

            for i in range(1, 6):
                # The second attempt appends to the same file.
                faulty_disk.set(free=PLENTY, short="ENOSPC", left=1)
                lines = events.frames(40)
                send_lines(bridge.tcp, lines)
                bridge.wait_received(ledger["received"] + i * len(lines))
                events.owe(lines)
            for _ in range(kills):
                # It connects first: any write ends the bridge, also one of its journal.
                sender = RelpSender(relp, events.frames(20))
                faulty_disk.set(free=PLENTY, kill=True)
                sender.start()
                process = bridge.process
                assert process is not None
                assert process.wait() == -signal.SIGKILL
                sender.join()
                events.owe(sender.client.acknowledged)
                faulty_disk.set(free=PLENTY)
                faulty_disk.start()
                assert_names_are_right(bridge, disk / "spool")
                lines = events.frames(20)
                send_lines(bridge.tcp, lines)
                bridge.wait_received(len(lines))
                events.owe(lines)
            gate.open()
            bridge.wait_drained()
            arrived = {event.text for event in collector.wait_for(bridge.ledger()["delivered"])}
        gate.shut()
    strange = sorted(arrived - events.sent)
    assert not strange, f"{len(strange)} events that were not sent: {strange[0][:200]} ... {strange[0][-200:]}"
    lost = events.owed - arrived
    assert not lost, f"{len(lost)} acknowledged or stored events are lost: {sorted(lost)[0][:200]}"
