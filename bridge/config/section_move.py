"""Moves an entry of a section of a YAML text to the top level, with its comments.

In block style, whole lines move: the entry, the comments above it in the same column, and those in and behind it that
are indented more. In flow style, only the entry itself moves. It comes behind the section, or before it if an alias in
the section needs an anchor in the entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge.config.renames import Rename
from bridge.config.yaml_spans import Span

_COMMENT_LINE = re.compile("([ \t]*)#")
_COLON = re.compile(r"\s*:(?:[ \t]+&\S+)?")
"What is between a key and its value: the colon, and an anchor in the same line."
_COMMA_BEHIND = re.compile(r"\s*,[ \t]*")
_COMMA_BEFORE = re.compile(r",\s*\Z")

Edit = tuple[int, int, str]
"Replaces the text between two offsets."


def to_top_level(text: str, root: Span, rename: Rename, *, before: bool) -> str:
    """Returns the text with the entry moved, or the same text if it has no entry that can be moved."""
    section = root.find(rename.section[0])
    entry = section[1].find(rename.old_key) if section is not None and section[1].target is None else None
    if section is None or entry is None:
        return text
    key, value = entry
    new_key = rename.written(text[key.start : key.end])
    if section[1].is_flow:
        start, end = _flow_extent(text, key, value)
        colon = text[key.end : value.start]
        # JSON needs no blank after the colon; block style does.
        moved = f"{new_key}{colon}{' ' * colon.endswith(':')}{text[value.start : value.end]}"
        edits = [(start, end, "")]
    else:
        start, end = _block_extent(text, key, value)
        width = _column(text, key.start) - _column(text, section[0].start)
        moved = _dedented(f"{text[start : key.start]}{new_key}{text[key.end : end]}", width)
        edits = [(start, end, "")]
        colon_end = _COLON.match(text, section[0].end)
        if len(section[1].entries) == 1 and colon_end is not None:
            edits.append((colon_end.end(), colon_end.end(), " {}"))
    if root.is_flow:
        edits.append(_insertion_in_flow(text, *section, moved, before=before))
    else:
        edits.append(_insertion_of_lines(text, *section, moved, cut=end, before=before))
    return _applied(text, edits)


def _flow_extent(text: str, key: Span, value: Span) -> tuple[int, int]:
    """Returns where an entry in braces begins and ends, with one comma, and its line if nothing else is in it."""
    start, end = key.start, value.end
    if (comma := _COMMA_BEHIND.match(text, end)) is not None:
        end = comma.end()
    elif (comma := _COMMA_BEFORE.search(text, 0, start)) is not None:
        start = comma.start()
    line, following = _line_start(text, start), _line_end(text, end)
    alone = not text[line:start].strip() and not text[end:following].strip()
    return (line, following) if alone else (start, end)


def _block_extent(text: str, key: Span, value: Span) -> tuple[int, int]:
    """Returns where the lines of an entry begin and end."""
    column = _column(text, key.start)
    start = _line_start(text, key.start)
    while start > 0:
        above = _line_start(text, start - 1)
        comment = _COMMENT_LINE.match(text, above)
        if comment is None or len(comment[1]) != column:
            break
        start = above
    return start, _comments_end(text, _line_end(text, value.end), column)


def _comments_end(text: str, line: int, column: int) -> int:
    """Returns where the comments end that begin at a line and are indented more than a column."""
    end = line
    while line < len(text):
        comment, following = _COMMENT_LINE.match(text, line), _line_end(text, line)
        if comment is not None and len(comment[1]) > column:
            end = following
        elif text[line:following].strip():
            break
        line = following
    return end


def _dedented(lines: str, width: int) -> str:
    blanks = re.compile(f"[ \t]{{0,{width}}}")
    return "\n".join(blanks.sub("", line, count=1) for line in lines.split("\n"))


def _insertion_in_flow(text: str, key: Span, section: Span, moved: str, *, before: bool) -> Edit:
    indent = text[_line_start(text, key.start) : key.start]
    comma = ", " if indent.strip() else f",{_line_break(text)}{indent}"
    return (key.start, key.start, moved + comma) if before else (section.end, section.end, comma + moved)


def _insertion_of_lines(text: str, key: Span, section: Span, moved: str, *, cut: int, before: bool) -> Edit:
    """Inserts the entry as lines, with an empty line between it and the section if there are some in the file.

    ``cut`` is where the entry ends that is cut out.
    """
    newline, line = _line_break(text), _line_start(text, key.start)
    indent = _column(text, key.start)
    if section.is_flow:
        moved = " " * indent + moved
    moved = moved if moved.endswith("\n") else moved + newline
    blank = newline if re.search(r"^[ \t]*\r?\n", text, re.MULTILINE) else ""
    if before:
        return line, line, moved + blank
    # In block style, the cut ends where a line begins.
    place = cut if cut > section.end and not section.is_flow else _line_end(text, section.end)
    place = _comments_end(text, place, indent)
    missing = "" if text.endswith("\n", 0, place) or (place == cut and not section.is_flow) else newline
    return place, place, missing + blank + moved


def _applied(text: str, edits: Iterable[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    """Returns where the next line begins."""
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _column(text: str, offset: int) -> int:
    return offset - _line_start(text, offset)
