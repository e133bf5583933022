"""Tests that a write of which the disk takes only a part leaves no joined, half or wrongly acknowledged event."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import key_of
from tests.harness.disk import small_disk
from tests.harness.faulty_disk import FaultyDisk
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.relp import RelpClient
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines
from tests.system.test_https_listener import add_https_listener
from tests.system.test_relp import add_relp_listener

PLENTY = [71_000_000_000, 1_000_000]


class Events:
    """Numbered events of 3000 bytes. `texts` are those that were sent, by number."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def frames(self, count: int) -> Iterator[bytes]:
        """Yields the frames of new events."""
        for number in range(len(self.texts), len(self.texts) + count):
            message = rfc5424(number, datetime.now(UTC))
            padding = " " + "x" * (3000 - len(message.text))
            self.texts[number] = message.text + padding
            yield message.frame + padding.encode()


class RelpSender(threading.Thread):
    """Sends messages over RELP and waits until all are acknowledged or the connection ends."""

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


def assert_names_are_right(spool: Path) -> None:
    """Asserts that the sealed files have the events and bytes that their names say."""
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
            bridge.configuration["spool"] = {"directory": str(disk / "spool"), "max_size": "1GB", "min_free": "4KiB"}
            relp, https = add_relp_listener(bridge), add_https_listener(bridge, authority)
            faulty_disk = FaultyDisk(bridge)
            # The filesystem does not report that it is nearly full, so writes meet its end and are short.
            faulty_disk.set(free=PLENTY)
            faulty_disk.start()
            agent = Agent(https, authority.ca)
            confirmed: list[bytes] = []
            promised: set[str] = set()

            def post() -> int:
                batch = list(events.frames(60))
                status = agent.post("/plain/batch", b"\n".join(batch), X_SEKOIAIO_INTAKE_KEY=key_of("all"))[0]
                if status == 200:
                    promised.update(events.texts[number_of_frame(frame)] for frame in batch)
                    # With a key, the listener takes the whole line as the event.
                for frame in batch:
                    raw[number_of_frame(frame)] = frame.decode()
                return status

            raw: dict[int, str] = {}

            def fill() -> bool:
                send_lines(bridge.tcp, events.frames(40))
                return bridge.status()["spool"]["fault"] == "quota"

            until(fill, lambda: f"a write is short: {bridge.status()}")
            sender = RelpSender(relp, list(events.frames(100)))
            sender.start()
            until(lambda: post() == 503, lambda: f"a request is refused: {bridge.status()}")
            send_lines(bridge.tcp, events.frames(100))
            assert_names_are_right(disk / "spool")

            subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
            sender.join()
            assert len(sender.client.acknowledged) == 100, "what waited is acknowledged once it is stored"
            confirmed += sender.client.acknowledged
            until(lambda: post() == 200, lambda: f"a request is accepted: {bridge.status()}")
            ledger = bridge.ledger()
            assert ledger["received"] == ledger["spooled"] + sum(ledger["dropped"].values())

            for _ in range(kills):
                faulty_disk.set(free=PLENTY, kill=True)
                sender = RelpSender(relp, list(events.frames(20)))
                sender.start()
                process = bridge.process
                assert process is not None
                assert process.wait() == -signal.SIGKILL
                sender.join()
                confirmed += sender.client.acknowledged
                faulty_disk.set(free=PLENTY)
                faulty_disk.start()
                assert_names_are_right(disk / "spool")
                send_lines(bridge.tcp, events.frames(20))
            bridge_spooled = bridge.ledger()["spooled"]
            gate.open()
            bridge.wait_drained()
            arrived = [event.text for event in collector.wait_for(bridge_spooled)]
        gate.shut()
    whole = {events.texts[number] for number in events.texts} | set(raw.values())
    strange = [text for text in arrived if text not in whole]
    assert not strange, f"{len(strange)} events that were not sent: {strange[0][:200]} ... {strange[0][-200:]}"
    numbers = {number_of(text.partition("] ")[2] or text) for text in arrived}
    owed = {number_of_frame(frame) for frame in confirmed} | {number_of(text) for text in promised}
    assert owed <= numbers, f"acknowledged events are missing: {sorted(owed - numbers)[:10]}"


def number_of_frame(frame: bytes) -> int:
    """Returns the number in the text of a frame."""
    return number_of(frame.decode().partition("] ")[2])
