"""Tests that the configuration in README.md is valid and that its ``explain`` example shows the real output."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.check import check
from bridge.cli.explain import explain

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    return path


def test_the_configuration_in_the_readme_is_valid(file):
    result = CliRunner().invoke(check, ["-c", str(file), "--no-secrets"], obj=lambda *_: [])
    assert result.exit_code == 0, result.output


def test_the_explain_example_in_the_readme_is_the_real_output(file):
    example = r"```sh\necho '(.*?)' \| syslog-bridge explain.*?```\n```\n(.*?)```"
    frame, shown = re.search(example, README, re.DOTALL).groups()
    options = ["-c", str(file), "--from", "10.2.0.1", "--received", "2026-11-23T12:30:00Z"]
    result = CliRunner().invoke(explain, options, input=f"{frame}\n")
    assert result.stdout.strip() == shown.strip()
