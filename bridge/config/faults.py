"""What is wrong with a configuration: places, faults, and the exception that carries all of them at once.

Rules: a fault says what is wrong and what would be right; it never holds the text of a secret, so nothing here or in
the callers quotes a value whose key may hold one, nor a word that could be a key pasted into the wrong line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

# Words of the configuration look like this; intake keys do not, so one of those in the wrong line stays unquoted.
_A_WORD = re.compile(r"[A-Za-z][a-z]*(?:[_-][a-z]+)*")


class Place(NamedTuple):
    """Where something stands: a file as the operator named it, line and column counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong; `str()` gives `file:line:column: message`."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigurationError(Exception):
    """The configuration cannot be used; `faults` holds everything that is wrong with it, in reading order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass
class FaultReport:
    """Gathers the faults of one reading; the same text at the same place counts once."""

    faults: list[Fault] = field(default_factory=list)

    def at(self, place: Place, message: str) -> None:
        """Add a fault; what a terminal could act on is escaped, wherever in the text it came from."""
        fault = Fault(place.file, place.line, place.column, printable(message))
        if fault not in self.faults:
            self.faults.append(fault)

    def error(self, files: Iterable[str] = ()) -> ConfigurationError:
        """All faults as one exception: `files` in the order they were read, then any other; within one by place."""
        order = {name: position for position, name in enumerate(files)}

        def key(fault: Fault) -> tuple[int, Fault]:
            return order.get(fault.file, len(order)), fault

        return ConfigurationError(sorted(self.faults, key=key))


def printable(text: str) -> str:
    """The text with every control character escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(text: str) -> str:
    """A value in quotes, for a message, cut at 40 characters."""
    return f"'{printable(text if len(text) <= 40 else text[:39] + '…')}'"


def shown_word(text: str) -> str:
    """A blank and the quoted word where it looks like one of a configuration, nothing where it could be a secret."""
    return f" {shown(text)}" if len(text) <= 32 and _A_WORD.fullmatch(text) else ""


def nearest(word: str, known: Iterable[str], *, closeness: float = 0.6) -> str | None:
    """The known word that was probably meant, or None; case and the choice of `-` or `_` do not count.

    `closeness` is the least likeness, 0 to 1, of `difflib`.
    """
    folded = {name.lower().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=closeness)
    return folded[found[0]] if found else None
