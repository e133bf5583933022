"""Tests that the address for security and support has one place."""

from pathlib import Path

import pytest
from documentation import contact

CHECKOUT = Path(__file__).parents[3]


def test_page_shows_the_address_of_the_package():
    assert f"`{contact.address()}`" in contact.markdown()
    assert ("placeholder" in contact.markdown()) == contact.address().endswith(".invalid")


def test_no_other_file_holds_the_address():
    files = [path for path in (CHECKOUT / "packaging").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files += [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", CHECKOUT / "setup.cfg"]
    holding = [path for path in files if contact.address().encode() in path.read_bytes()]
    assert holding == [contact.CONTROL]


def test_address_without_a_maintainer_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "control").write_text("Source: syslog-bridge\n")
    monkeypatch.setattr(contact, "CONTROL", tmp_path / "control")
    with pytest.raises(ValueError, match="has no line Maintainer"):
        contact.address()
