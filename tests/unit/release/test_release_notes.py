"""Tests what a release requires of version and changelog, and that the checkout's own agree."""

import re
from pathlib import Path

import pytest
from release_notes import UNRELEASED, faults, package_version, sections

from bridge import __version__

CHECKOUT = Path(__file__).parents[3]
CHANGELOG = (CHECKOUT / "CHANGELOG.md").read_text()
GOOD = """# Changelog
Text.

## [Unreleased]

## [1.2.0] - 2026-11-29
### Upgrade notes
- Nothing.

### Fixed
- A fault.

## [1.1.0] - 2026-01-02
Old.
"""
PACKAGE = '"""Text."""\n\n__version__ = "1.2.0"\n'


def test_version_and_changelog_that_agree_have_no_faults():
    assert faults("1.2.0", PACKAGE, GOOD) == []
    assert faults("1.2.0", PACKAGE, GOOD.replace("## [Unreleased]\n\n", "")) == []


@pytest.mark.parametrize(
    ("version", "package", "changelog", "message"),
    [
        ("1.2", PACKAGE.replace("1.2.0", "1.2"), GOOD.replace("[1.2.0]", "[1.2]"), "1.2 is not a version"),
        ("1.2.0", PACKAGE.replace("1.2.0", "1.1.0"), GOOD, "__version__ is 1.1.0"),
        ("1.2.0", PACKAGE, GOOD.replace("[Unreleased]\n", "[Unreleased]\n- A change.\n"), "[Unreleased] has changes"),
        ("1.2.0", PACKAGE, GOOD.replace("[1.2.0] - 2026-11-29", "[1.2.0]"), "has no date"),
        ("1.2.0", PACKAGE, GOOD.replace("2026-11-29", "2026-11-31"), "has no date"),
        ("1.2.0", PACKAGE, GOOD.replace("### Upgrade notes\n", ""), 'has no "### Upgrade notes"'),
        ("1.2.0", PACKAGE, GOOD.replace("[1.2.0]", "[1.3.0]"), "newest version is 1.3.0"),
        ("1.2.0", PACKAGE, "# Changelog\n", "newest version is missing"),
    ],
)
def test_each_disagreement_is_named(version, package, changelog, message):
    found = faults(version, package, changelog)
    assert len(found) == 1
    assert message in found[0]


def test_package_without_a_version_is_an_error():
    with pytest.raises(ValueError, match="has no __version__"):
        package_version('version = "1.2.0"\n')


def test_sections_are_cut_at_their_headings():
    assert [(section.version, section.day) for section in sections(GOOD)] == [
        ("Unreleased", None), ("1.2.0", "2026-11-29"), ("1.1.0", "2026-01-02"),
    ]  # fmt: skip
    assert sections(GOOD)[2].text == "Old."


def test_changelog_of_the_checkout_agrees_with_its_version():
    found = sections(CHANGELOG)
    assert found, "no section"
    assert package_version((CHECKOUT / "bridge/__init__.py").read_text()) == __version__
    if found[0].version == UNRELEASED and found[0].text:
        # Between releases: the changes have upgrade notes before they get their version.
        renamed = CHANGELOG.replace(f"[{UNRELEASED}]", f"[{__version__}] - 2026-01-01", 1)
        assert faults(__version__, f'__version__ = "{__version__}"', renamed) == []
    else:
        assert faults(__version__, f'__version__ = "{__version__}"', CHANGELOG) == []


@pytest.mark.parametrize("page", ["README.md", *sorted(CHECKOUT.glob("packaging/docs/**/*.md"))], ids=str)
def test_pages_name_no_version_of_the_package(page):
    # They would be wrong after the next release: write VERSION.
    assert re.findall(r"syslog[-_]bridge_?[- ]?\d+\.\d+\.\d+\S*", (CHECKOUT / page).read_text()) == []
