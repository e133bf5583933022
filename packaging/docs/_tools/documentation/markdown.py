"""Formats tables and code for Markdown pages."""

import re
from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """Returns a text for one table cell: on one line, with escaped bars."""
    return " ".join(text.split()).replace("|", "\\|")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table with a header row."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def code(text: str) -> str:
    """Returns a text as inline code; empty if the text is empty."""
    return f"`{text}`" if text else ""


def block(language: str, text: str) -> str:
    """Returns a fenced code block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def anchor(text: str) -> str:
    """Returns a name for a link target: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def sentence(text: str) -> str:
    """Returns a text with an upper-case first letter and a full stop."""
    text = " ".join(text.split())
    return text if not text else text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")
