"""Tests that the documentation is complete in the package, and that every link and image works there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.pages import DOCS

# tests.harness.pages makes the tools of the documentation importable.
from documentation import html_pages  # isort: skip


@pytest.fixture
def root(package: Path, tmp_path: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    return tmp_path


def test_pages_are_complete_and_have_no_dead_links(root: Path) -> None:
    html = root / "usr/share/syslog-bridge/html"
    assert html_pages.faults(html) == []
    pages = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    assert pages <= {str(path.relative_to(html)) for path in html.rglob("*.html")}


def test_links_and_images_of_the_readme_work(root: Path) -> None:
    folder = root / "usr/share/doc/syslog-bridge"
    links = re.findall(r"\]\(([^)#]+)", (folder / "README.md").read_text())
    assert len(links) > 15
    assert [link for link in links if "://" not in link and not (folder / link).resolve().is_file()] == []


def test_documentation_of_the_unit_exists(root: Path) -> None:
    text = (root / "lib/systemd/system/syslog-bridge.service").read_text()
    (named,) = re.findall(r"^Documentation=(.*)$", text, re.MULTILINE)
    for place in named.split():
        if place.startswith("man:"):
            page, section = place.removeprefix("man:").rstrip(")").split("(")
            assert (root / f"usr/share/man/man{section}/{page}.{section}.gz").is_file()
        else:
            assert (root / place.removeprefix("file:///")).is_file()
