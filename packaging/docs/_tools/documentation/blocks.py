"""Reads the fenced blocks of pages with the mark that says how a test treats each of them.

The mark is an HTML comment directly before the block:

- ``<!-- run -->``: the commands are run against a started bridge
- ``<!-- config: part -->``, ``<!-- config: whole -->``: the configuration is checked, a part together with a basic one
- ``<!-- check: NAME -->``: another program checks it (rsyslog, syslog-ng, prometheus, yaml)
- ``<!-- not run: REASON -->``: neither; the reason says why

Blocks in the language ``text`` without a mark are output.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(
    r"(?:^[ ]*<!-- (?P<mark>(?:run|config|check|not run)[^>]*?) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its line in the page, its language, its mark (empty without one) and its text."""

    line: int
    language: str
    mark: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """Yields the blocks of a page in order."""
    for found in _BLOCK.finditer(page):
        line = page.count("\n", 0, found.start("language")) + 1
        yield Block(line, found["language"], found["mark"] or "", textwrap.dedent(found["text"]))
