"""Tests the warning about missing libraries at start."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from bridge.app import run
from bridge.util import pcre2


def warnings_with(monkeypatch: pytest.MonkeyPatch, library: object) -> list[str]:
    monkeypatch.setattr(pcre2, "load", lambda: library)
    with capturedLogs() as events:
        run._warn_about_missing_libraries()
    return [str(event["log_format"]) for event in events]


def test_missing_library_is_reported_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warnings_with(monkeypatch, object()) == []
    (line,) = warnings_with(monkeypatch, None)
    assert "libpcre2-8-0" in line and "CPU" in line
