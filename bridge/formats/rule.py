"""What a format does beyond one payload form: choices between forms, edits of the text. Whole columns in, columns out.

A *choice* looks at one column of the read: rows in which it matches take another payload form. An *edit* changes the
chosen text: at its beginning (``Beginning``), or wherever it holds a line end or TAB (``Ends``). Nothing here is run
frame by frame where a read can be taken at once: without line ends inside, an edit is one substitution over all rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

Column = Sequence[bytes]


class ColumnsLike(Protocol):
    """The columns of a read, as the syslog layer has them; this package imports nothing of ours but itself."""

    @property
    def count(self) -> int: ...
    @property
    def holds_lf(self) -> bool: ...
    def __getitem__(self, name: str) -> Column: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows in which ``column`` begins with ``begins`` take the payload form ``form``. ``begins`` must be linear: it
    sees whole frames."""

    form: str
    column: str
    begins: bytes
    _expression: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expression", re.compile(self.begins))

    def hits(self, columns: ColumnsLike) -> list[re.Match[bytes] | None]:
        """A match or None, one per row."""
        return list(map(self._expression.match, columns[self.column]))


class Edit(Protocol):
    """A change of the text of all rows."""

    def on_block(self, block: bytes) -> bytes:
        """A block of rows, an LF before each and none inside, changed."""

    def on_event(self, event: bytes) -> bytes:
        """One event, which may hold LFs, changed."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Puts ``becomes`` (a template) in place of what an event begins with. ``begins`` must never match an LF."""

    begins: bytes
    becomes: bytes = b""
    only_with: bytes = b""
    "What is in every text that ``begins`` matches: where no row has it, none is looked at."
    _one: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _all: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_one", re.compile(self.begins))
        # The expression finds the rows by one literal byte.
        object.__setattr__(self, "_all", re.compile(rb"\n(?:" + self.begins + rb")"))

    def on_block(self, block: bytes) -> bytes:
        """All rows, in one substitution."""
        if self.only_with not in block:
            return block
        return self._all.sub(rb"\n" + self.becomes, block)

    def on_event(self, event: bytes) -> bytes:
        """One event."""
        if self.only_with not in event:
            return event
        match = self._one.match(event)
        return event if match is None else match.expand(self.becomes) + event[match.end() :]


@dataclass(frozen=True, slots=True)
class Ends:
    """Replaces control characters wherever they stand: pairs of (what, by what), in their order; none brings an LF."""

    pairs: tuple[tuple[bytes, bytes], ...]

    def on_block(self, block: bytes) -> bytes:
        """All rows; their own LFs stand between them."""
        for what, by in self.pairs:
            block = block if b"\n" in what else block.replace(what, by)
        return block

    def on_event(self, event: bytes) -> bytes:
        """One event."""
        for what, by in self.pairs:
            event = event.replace(what, by)
        return event


@dataclass(frozen=True, slots=True)
class FormatRule:
    """Choices and edits under one name. The first choice that holds decides; the edits follow in their order."""

    name: str
    says: str
    "What it does, in words, for people."
    choices: tuple[Choice, ...] = ()
    edits: tuple[Edit, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The columns that the choices look at."""
        return frozenset(choice.column for choice in self.choices)

    def forms(self, default: str, columns: ColumnsLike) -> list[str]:
        """The payload form of each row."""
        forms = [default] * columns.count
        for choice in reversed(self.choices):
            forms = [choice.form if hit else form for hit, form in zip(choice.hits(columns), forms, strict=True)]
        return forms

    def edited_block(self, block: bytes) -> bytes:
        """A block of rows, an LF before each and none inside, changed."""
        for edit in self.edits:
            block = edit.on_block(block)
        return block

    def edited(self, events: Column, holds_lf: bool) -> Column:
        """The text of all rows, changed. There must be rows."""
        if not self.edits:
            return events
        if not holds_lf:
            return self.edited_block(b"\n" + b"\n".join(events)).split(b"\n")[1:]
        changed = []
        for event in events:
            for edit in self.edits:
                event = edit.on_event(event)  # noqa: PLW2901
            changed.append(event)
        return changed
