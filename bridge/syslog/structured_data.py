"""Parses STRUCTURED-DATA into values (RFC 5424 section 6.3)."""

import re

from bridge.syslog.grammar import SD_ELEMENT

_ELEMENT = re.compile(SD_ELEMENT)
_ID = re.compile(rb'\[([^\s=\]"]++)')
_PARAM = re.compile(rb' ([^\s=\]"]++)="((?:[^"\\\]]++|\\[\x00-\xff])*+)"')
_ESCAPE = re.compile(rb'\\(["\\\]])')


def values(text: bytes) -> dict[str, list[tuple[str, str]]]:
    """Parses ``[id name="value"]...`` into id -> (name, value) pairs. Order and repeated names are kept.

    ``\\"``, ``\\\\`` and ``\\]`` are unescaped, other backslashes stay. ``text`` must be well formed or empty.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for element in _ELEMENT.finditer(text):
        name = _ID.match(element[0])
        pairs = found.setdefault(_text(name[1]) if name else "", [])
        for param in _PARAM.finditer(element[0]):
            pairs.append((_text(param[1]), _text(_ESCAPE.sub(rb"\1", param[2]))))
    return found


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
