"""Finds formats by name or alias, and suggests the nearest name for an unknown one."""

import difflib
from collections.abc import Mapping

from bridge.formats import table_a_c, table_cisco, table_d_m, table_json, table_n_p, table_r_w
from bridge.formats.format import Format
from bridge.util.errors import BridgeError

MIN_WORD = 3
"Letters and digits that a part of a name needs."

_TABLES = (table_a_c, table_cisco, table_d_m, table_json, table_n_p, table_r_w)

FORMATS: Mapping[str, Format] = {
    one.name: one for one in sorted((row for table in _TABLES for row in table.FORMATS), key=lambda row: row.name)
}

_BY_ANY_NAME: Mapping[str, Format] = {name: one for one in FORMATS.values() for name in (one.name, *one.aliases)}


class UnknownFormat(BridgeError, ValueError):
    """Raised when no format has the given name. ``hint`` says what to write instead."""

    def __init__(self, name: str) -> None:
        several = containing(name)
        if len(several) > 1 and _folded(name) not in _BY_ANY_NAME:
            hint = f"did you mean one of {', '.join(each.name for each in several)}?"
        else:
            meant = _nearest(name)
            hint = f"did you mean {meant}?" if meant else 'run "syslog-bridge formats" for a list'
        super().__init__(f"unknown format {name!r}: {hint}")
        self.hint = hint


def find(name: str) -> Format:
    """Returns the format with the given name or alias. Raises UnknownFormat, which suggests the nearest name."""
    try:
        return _BY_ANY_NAME[name]
    except KeyError:
        raise UnknownFormat(name) from None


def containing(word: str) -> list[Format]:
    """Returns the formats whose name, alias or product contains a word, such as a vendor. Only letters and digits
    count."""
    wanted = _plain(word)
    if len(wanted) < MIN_WORD:
        return []
    return [each for each in FORMATS.values() if any(wanted in text for text in _texts(each))]


def _texts(one: Format) -> list[str]:
    return [_plain(text) for text in (one.name, one.product, *one.aliases)]


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _folded(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")


def _nearest(name: str) -> str | None:
    """Returns the nearest known name, or None. Ignores case, and treats ``_`` and blanks like ``-``."""
    folded = _folded(name)
    if folded in _BY_ANY_NAME:
        return folded
    if found := difflib.get_close_matches(folded, _BY_ANY_NAME, n=1, cutoff=0.75):
        return found[0]
    return next((each.name for each in containing(name)), None)
