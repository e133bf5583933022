"""Tests that each block of the pages has a mark, and checks the configuration blocks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from documentation.blocks import Block, blocks

from bridge.cli.main import main
from tests.harness.pages import CHECKOUT, PAGES, completed, marked, write_tls

CONFIGURATIONS = list(marked("config"))


def test_a_block_has_its_mark_language_and_text() -> None:
    page = "1. Do:\n\n   <!-- run -->\n   ```sh\n   true\n   ```\n\n```text\nout\n```\n"
    page += "<!-- not run: a reason -->\n```sh\nx\n```\n"
    assert list(blocks(page)) == [
        Block(4, "sh", "run", "true\n"), Block(8, "text", "", "out\n"), Block(12, "sh", "not run: a reason", "x\n"),
    ]  # fmt: skip


def test_every_block_has_a_mark_or_is_output() -> None:
    # The commands of the performance page measure for minutes on a machine that does nothing else.
    missing = [
        f"{page.relative_to(CHECKOUT)}:{block.line}"
        for page in PAGES
        for block in blocks(page.read_text())
        if page.name != "performance.md" and not block.mark and block.language not in ("text", "{toctree}")
    ]
    assert missing == []


def test_every_block_that_is_not_run_has_a_reason() -> None:
    assert [place for place, block in marked("not run") if len(block.mark) < len("not run: ") + 8] == []


@pytest.mark.parametrize(("place", "block"), CONFIGURATIONS, ids=[place for place, _ in CONFIGURATIONS])
def test_configuration_blocks_are_valid(place: str, block: Block, tmp_path: Path) -> None:
    write_tls(tmp_path / "tls", "server", "gateway")
    file = tmp_path / "bridge.yaml"
    whole = block.mark == "config: whole"
    file.write_text(block.text if whole else yaml.safe_dump(completed(block.text), sort_keys=False))
    result = CliRunner().invoke(main, ["check", "-c", str(file), "--no-secrets"])
    assert result.exit_code == 0, f"{place}: {result.output}"


def test_every_table_has_headings() -> None:
    headless = [
        f"{page.relative_to(CHECKOUT)}:{number}"
        for page in PAGES
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if re.fullmatch(r"(\| *)+\|", line)
    ]
    assert headless == []
