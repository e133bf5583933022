"""Makes system calls on chosen files fail with chosen errors, within this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class FileErrors:
    """Errors by call and file: `open`, `rename`, `unlink`, `stat`, `listdir`, `fsync` or `pread` of a path that a test
    has chosen.

    The path of a `pread` ends in `@OFFSET+SIZE`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        "The calls that failed, each with the name of its file."
        self._rules: list[tuple[str, Callable[[str], bool], int, int]] = []
        for call in ("open", "rename", "unlink", "stat", "listdir"):
            monkeypatch.setattr(os, call, self._replacement(call, getattr(os, call)))
        for call in ("fsync", "pread"):
            monkeypatch.setattr(os, call, self._replacement(call, getattr(os, call), by_descriptor=True))

    def fail(self, call: str, files: Callable[[str], bool], number: int, *, times: int = 1 << 30) -> None:
        """Lets a call fail for each file whose path fulfils the condition, at most `times` times."""
        self._rules.append((call, files, number, times))

    def stop(self) -> None:
        """Lets all calls succeed again."""
        self._rules.clear()

    def _replacement(self, call: str, original: Callable[..., Any], *, by_descriptor: bool = False) -> Any:
        def replaced(target: Any, *arguments: Any, **named: Any) -> Any:
            path = str(Path(f"/proc/self/fd/{target}").readlink()) if by_descriptor else os.fsdecode(target)
            if call == "pread":
                path += f"@{arguments[1]}+{arguments[0]}"
            for i, (what, files, number, times) in enumerate(self._rules):
                if what == call and times and files(path):
                    self._rules[i] = (what, files, number, times - 1)
                    self.calls.append((call, Path(path).name))
                    raise OSError(number, os.strerror(number), None if by_descriptor else path)
            return original(target, *arguments, **named)

        return replaced
