"""Tests what is reported of frames in quarantine: number, sources, intakes, faults, begin, alarms, and a restart."""

from __future__ import annotations

from pathlib import Path

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.held_frames import ENDS_AFTER, HeldFrames
from bridge.spool import held_tally
from bridge.spool.quarantine import REASONS, Quarantine
from bridge.spool.quarantine_entry import QuarantineEntry

NOON = 1_795_435_200.0


class Held:
    def __init__(self, directory: Path) -> None:
        self.now = NOON
        self.directory = directory
        self.alarms = Alarms(clock=lambda: self.now)
        self.restart()

    def restart(self) -> None:
        bounds = dict.fromkeys(REASONS, 10**9)
        self.quarantine = Quarantine(self.directory, wall=lambda: self.now, bounds=bounds)
        self.quarantine.recover()
        self.frames = HeldFrames(self.alarms, self.quarantine)

    def hold(
        self, source: str = "192.0.2.7", fault: str = "redact rule slow exceeded its match limit",
        intake: str | None = None, reason: str = "unredacted",
    ) -> None:  # fmt: skip
        entry = QuarantineEntry(int(self.now * 1000), "udp", source, b"frame", fault, intake)
        self.quarantine.add(reason, [entry])

    def look(self, seconds: float = 5.0) -> list[dict[str, object]]:
        self.now += seconds
        self.frames.look()
        self.alarms.look()
        return self.frames.rows()


def test_row_has_number_begin_latest_sources_intakes_and_faults(tmp_path: Path) -> None:
    held = Held(tmp_path)
    assert held.look(0) == []
    held.hold()
    held.now += 60
    held.hold("192.0.2.8", "redact rule other exceeded its match limit", "web")
    assert held.look() == [
        {
            "reason": "unredacted", "events": 2, "since": "2026-11-23T12:00:00.000Z",
            "latest": "2026-11-23T12:01:00.000Z", "sources": ["192.0.2.7", "192.0.2.8"], "intakes": ["web"],
            "faults": ["redact rule slow exceeded its match limit", "redact rule other exceeded its match limit"],
        }
    ]  # fmt: skip


def test_alarm_says_so_once_and_ends_while_the_frames_stay(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.look()
    held.hold()
    held.look()
    text = (
        "messages from source 192.0.2.7 are held and not sent: redact rule slow exceeded its match limit"
    )  # fmt: skip
    assert held.alarms.active == {("unredacted", "unredacted"): text}
    assert held.alarms.current["unredacted", "unredacted"].remedy.startswith("simplify the regex of the rule")
    held.hold("192.0.2.8")
    held.look()
    assert list(held.alarms.active.values()) == [text], "a further source does not report it again"
    rows = held.look(ENDS_AFTER)
    assert held.alarms.active == {}
    assert rows[0]["events"] == 2


def test_incomplete_frames_have_a_kind_of_their_own(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.hold(reason="damaged", fault="the connection ended")
    held.hold(reason="unrouted", fault="no route matches")
    held.look()
    assert list(held.alarms.active) == [("incomplete", "damaged")], "sources without a route have their own problem"


def test_newest_frames_before_a_restart_are_known_and_raise_no_alarm(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.hold()
    before = held.look()
    held.now += 3600
    held.restart()
    assert held.look() == before
    assert list(held.alarms.active) == []
    held.quarantine.close()
    held.restart()
    assert held.look() == before


def test_names_are_forgotten_when_nothing_is_held_any_more(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.hold()
    held.look()
    for file in held.quarantine.claim("unredacted"):
        file.path.unlink()
        held.quarantine.replace("unredacted", file, None)
    assert held.look() == []
    held.hold("192.0.2.9")
    (row,) = held.look()
    assert row["sources"] == ["192.0.2.9"]


def test_memory_is_bounded(tmp_path: Path) -> None:
    held = Held(tmp_path)
    for number in range(300):
        held.hold(f"2001:db8::{number:x}", f"frame of {number} bytes" + "!" * 1000, f"intake-{number}", "oversize")
    tally = held.quarantine.tallies["oversize"]
    assert tally.count == 300
    assert len(tally.sources) == len(tally.intakes) == held_tally.MAX_NAMES
    assert [fault[:18] for fault in tally.faults] == [f"frame of {number} bytes" for number in (297, 298, 299)]
    assert all(len(fault) == held_tally.MAX_FAULT for fault in tally.faults)
