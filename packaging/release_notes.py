"""Checks that a release may be made, or prints its notes: `release_notes.py check|notes VERSION`, run at the top.

`check` prints what is wrong, a line each, and exits with 1; `notes` prints the changelog's section of the version. Only
the standard library, so that it runs before anything is installed.
"""

import re
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

UNRELEASED = "Unreleased"
UPGRADE = "### Upgrade notes"
_HEADING = re.compile(r"^## \[([^]]+)\](?: - (\S+))?\s*$", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_ASSIGNMENT = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


class Section(NamedTuple):
    """Holds one version's part of the changelog."""

    version: str
    day: str | None
    text: str


def sections(changelog: str) -> list[Section]:
    """Returns the sections of a changelog in their order."""
    found = list(_HEADING.finditer(changelog))
    ends = [match.start() for match in found[1:]] + [len(changelog)]
    return [
        Section(match[1], match[2], changelog[match.end() : end].strip())
        for match, end in zip(found, ends, strict=False)
    ]


def package_version(package: str) -> str:
    """Returns the version in the text of bridge/__init__.py; raises ValueError if it is missing."""
    match = _ASSIGNMENT.search(package)
    if match is None:
        raise ValueError("bridge/__init__.py has no __version__")
    return match[1]


def faults(version: str, package: str, changelog: str) -> list[str]:
    """Returns why this version cannot be released from a checkout, given bridge/__init__.py and CHANGELOG.md."""
    wrong = []
    if not _VERSION.fullmatch(version):
        wrong.append(f"{version} is not a version: write three numbers, such as 1.2.0 or 1.2.0rc1")
    if package_version(package) != version:
        wrong.append(f'bridge/__init__.py: __version__ is {package_version(package)}. Set it to "{version}"')
    released = sections(changelog)
    if released and released[0].version == UNRELEASED:
        if released[0].text:
            wrong.append(f"CHANGELOG.md: [{UNRELEASED}] has changes. Rename the heading to [{version}] - DATE")
        released = released[1:]
    if not released or released[0].version != version:
        newest = released[0].version if released else "missing"
        wrong.append(f"CHANGELOG.md: the newest version is {newest}. Add the section [{version}] - DATE")
        return wrong
    newest = released[0]
    if not _is_day(newest.day):
        wrong.append(f"CHANGELOG.md: [{version}] has no date. Write [{version}] - YEAR-MONTH-DAY")
    if f"\n{UPGRADE}\n" not in f"\n{newest.text}\n":
        wrong.append(
            f'CHANGELOG.md: [{version}] has no "{UPGRADE}". Say what to do before, during and after the upgrade'
        )
    return wrong


def _is_day(text: str | None) -> bool:
    try:
        return date.fromisoformat(text or "").isoformat() == text
    except ValueError:
        return False


def main() -> int:
    """Runs the command and returns its exit code."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "notes"):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    version = sys.argv[2]
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    if sys.argv[1] == "notes":
        print(next(section.text for section in sections(changelog) if section.version == version))  # noqa: T201
        return 0
    wrong = faults(version, Path("bridge/__init__.py").read_text(encoding="utf-8"), changelog)
    for line in wrong:
        print(line, file=sys.stderr)  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
