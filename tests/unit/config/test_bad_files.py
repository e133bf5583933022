"""Loads each file of `bad/`, which contains one mistake; its first lines list the expected faults in full."""

import re
from pathlib import Path

import pytest

from bridge.config import ConfigurationError, load
from bridge.util import file_access

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))
EXPECTED = re.compile(rb"^# fault: (?:(?P<file>[^\s:]+):)?(?P<place>\d+:\d+): (?P<text>.*)$", re.MULTILINE)


def test_bad_files_are_found() -> None:
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bad_file_has_exactly_the_expected_faults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)  # Faults name files as they were given, so relative names make the texts reproducible.
    for name in ("CREDENTIALS_DIRECTORY", "SYSLOG_BRIDGE_TEST_NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    # Remedies name the user and the group of the process that reads the files.
    monkeypatch.setattr(file_access, "_effective_ids", lambda: (999, 999))
    monkeypatch.setattr(file_access, "group_name", lambda gid: "syslog-bridge")
    expected = [
        f"{(found['file'] or path.name.encode()).decode()}:{found['place'].decode()}: {found['text'].decode()}"
        for found in EXPECTED.finditer(path.read_bytes())
    ]
    assert expected
    with pytest.raises(ConfigurationError) as raised:
        load(path.name)
    assert [str(fault) for fault in raised.value.faults] == expected
    assert "SECRET" not in str(raised.value)
    assert "pydantic" not in str(raised.value).lower()


def test_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path / "bridge.yaml")
    assert str(raised.value) == (
        f"{tmp_path}/bridge.yaml:1:1: cannot read the file: No such file or directory. Run sudo syslog-bridge setup to"
        " write one, or name another file with -c FILE."
    )
