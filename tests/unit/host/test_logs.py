"""Tests the log lines: styles, levels, and the throttle."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher

from bridge.cli import run
from bridge.host import logs
from bridge.host.logs import LogLine, LogObserver, Recent, Throttle, Written

HOSTILE = "a\nb\x1b[2J\u202ec"


def log_events(style="text", *, level="info", events=()):
    out, recent = io.StringIO(), Recent()
    observer = LogPublisher(LogObserver(Written(out, style), level=level), LogObserver(recent, level=level))
    log = Logger(namespace="deliver", observer=observer)
    for log_level, text in events:
        log.emit(log_level, "intake {name}: {text}", name="x", text=text)
    return out.getvalue(), recent


@pytest.mark.parametrize(("level", "number"), [("info", 6), ("warn", 4), ("error", 3), ("critical", 2)])
def test_journal_lines_begin_with_their_level(level, number):
    text, _ = log_events("journal", events=[(LogLevel.lookupByName(level), "so")])
    assert text == f"<{number}>deliver: intake x: so\n"


def test_json_event_is_one_line():
    text, _ = log_events("json", events=[(LogLevel.warn, HOSTILE)])
    fields = json.loads(text)
    assert fields.pop("time").endswith("Z")
    assert fields == {"level": "warn", "logger": "deliver", "message": "intake x: a\\nb\\x1b[2J\\x202ec"}


def test_control_characters_are_escaped():
    text, recent = log_events(events=[(LogLevel.error, HOSTILE)])
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    assert recent.lines()[0]["text"].isprintable()


def test_lines_below_the_level_are_omitted():
    events = [(LogLevel.debug, "1"), (LogLevel.info, "2"), (LogLevel.warn, "3")]
    assert log_events(events=events)[0].count("\n") == 2
    assert log_events(level="debug", events=events)[0].count("\n") == 3
    assert log_events(level="warn", events=events)[0].count("\n") == 1


def test_repeated_lines_are_suppressed_and_counted():
    lines = []
    throttle = Throttle(lines.append)
    for n in range(1000):
        throttle("same", LogLine(100.0 + n / 1000, "warn", "deliver", f"line {n}"))
    throttle("other", LogLine(101.0, "warn", "deliver", "different"))
    assert len(lines) == Throttle.BURST + 1
    throttle("other", LogLine(120.0, "warn", "deliver", "later"))
    assert lines[-2].text == f"suppressed {1000 - Throttle.BURST} similar lines: same"
    assert lines[-1].text == "later"
    throttle("same", LogLine(121.0, "warn", "deliver", "again"))
    assert lines[-1].text == "again"


def test_recent_lines_are_bounded():
    recent = Recent()
    for n in range(1000):
        recent(LogLine(float(n), "info", "app", "x" * 5000))
    lines = recent.lines()
    assert len(lines) == Recent.MAX_LINES
    assert lines[0]["time"] == logs.stamp(999.0)
    assert len(lines[0]["text"]) == Recent.MAX_LENGTH


def test_journald_is_recognised_by_its_stream(tmp_path, monkeypatch):
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert logs.choose_style("auto", stream) == "journal"
        assert logs.choose_style("json", stream) == "json"
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert logs.choose_style("auto", stream) == "text"
    assert logs.choose_style("auto", io.StringIO()) == "text"


def test_every_log_format_and_level_of_the_command_line_exists():
    for style in run.LOG_FORMATS:
        assert log_events(logs.choose_style(style, io.StringIO()), events=[(LogLevel.info, "x")])[0]
    for level in run.LOG_LEVELS:
        LogObserver(Written(io.StringIO()), level=level)


def test_every_logger_of_the_program_is_known():
    """Events below ``warn`` of an unknown namespace are dropped, as Twisted's are."""
    sources = Path(logs.__file__).parents[1].rglob("*.py")
    used = {name for path in sources for name in re.findall(r'Logger\(namespace="([^"]*)"', path.read_text())}
    assert used == logs.NAMESPACES
