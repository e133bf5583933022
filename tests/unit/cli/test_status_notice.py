"""Tests that `status` shows the text of a notice, which does not change the first sentence."""

from __future__ import annotations

import io

from rich.console import Console

from bridge.cli.status_text import of_running
from bridge.cli.status_watch import screen

HELD = {"taken": "2026-11-29T04:50:00.000Z", "quarantine": {"unrouted": 22}}
UNROUTED = {"taken": "2026-11-29T04:50:00.000Z", "unrouted": [{"address": "192.0.2.7", "listener": "udp"}]}


def test_notice_is_shown_below_the_first_sentence() -> None:
    first, notice, remedy, *_ = of_running(HELD).splitlines()
    assert first.startswith("Healthy: ") and first.endswith("1 notice below.")
    assert notice == "! 22 messages that matched no route are held"
    assert remedy.startswith("  remedy: ")


def test_problem_in_the_first_sentence_is_not_repeated() -> None:
    assert of_running(UNROUTED).count("Messages from 192.0.2.7 match no route") == 1


def test_watch_shows_the_notice() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(screen(HELD, 40))
    assert isinstance(console.file, io.StringIO)
    assert "22 messages that matched no route are held" in console.file.getvalue()
