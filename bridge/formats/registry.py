"""All formats by name, and the one that was probably meant."""

import difflib
from collections.abc import Mapping

from bridge.formats import (
    table_a_b,
    table_c,
    table_cisco,
    table_d_f,
    table_g_m,
    table_n_p,
    table_r_t,
    table_u_w,
)
from bridge.formats.format import Format

_TABLES = (table_a_b, table_c, table_cisco, table_d_f, table_g_m, table_n_p, table_r_t, table_u_w)

FORMATS: Mapping[str, Format] = {
    one.name: one for one in sorted((row for table in _TABLES for row in table.FORMATS), key=lambda row: row.name)
}

_BY_ANY_NAME: Mapping[str, Format] = {name: one for one in FORMATS.values() for name in (one.name, *one.aliases)}


class UnknownFormat(ValueError):
    """No format has this name; ``hint`` says what to write."""

    def __init__(self, name: str) -> None:
        meant = _nearest(name)
        self.hint = f"did you mean {meant}?" if meant else "syslog-bridge formats lists them"
        super().__init__(f"there is no format {name!r}: {self.hint}")


def find(name: str) -> Format:
    """The format of a name or alias. Raises UnknownFormat with what was probably meant."""
    try:
        return _BY_ANY_NAME[name]
    except KeyError:
        raise UnknownFormat(name) from None


def _nearest(name: str) -> str | None:
    """The name that was probably meant; case and the choice of - or _ or blank do not count."""
    folded = name.lower().replace("_", "-").replace(" ", "-")
    if folded in _BY_ANY_NAME:
        return folded
    if found := difflib.get_close_matches(folded, _BY_ANY_NAME, n=1, cutoff=0.75):
        return found[0]
    # A part of a name: a vendor or a product alone.
    backpressure = [known for known in _BY_ANY_NAME if len(folded) > 2 and folded in known]
    return min(backpressure, key=len) if backpressure else None
