"""Tests that problems that ended within a day are shown after a restart, and that the file for it is bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from bridge.monitoring.kept_problems import KeptProblems
from bridge.monitoring.problem_file import EVERY, FILE, LARGEST, MAX_NAMES, MAX_ROWS, MAX_TEXT, ProblemFile
from bridge.monitoring.problem_history import ProblemHistory
from bridge.monitoring.problems import Problem, summarize

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
OUTAGE = Problem("collector", "Collector unreachable", affected=("web",), past="Collector was unreachable")


def row(kind: str = "silence", about: str = "192.0.2.7", *, ended: str = "2026-11-29T11:59:00Z", **more: Any) -> Any:
    return {
        "kind": kind,
        "about": about,
        "text": f"{about} had a problem",
        "remedy": "",
        "since": None,
        "ended": ended,
    } | more


class Gateway:
    def __init__(self, folder: Path) -> None:
        self.now, self.writes = 1000.0, 0
        self.folder = folder
        self.restart()

    def restart(self) -> None:
        self.history = ProblemHistory(lambda: self.now, lambda at: self.moment(at).isoformat())
        self.file = ProblemFile(self.folder, self.work, lambda: self.now)
        self.kept = KeptProblems(self.file, self.history)

    def moment(self, at: float) -> datetime:
        return NOON + timedelta(seconds=at - 1000)

    def work(self, job: Callable[[], Any], done: Callable[[Any], object]) -> None:
        self.writes += 1
        done(job())

    def status(self, **facts: Any) -> dict[str, Any]:
        """Returns the status of the running process, with the ended problems of an earlier one."""
        return {
            "taken": self.moment(self.now).isoformat(), **facts,
            "ended_alarms": [*facts.get("ended_alarms", []), *self.kept.alarms(())],
            "ended_problems": [*self.history.ended(), *self.kept.problems()],
        }  # fmt: skip

    def note(self, seconds: float = EVERY, **facts: Any) -> None:
        self.now += seconds
        self.kept.note(self.status(**facts))

    def ended(self) -> list[tuple[str, str]]:
        return [(each["kind"], each["text"]) for each in summarize(self.status())["ended"]]


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capturedLogs() as events:
        yield events


def texts(logged: list[Any]) -> list[str | None]:
    return [formatEvent(event) for event in logged]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def loss(events: int = 5, ended: float | None = None) -> dict[str, Any]:
    return {
        "reason": "spool_full", "events": events, "names": ["web"], "since_seconds": 600.0, "ended_seconds": ended,
        "since": "2026-11-29T11:50:00Z", "latest": "2026-11-29T11:58:00Z",
    }  # fmt: skip


def test_ended_problems_alarms_and_losses_are_shown_after_a_restart(gateway: Gateway) -> None:
    gateway.history.note([OUTAGE])
    gateway.now += 60
    gateway.history.note([])
    gateway.note(ended_alarms=[row()], losses=[loss(ended=60.0)])
    gateway.restart()
    shown = [
        ("collector", "Collector was unreachable"), ("silence", "192.0.2.7 had a problem"),
        ("loss", "5 events dropped from 11:50 UTC to 11:58 UTC (ended): the spool of intake web is full"),
    ]  # fmt: skip
    assert gateway.ended() == shown
    gateway.note()
    gateway.restart()
    assert gateway.ended() == shown, "also after the next restart"
    (found,) = gateway.kept.ended_for("web")
    assert (found["text"], found["since"]) == ("Collector was unreachable", "2026-11-29T12:00:00+00:00")
    assert gateway.kept.ended_for("other") == []


def test_loss_that_goes_on_is_kept_as_far_as_it_is_known(gateway: Gateway) -> None:
    gateway.note(losses=[loss()])
    gateway.restart()
    assert [kind for kind, _ in gateway.ended()] == ["loss"]
    assert "from 11:50 UTC to 11:58 UTC" in gateway.ended()[0][1]


def test_state_of_a_loss_is_kept(gateway: Gateway) -> None:
    gateway.note(losses=[loss(ended=1.0) | {"reason": "purged"}])
    gateway.restart()
    assert summarize(gateway.status())["ended"][0]["state"] == "notice"


def test_problem_of_this_process_replaces_the_earlier_one(gateway: Gateway) -> None:
    for text in ("first", "second"):
        gateway.history.note([Problem("collector", text, affected=("web",))])
        gateway.now += 60
        gateway.history.note([])
        gateway.note()
        gateway.restart()
        assert [each["text"] for each in gateway.kept.ended_for("web")] == [text]


def test_alarm_that_is_active_again_has_not_ended(gateway: Gateway) -> None:
    gateway.note(ended_alarms=[row()])
    gateway.restart()
    assert gateway.kept.alarms([("silence", "192.0.2.7")]) == []
    assert len(gateway.kept.alarms([("silence", "192.0.2.8")])) == 1


def test_problems_are_forgotten_after_a_day(gateway: Gateway) -> None:
    gateway.note(ended_alarms=[row()])
    gateway.restart()
    gateway.note(86_400 - 120)
    assert len(gateway.ended()) == 1
    gateway.note(60)
    assert gateway.ended() == []
    gateway.restart()
    assert gateway.ended() == []


def test_file_is_written_when_something_has_changed_and_at_most_every_30_seconds(gateway: Gateway) -> None:
    gateway.note()
    assert (gateway.writes, (gateway.folder / FILE).exists()) == (0, False), "nothing has ended"
    gateway.note(ended_alarms=[row()])
    gateway.note(ended_alarms=[row()])
    assert gateway.writes == 1
    gateway.note(ended_alarms=[row(), row("drift")])
    gateway.note(5, ended_alarms=[row(), row("drift"), row("clock", "gateway")])
    assert gateway.writes == 2
    gateway.file.finish()
    gateway.file.finish()
    assert gateway.writes == 3, "the stop does not wait"
    gateway.restart()
    assert len(gateway.kept.alarms(())) == 3


def test_file_is_bounded(gateway: Gateway) -> None:
    longest = "\U0001f600" * 10_000
    rows = [row(about=f"{n}{longest}", text=longest, remedy=longest) for n in range(500)]
    gateway.history.note([Problem("collector", longest, affected=tuple(f"{n}{longest}" for n in range(900)))])
    gateway.now += 60
    gateway.history.note([])
    gateway.note(ended_alarms=rows)
    assert (gateway.folder / FILE).stat().st_size < LARGEST
    content = json.loads((gateway.folder / FILE).read_text())
    assert (len(content["alarms"]), len(content["names"])) == (MAX_ROWS, MAX_NAMES)
    assert len(content["alarms"][0]["text"]) == MAX_TEXT
    gateway.restart()
    assert len(gateway.kept.alarms(())) == MAX_ROWS


def test_many_harmless_problems_do_not_push_out_a_harmful_one(gateway: Gateway) -> None:
    harmful = row("parked", "web", ended="2026-11-29T10:00:00Z", text="intake web is parked")
    gateway.note(ended_alarms=[harmful, *(row(about=f"192.0.2.{n}") for n in range(2 * MAX_ROWS))])
    gateway.restart()
    assert ("parked", "Intake web is parked") in gateway.ended()
    assert [row["kind"] for row in gateway.kept.alarms(())].count("silence") == MAX_ROWS - 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"alarms": 1, "problems": [], "names": []}',
        b'{"alarms": [{}], "problems": [], "names": []}', b'{"alarms": [], "problems": [], "names": [["x"]]}',
        b" " * (LARGEST + 1),
        *(
            json.dumps({"alarms": [row(state=None) | bad], "problems": [], "names": []}).encode()
            for bad in ({"ended": "x"}, {"ended": None}, {"kind": 7}, {"text": None}, {"more": "x"}, {"about": ["x"]})
        ),
    ],
)  # fmt: skip
def test_damaged_file_is_told_and_ignored(tmp_path: Path, content: bytes, logged: Any) -> None:
    (tmp_path / FILE).write_bytes(content)
    gateway = Gateway(tmp_path)
    assert gateway.ended() == []
    assert ["earlier problems are not shown" in str(text) for text in texts(logged)] == [True]
    gateway.note(ended_alarms=[row()])
    gateway.restart()
    assert len(gateway.ended()) == 1, "the next one replaces it"


def test_link_is_not_followed(tmp_path: Path) -> None:
    Gateway(tmp_path).note(ended_alarms=[row()])
    other = tmp_path / "other"
    other.mkdir()
    (other / FILE).symlink_to(tmp_path / FILE)
    assert Gateway(other).ended() == []


def test_failed_write_is_told_once_and_tried_again(tmp_path: Path, logged: Any) -> None:
    gateway = Gateway(tmp_path / "missing")
    for _ in range(3):
        gateway.note(ended_alarms=[row()])
    assert gateway.writes == 3
    assert ["it is tried again" in str(text) for text in texts(logged)] == [True]
    gateway.folder.mkdir()
    gateway.note(ended_alarms=[row()])
    gateway.restart()
    assert len(gateway.ended()) == 1
