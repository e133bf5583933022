"""Finds formats by name or alias, and suggests the nearest name for an unknown one."""

import difflib
from collections.abc import Mapping

from bridge.formats import table_a_c, table_cisco, table_d_m, table_json, table_n_p, table_r_w
from bridge.formats.format import Format
from bridge.util.errors import BridgeError

_TABLES = (table_a_c, table_cisco, table_d_m, table_json, table_n_p, table_r_w)

FORMATS: Mapping[str, Format] = {
    one.name: one for one in sorted((row for table in _TABLES for row in table.FORMATS), key=lambda row: row.name)
}

_BY_ANY_NAME: Mapping[str, Format] = {name: one for one in FORMATS.values() for name in (one.name, *one.aliases)}


class UnknownFormat(BridgeError, ValueError):
    """Raised when no format has the given name. ``hint`` says what to write instead."""

    def __init__(self, name: str) -> None:
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


def _nearest(name: str) -> str | None:
    """Returns the nearest known name, or None. Ignores case, and treats ``_`` and blanks like ``-``."""
    folded = name.lower().replace("_", "-").replace(" ", "-")
    if folded in _BY_ANY_NAME:
        return folded
    if found := difflib.get_close_matches(folded, _BY_ANY_NAME, n=1, cutoff=0.75):
        return found[0]
    # The name may be a part of a known one: a vendor or a product alone.
    candidates = [known for known in _BY_ANY_NAME if len(folded) > 2 and folded in known]
    return min(candidates, key=len) if candidates else None
