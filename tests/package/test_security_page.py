"""Tests that the security page names existing tests, and every attack."""

from __future__ import annotations

import re

from tests.harness.attacks.catalogue import NAMES
from tests.package.conftest import CHECKOUT

PAGE = (CHECKOUT / "packaging/docs/deploy/hardening.md").read_text()


def test_each_attack_has_a_row() -> None:
    named = set()
    for attacks in re.findall(r"\battacks? ((?:`[a-z-]+`(?:, )?)+)", PAGE):
        named |= set(re.findall(r"`([a-z-]+)`", attacks))
    assert named == set(NAMES)


def test_named_tests_exist() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`", PAGE)
    assert named
    for file, function in named:
        text = (CHECKOUT / file).read_text()
        assert not function or f"def {function}(" in text, (file, function)
