"""Tests that no text for the operator contains Python's own text of an error of the operating system."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

import bridge
from bridge.util.os_errors import described
from tests.harness.builders import build_spool


def test_error_is_described_by_its_file_and_reason() -> None:
    with pytest.raises(OSError) as raised:
        Path("/nowhere/file").stat()
    assert described(raised.value) == "/nowhere/file: No such file or directory"
    assert described(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert described(OSError(errno.EIO, "Input/output error", 7)) == "Input/output error"
    assert described(OSError(errno.EIO, "Input/output error", b"/caf\xe9")).endswith("Input/output error")
    assert described(ValueError("not a number")) == "not a number"


def test_lock_that_cannot_be_made_again_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    spool = build_spool(tmp_path / "spool", on_error=notes.append)

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(Path, "lstat", fail)
    spool.renew_lock()
    monkeypatch.undo()
    spool.close()
    assert [note.rpartition("again: ")[2] for note in notes] == [f"{tmp_path}/spool/lock: Input/output error"]


def test_no_handler_of_os_errors_shows_the_error_itself() -> None:
    found = []
    for path in sorted(Path(bridge.__file__).parent.rglob("*.py")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            match = re.match(r"( *)except .*\b(?:OSError|PermissionError|FileNotFoundError)\b.* as (\w+):", line)
            if match is None:
                continue
            indent, name = match.groups()
            itself = re.compile(
                rf"\{{{name}(?:![rs])?\}}|(?<!strerror or )(?<! in )\b(?:str|repr)\({name}\)|why={name}\b(?!\.)"
            )
            for later in lines[number + 1 :]:
                if later.strip() and not later.startswith(f"{indent} "):
                    break
                if itself.search(later):
                    found.append(f"{path.name}:{number + 1}: {later.strip()}")
    assert found == []
