"""Tests which rejected senders the status lists, and from when on they are a problem."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bridge.listen
from bridge.listen.rejected_sources import RejectedSources
from bridge.monitoring.problems import find_problems
from bridge.monitoring.problems.rejections import PROBLEM_SECONDS
from bridge.monitoring.rejected_sources import LISTED_SECONDS, MAX_ROWS, RejectionList
from bridge.monitoring.rejection_reasons import REASONS
from bridge.routing.router import Known
from bridge.syslog.timestamps import rfc3339

WALL = 1_800_000_000.0


class Rejecting:
    """A list over real records. Monotonic time 0 is ``WALL``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rejected = RejectedSources(lambda: self.now)
        listener_set: Any = SimpleNamespace(
            rejected_sources=lambda address=None: [
                (each, self.now - each.last)
                for each in (self.rejected.all() if address is None else self.rejected.of(address))
            ]
        )
        router = SimpleNamespace(known=lambda address: Known(name="fw1" if str(address) == "192.0.2.7" else None))
        peers: Any = SimpleNamespace(router=router)
        self.list = RejectionList(listener_set, peers, lambda at: rfc3339(int((WALL + at) * 1000)))

    def reject(self, address: str, reason: str = "plain_text", count: int = 1, listener: str = "secure") -> None:
        for _ in range(count):
            self.rejected.note(listener, address, reason, "text")

    @property
    def problems(self) -> list[dict[str, Any]]:
        status = {"rejected_sources": self.list.rejected_now()}
        return [each.to_json() for each in find_problems(status) if each.kind == "rejected"]


def test_row_says_who_why_how_often_when_and_what_to_do() -> None:
    rejecting = Rejecting()
    rejecting.reject("192.0.2.7")
    rejecting.now = 60.0
    rejecting.reject("192.0.2.7")
    rejecting.now = 70.0
    (row,) = rejecting.list.rejected_now()
    assert row == {
        "listener": "secure", "address": "192.0.2.7", "name": "fw1", "reason": "plain_text",
        "meaning": "plain text on a TLS port", "text": "text", "count": 2, "first": "2027-01-15T08:00:00.000Z",
        "last": "2027-01-15T08:01:00.000Z", "seconds_ago": 10, "accepted_since": None,
        "remedy": REASONS["plain_text"].remedy,
    }  # fmt: skip


def test_accepted_and_old_rejections_are_not_listed() -> None:
    rejecting = Rejecting()
    rejecting.reject("192.0.2.7")
    rejecting.reject("192.0.2.8")
    rejecting.rejected.note_accepted("secure", "192.0.2.7")
    assert [row["address"] for row in rejecting.list.rejected_now()] == ["192.0.2.8"]
    (fixed,) = rejecting.list.of("192.0.2.7")
    assert fixed["accepted_since"] == fixed["last"]
    rejecting.now = LISTED_SECONDS
    assert rejecting.list.rejected_now() == []


def test_many_senders_of_one_kind_do_not_hide_those_of_another() -> None:
    rejecting = Rejecting()
    rejecting.reject("192.0.2.7", "client_certificate", count=3, listener="partners")
    for number in range(2 * MAX_ROWS):
        rejecting.now += 1
        rejecting.reject(f"10.0.0.{number}")
    rows = rejecting.list.rejected_now()
    assert [row["address"] for row in rows[-2:]] == ["10.0.0.101", "192.0.2.7"]
    assert len(rows) == MAX_ROWS
    assert any("fw1 (192.0.2.7)" in problem["text"] for problem in rejecting.problems)


def test_list_is_bounded_and_has_the_latest() -> None:
    rejecting = Rejecting()
    for number in range(MAX_ROWS + 10):
        rejecting.now += 1
        rejecting.reject(f"10.0.0.{number}")
    rows = rejecting.list.rejected_now()
    assert (len(rows), rows[0]["address"]) == (MAX_ROWS, f"10.0.0.{MAX_ROWS + 9}")


def test_persistent_rejections_are_one_problem_for_each_listener_and_reason() -> None:
    rejecting = Rejecting()
    rejecting.reject("192.0.2.7", count=2)
    assert [each["state"] for each in rejecting.problems] == ["notice"], "a port scan"
    rejecting.reject("192.0.2.7", count=2)
    (problem,) = rejecting.problems
    assert problem["text"] == "Listener secure rejects fw1 (192.0.2.7): plain text on a TLS port, 4 times"
    assert (problem["state"], problem["affected"]) == ("degraded", ["192.0.2.7"])
    assert (problem["remedy"], problem["since"]) == (REASONS["plain_text"].remedy, "2027-01-15T08:00:00Z")
    for number in (8, 9):
        rejecting.reject(f"192.0.2.{number}")
    rejecting.reject("192.0.2.8", "tls_version", count=3)
    grouped, other = sorted(rejecting.problems, key=lambda each: str(each["text"]), reverse=True)
    assert sorted(grouped["affected"]) == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
    assert "and 192.0.2.9: plain text on a TLS port, 6 times" in grouped["text"]
    assert other["affected"] == ["192.0.2.8"]
    rejecting.now = PROBLEM_SECONDS
    assert rejecting.problems == []


def test_rejections_with_another_cause_are_no_problem() -> None:
    """A full spool is a problem of its own, and so is a name that ``client_names`` refuses."""
    rejecting = Rejecting()
    rejecting.reject("192.0.2.7", "not_kept", count=5)
    assert rejecting.problems == []
    rejecting.reject("192.0.2.8", "client_name", count=5)
    rows = rejecting.list.rejected_now()
    clients = [{"listener": "secure", "address": "192.0.2.8", "names": ["a.b"], "silent_seconds": 0, "pattern": "*.b"}]
    found = find_problems({"rejected_sources": rows, "clients_not_in_client_names": clients})
    assert [each.kind for each in found] == ["client_names"]
    assert [each.kind for each in find_problems({"rejected_sources": rows})] == ["rejected"]


def test_every_reason_code_has_a_meaning_and_a_remedy() -> None:
    folder = Path(bridge.listen.__file__).parents[1]
    code = r'"([a-z]+(?:_[a-z]+)*)"'
    patterns = [
        rf"(?:note|note_request|note_datagrams|note_refused|_refuse|_reject|ClientRefused|_stop_reading)\(\s*{code}",
        rf"reason={code}", rf"\bfault, text = {code}",
    ]  # fmt: skip
    used = set()
    for part in ("listen", "collector", "host"):
        text = "".join(path.read_text() for path in (folder / part).glob("*.py"))
        used |= {found for pattern in patterns for found in re.findall(pattern, text)}
    text = (folder / "tls/server.py").read_text()
    used |= set(re.findall(rf"return {code}, ", text)) | set(re.findall(rf"ClientRefused\({code}", text))
    used |= set(re.findall(rf"[0-9]+: \({code}", text)) | {"proxy_header_from_stranger"}
    assert len(used) > 20
    assert used <= set(REASONS), sorted(used - set(REASONS))
