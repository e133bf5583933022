"""Describes the keys of the configuration for editors and the configuration reference.

``descriptions.yaml`` holds the texts by the path of a key: ``collector.timeout``, ``routes[].source``,
``intakes.NAME.payload``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

_INHERITED = {"intakes.NAME.": "collector.", "routes[].except.": "routes[]."}
"Keys of the first prefix have the text of the same key under the second prefix, if they have none of their own."


@dataclass(frozen=True, slots=True)
class Description:
    """Describes one key. ``example`` is YAML that a configuration file may contain; empty texts are not given."""

    meaning: str
    example: str = ""
    caution: str = ""


@cache
def descriptions() -> Mapping[str, Description]:
    """Returns the written descriptions by the path of their key."""
    written = yaml.safe_load((files("bridge.config") / "descriptions.yaml").read_text(encoding="utf-8"))
    return {
        path: Description(**({"meaning": each} if isinstance(each, str) else each)) for path, each in written.items()
    }


def describe(path: str) -> Description | None:
    """Returns the description of a key, or None if it has none."""
    if path in descriptions():
        return descriptions()[path]
    for prefix, other in _INHERITED.items():
        if path.startswith(prefix):
            return descriptions().get(other + path.removeprefix(prefix))
    return None
