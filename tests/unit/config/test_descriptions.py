"""Tests that every key of the configuration has a description, and that the examples are valid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.config import load
from bridge.config.descriptions import describe, descriptions
from bridge.config.schema import schema
from tests.harness.configuration_parts import completed


def _properties(part: Any, prefix: str = "") -> Iterator[str]:
    """Yields the paths of all properties in a JSON Schema."""
    for one in [part, *part.get("anyOf", ())]:
        for name, value in one.get("properties", {}).items():
            if value.get("deprecated"):
                continue
            # {file: PATH} and its like are forms of a value and no keys of their own.
            if "oneOf" not in one and "description" in one:
                yield prefix + name
            yield from _properties(value, f"{prefix}{name}.")
        if isinstance(one.get("items"), dict):
            yield from _properties(one["items"], f"{prefix.removesuffix('.')}[].")
        if isinstance(one.get("additionalProperties"), dict):
            yield from _properties(one["additionalProperties"], f"{prefix}NAME.")


def test_every_key_has_a_description() -> None:
    paths = list(_properties(schema()))
    assert len(paths) > 150
    assert [path for path in paths if describe(path) is None and describe(f"{path}[]") is None] == []


def test_every_description_is_of_a_key() -> None:
    paths = set(_properties(schema()))
    assert [path for path in descriptions() if path.removesuffix("[]") not in paths] == []


@pytest.mark.parametrize("path", [path for path, one in descriptions().items() if one.example])
def test_example_is_valid(path: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(completed(descriptions()[path].example))
    if path != "include":
        load(file, secrets=False)
    assert path.split(".", maxsplit=1)[0].removesuffix("[]") in descriptions()[path].example
