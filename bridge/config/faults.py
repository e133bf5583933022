"""Defines the faults of a configuration, their places and report, and the exceptions that carry them.

Rules: a fault says what is wrong and how to correct it. It never contains a secret. So neither this module nor its
callers quote a value whose key may hold a secret, or a word that could be an intake key pasted into the wrong line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bridge.util.errors import BridgeError

if TYPE_CHECKING:
    from pydantic import ValidationInfo

# The shape of the configuration's own words. Intake keys do not match, so one in the wrong line is never quoted.
_A_WORD = re.compile(r"[A-Za-z][a-z]*(?:[_-][a-z]+)*")


class Place(NamedTuple):
    """A position in a file, which is named as the operator named it; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Fault:
    """An error or warning of a configuration; `str()` gives `file:line:column: message`."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigurationError(BridgeError):
    """Raised when a configuration cannot be used; `faults` holds all its faults in reading order.

    `warnings` holds what is accepted, but was found before the faults.
    """

    def __init__(self, faults: list[Fault], warnings: list[Fault] | None = None) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
        self.warnings = warnings or []


@dataclass
class FaultReport:
    """Collects the faults found while one configuration is read; repeated faults are kept once."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    "What is accepted, but must be changed."

    def at(self, place: Place, message: str) -> None:
        """Adds a fault; control characters in the message are escaped, because it may be printed to a terminal."""
        fault = Fault(*place, printable(message))
        if fault not in self.faults:
            self.faults.append(fault)

    def warn(self, place: Place, message: str) -> None:
        """Adds a warning."""
        self.warnings.append(Fault(*place, printable(message)))

    def error(self, files: Iterable[str] = ()) -> ConfigurationError:
        """Returns all faults as one exception, sorted by file (`files` in order, then all others) and by place."""
        return ConfigurationError(in_order(self.faults, files), in_order(self.warnings, files))


class FaultAtKey(ValueError):
    """Raised by a validator for a fault that is shown at the key, because no part of the value may be shown."""


class Reported(ValueError):
    """Raised by a validator when the faults of a value are already in the report, each at its own place."""


@dataclass(frozen=True)
class ValidationContext:
    """Holds what all validators of one load share; with `secrets` False, no secret or certificate file is read."""

    report: FaultReport
    secrets: bool

    @staticmethod
    def of(info: ValidationInfo) -> ValidationContext:
        """Returns the context of a validator call."""
        assert isinstance(info.context, ValidationContext)
        return info.context


def in_order(faults: list[Fault], files: Iterable[str]) -> list[Fault]:
    """Returns faults sorted by file (`files` in order, then all others) and by place."""
    order = {name: position for position, name in enumerate(files)}
    return sorted(faults, key=lambda fault: (order.get(fault.file, len(order)), fault))


def printable(text: str) -> str:
    """Escapes every character of a text that is not printable."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(text: str) -> str:
    """Returns a value in quotes for a message, cut to 40 characters."""
    return f"'{printable(text if len(text) <= 40 else text[:39] + '…')}'"


def shown_word(text: str) -> str:
    """Returns a space and the quoted word if it looks like a configuration key, "" if it could be a secret."""
    return f" {shown(text)}" if len(text) <= 32 and _A_WORD.fullmatch(text) else ""


def suggestion(word: str, known: Iterable[str], otherwise: str, *, closeness: float = 0.6) -> str:
    """Returns ": did you mean WORD?" with the known word that was probably meant, or `otherwise` if there is none.

    Ignores case and the difference of `-` and `_`. `closeness` is the minimum similarity, 0 to 1, that `difflib` finds.
    """
    meant = nearest(word, known, closeness=closeness)
    return f": did you mean {meant}?" if meant else otherwise


def nearest(word: str, known: Iterable[str], *, closeness: float = 0.6) -> str | None:
    """Returns the known word that was probably meant, as `suggestion` finds it, or None."""
    folded = {name.lower().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=closeness)
    return folded[found[0]] if found else None
