"""The YAML library's complaints in the words of someone who edits a file.

The library's own text is shown only where no better one is known, and then without anything it quotes from the file:
the line may hold a secret.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from bridge.config.faults import Place

# YAML 1.1 section 5.1, c-printable, less the byte order mark within a text
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

# What the library says -> what is wrong and what would be right; True: shown where the construct begins, not where it
# fails.
_TEXTS = (
    ("while scanning an alias", 'a value that begins with * stands in quotes: "*:514"', True),
    ("while scanning an anchor", "a value that begins with & stands in quotes", True),
    ("while scanning a tag", "a value that begins with ! stands in quotes", True),
    ("found undefined tag handle", "a value that begins with ! stands in quotes", True),
    ("while scanning a directive", "a line that begins with %: a value that does stands in quotes", True),
    ("while scanning a block scalar", "a text that begins with | or > stands in quotes", True),
    (
        "mapping values are not allowed",
        "a ': ' that cannot stand here: quote a value that holds one, or correct the indentation or the line before",
        False,
    ),
    ("could not find expected ':'", "a key without ': ' after it, or a line that is indented too little", True),
    (
        "did not find expected key",
        "this does not line up with what stands before it: correct the indentation or the quotes",
        False,
    ),
    ("did not find expected '-' indicator", "a list goes on with '- ' in the same column as its first item", False),
    ("while parsing a flow sequence", "this [ is not closed, or a comma is missing behind it", True),
    ("while parsing a flow mapping", "this { is not closed, or a comma is missing behind it", True),
    ("found unexpected end of stream", "this quote is not closed", True),
    ("unknown escape character", r"a \ in double quotes begins an escape: use single quotes, or write \\", False),
    ("while scanning a quoted scalar", "this quoted text cannot be read: is its closing quote missing?", True),
    ("did not find expected <document start>", "text after the end of the document", False),
)


def unprintable(text: str, file: str) -> Place | None:
    """Where the first character stands that YAML does not allow, or None."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    return Place(file, before.count("\n") + 1, found.start() - before.rfind("\n"))


def syntax_fault(error: yaml.MarkedYAMLError, text: str, file: str) -> tuple[Place, str]:
    """Place and message of a syntax error."""
    said = f"{error.context or ''}: {error.problem or ''}"
    place = place_of_mark(error.problem_mark or error.context_mark, file)
    if "cannot start any token" in said:
        lines = text.splitlines() or [""]
        rest = lines[min(place.line, len(lines)) - 1][place.column - 1 :]
        if rest.startswith("\t"):
            return place, "a tab: YAML is indented with blanks"
        return place, f"a value that begins with {rest[:1]} stands in quotes"
    for part, message, from_start in _TEXTS:
        if part in said:
            return (place_of_mark(error.context_mark or error.problem_mark, file) if from_start else place), message
    unquoted = re.sub("'[^']*'|<[^>]*>", "…", error.problem or "it cannot be read")
    return place, f"not valid YAML: {unquoted}"


def place_of_mark(mark: Any, file: str) -> Place:
    """The place of one of the library's marks, which count from 0; the file's beginning without one."""
    return Place(file, 1, 1) if mark is None else Place(file, mark.line + 1, mark.column + 1)
