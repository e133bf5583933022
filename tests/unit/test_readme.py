"""Tests that README.md is short, that its configuration is valid, and that it shows the real output of ``check``."""

import re
from pathlib import Path

from click.testing import CliRunner

from bridge.cli.main import main
from tests.harness.pages import marked

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_readme_has_at_most_130_lines() -> None:
    assert len(README.splitlines()) <= 130


def test_check_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (block,) = [block for place, block in marked("config: whole") if place.startswith("README.md:")]
    file = tmp_path / "bridge.yaml"
    file.write_text(block.text)
    result = CliRunner().invoke(main, ["check", "-c", str(file), "--no-secrets"])
    shown = re.search(r"^\$ syslog-bridge check\n(.*)$", README, re.MULTILINE)
    assert shown is not None
    assert result.output.splitlines()[-1] == shown[1]


def test_links_and_images_exist() -> None:
    root = Path(__file__).parents[2]
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert len(links) > 15
    assert [link for link in links if not (root / link).exists()] == []
