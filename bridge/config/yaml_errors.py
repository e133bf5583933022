"""Translates errors of the YAML library into texts for operators.

The library's own text is used only if no better one is known, and without its quotations from the file, because the
line may contain a secret.
"""

from __future__ import annotations

import re
from typing import Protocol

import yaml

from bridge.config.faults import Place


class Mark(Protocol):
    """Declares what a place needs of a mark of the library, which has one class for each of its parsers."""

    @property
    def line(self) -> int:
        """The line, counted from 0."""

    @property
    def column(self) -> int:
        """The column, counted from 0."""


# YAML 1.1 section 5.1, c-printable, less the byte order mark within a text
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

# (part of the library's text, text for the operator, True to show the place where the construct begins instead of the
# place where it fails)
_TEXTS = (
    ("while scanning an alias", 'a value that begins with * needs quotes, for example "*:514".', True),
    ("while scanning an anchor", "a value that begins with & needs quotes.", True),
    ("while scanning a tag", "a value that begins with ! needs quotes.", True),
    ("found undefined tag handle", "a value that begins with ! needs quotes.", True),
    ("while scanning a directive", "a line must not begin with %. A value that begins with % needs quotes.", True),
    ("while scanning a block scalar", "a text that begins with | or > needs quotes.", True),
    (
        "mapping values are not allowed",
        "': ' is not allowed here. Quote a value that contains it, or correct the indentation or the line before.",
        False,
    ),
    ("could not find expected ':'", "a key has no ': ' after it, or the line is not indented enough.", True),
    (
        "did not find expected key",
        "this line is not aligned with the lines before it. Correct the indentation or the quotes.",
        False,
    ),
    ("did not find expected '-' indicator", "expected '- ' in the same column as the first item of the list.", False),
    ("while parsing a flow sequence", "this [ is not closed, or a comma is missing after it.", True),
    ("while parsing a flow mapping", "this { is not closed, or a comma is missing after it.", True),
    ("found unexpected end of stream", "this quote is not closed.", True),
    ("unknown escape character", r"invalid escape: \ in double quotes. Use single quotes, or write \\.", False),
    ("while scanning a quoted scalar", "this quoted text cannot be read. Is the closing quote missing?", True),
    ("did not find expected <document start>", "the document has ended before this text. Remove the text.", False),
)


def unprintable(text: str, file: str) -> Place | None:
    """Returns the place of the first character that YAML does not allow, or None."""
    found = _UNPRINTABLE.search(text)
    return place_after(text[: found.start()], file) if found else None


def place_after(before: str, file: str) -> Place:
    """Returns the place of the character after the beginning of a text."""
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def syntax_fault(error: yaml.MarkedYAMLError, text: str, file: str) -> tuple[Place, str]:
    """Returns the place and the message of a syntax error."""
    library_text = f"{error.context or ''}: {error.problem or ''}"
    place = place_of_mark(error.problem_mark or error.context_mark, file)
    if "cannot start any token" in library_text:
        lines = text.splitlines() or [""]
        rest = lines[min(place.line, len(lines)) - 1][place.column - 1 :]
        if rest.startswith("\t"):
            return place, "YAML does not allow tabs as indentation. Use spaces."
        return place, f"a value that begins with {rest[:1]} needs quotes."
    for part, message, from_start in _TEXTS:
        if part in library_text:
            return (place_of_mark(error.context_mark or error.problem_mark, file) if from_start else place), message
    unquoted = re.sub("'[^']*'|<[^>]*>", "…", error.problem or "the file cannot be parsed")
    return place, f"not valid YAML: {unquoted}."


def place_of_mark(mark: Mark | None, file: str) -> Place:
    """Converts a mark of the library, which counts from 0, to a place; without a mark, the beginning of the file."""
    return Place(file, 1, 1) if mark is None else Place(file, mark.line + 1, mark.column + 1)
