"""Generates the address for security and support from the package's Maintainer field, its only place."""

import re
from pathlib import Path

_PACKAGING = Path(__file__).parents[3]
CONTROL = next(
    (path for path in (_PACKAGING / "debian/control", _PACKAGING.parent / "debian/control") if path.exists()),
    _PACKAGING / "debian/control",
)
"The package's description. While a package is built, the folder `debian` is at the top."


def address() -> str:
    """Returns the address; raises ValueError if the package has no maintainer."""
    found = re.search(r"^Maintainer: .*<([^>]+)>$", CONTROL.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{CONTROL} has no line Maintainer: NAME <ADDRESS>")
    return found[1]


def markdown() -> str:
    """Returns the address, and a remark while it is the placeholder."""
    if not address().endswith(".invalid"):
        return f"`{address()}`\n"
    return (
        f"`{address()}`\n\nThis address is a placeholder and receives nothing. To publish packages, set your own in the"
        " field `Maintainer` of `packaging/debian/control`.\n"
    )
