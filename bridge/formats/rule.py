"""Defines the rules of formats: choices between payload forms, and edits of the text. They work on whole columns.

A *choice* examines one column of the read. Rows in which it matches get another payload form. An *edit* changes the
resulting text: at its beginning (``Beginning``), or at line ends and TABs (``Ends``). If no event of a read contains a
line end, an edit is one substitution over all rows, not one per frame.

PCRE2 makes that substitution in a tenth of the time of Python's ``re``. Where PCRE2 is missing or exceeds its match
limits, ``re`` edits the rows one by one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from bridge.util.rewriter import Rewriter, rewriter

Column = Sequence[bytes]

_GROUP = re.compile(rb"\\([1-9])")


class ColumnsLike(Protocol):
    """Declares what a rule needs of the columns of a read. This package does not import the syslog package."""

    @property
    def count(self) -> int: ...
    @property
    def holds_lf(self) -> bool: ...
    def __getitem__(self, name: str) -> Column: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Gives rows in which ``column`` begins with ``begins`` the payload form ``form``.

    ``begins`` must take linear time, because it is applied to whole frames.
    """

    form: str
    column: str
    begins: bytes
    _expression: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expression", re.compile(self.begins))

    def matches(self, columns: ColumnsLike) -> list[re.Match[bytes] | None]:
        """Returns a match or None for each row. The list is empty if no row matches."""
        found = list(map(self._expression.match, columns[self.column]))
        return found if any(found) else []


@dataclass(frozen=True, slots=True)
class Beginning:
    """Replaces the beginning of an event by ``replacement`` (a template). ``begins`` must never match an LF."""

    begins: bytes
    replacement: bytes = b""
    required_text: bytes = b""
    "Text that every match of ``begins`` needs in the event. If no row contains it, the edit is skipped."
    _one: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_one", re.compile(self.begins))

    def on_block(self, block: bytes) -> bytes:
        """Edits a block of rows, which has an LF before each row and none inside."""
        if self.required_text not in block:
            return block
        rewrite = _rewriter(self.begins, self.replacement)
        rewritten = rewrite(block) if rewrite else None
        if rewritten is None:
            return b"".join(b"\n" + self.on_event(row) for row in block[1:].split(b"\n"))
        edited, count = rewritten
        return edited if count else block

    def on_event(self, event: bytes) -> bytes:
        """Edits one event, which may contain LFs."""
        if self.required_text not in event:
            return event
        match = self._one.match(event)
        return event if match is None else match.expand(self.replacement) + event[match.end() :]


@cache
def _rewriter(begins: bytes, replacement: bytes) -> Rewriter | None:
    # The literal LF lets the expression find the rows quickly.
    return rewriter(rb"\n(?:" + begins + b")", b"\n" + _GROUP.sub(rb"${\1}", replacement))


@dataclass(frozen=True, slots=True)
class Ends:
    """Replaces control characters anywhere in an event: pairs (old, new), in order. No replacement contains an LF."""

    pairs: tuple[tuple[bytes, bytes], ...]

    def on_block(self, block: bytes) -> bytes:
        """Edits a block of rows, in which LFs only separate the rows."""
        for old, new in self.pairs:
            block = block if b"\n" in old else block.replace(old, new)
        return block

    def on_event(self, event: bytes) -> bytes:
        """Edits one event, which may contain LFs."""
        for old, new in self.pairs:
            event = event.replace(old, new)
        return event


@dataclass(frozen=True, slots=True)
class FormatRule:
    """Choices and edits under one name. The first choice that matches decides; then the edits are applied in order."""

    name: str
    description: str
    "Description for users."
    choices: tuple[Choice, ...] = ()
    edits: tuple[Beginning | Ends, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The columns that the choices examine."""
        return frozenset(choice.column for choice in self.choices)

    def forms(self, default: str, columns: ColumnsLike) -> list[str]:
        """Returns the payload form of each row."""
        found: list[tuple[Choice, list[re.Match[bytes] | None]]] = []
        last = [default] * columns.count
        for choice in self.choices:
            matches = choice.matches(columns)
            if matches and all(matches):
                # No further choice is considered.
                last = [choice.form] * columns.count
                break
            found += [(choice, matches)] if matches else []
        for choice, matches in reversed(found):
            last = [choice.form if match else form for match, form in zip(matches, last, strict=True)]
        return last

    def edited_block(self, block: bytes) -> bytes:
        """Applies all edits to a block of rows, which has an LF before each row and none inside."""
        for edit in self.edits:
            block = edit.on_block(block)
        return block

    def edited(self, events: Column, holds_lf: bool) -> Column:
        """Applies all edits to the text of all rows. There must be at least one row."""
        if not self.edits:
            return events
        if not holds_lf:
            block = b"\n" + b"\n".join(events)
            edited = self.edited_block(block)
            return events if edited is block else edited.split(b"\n")[1:]
        for edit in self.edits:
            events = [edit.on_event(event) for event in events]
        return events
