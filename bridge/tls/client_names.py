"""Matches the names of client certificates with ``client_names``, label by label (RFC 6125, section 6.4.3).

A name matches a pattern if both have the same number of labels and each label matches. Case is ignored, and so is a dot
at the end. Labels that are not ASCII are compared as A-labels (``xn--``), in patterns and in names.

- A label ``*`` matches any one label: ``*.branch.example`` matches ``a.branch.example``, neither ``a.b.branch.example``
  nor ``branch.example``. ``*.*.branch.example`` matches two labels before the domain, and ``*`` alone matches only
  names without a dot.
- Within a label, ``*`` matches any characters and ``?`` one character: ``gw-*`` matches ``gw-1``, not ``gw-1.example``.
  Neither matches within an A-label, because its characters are not those of the name that it encodes.
"""

import re
from collections.abc import Sequence

_WILD = re.compile(r"[*?]")
_A_LABEL = "xn--"


class ClientNames:
    """The patterns of one listener."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = {pattern: tuple(map(_expression, _labels(pattern))) for pattern in patterns}
        self._former = re.compile("|".join(map(_former_expression, patterns)), re.IGNORECASE)

    def match(self, names: Sequence[str]) -> bool:
        """Returns True if one of the names matches one of the patterns."""
        return any(_matches(pattern, labels) for labels in map(_labels, names) for pattern in self._patterns.values())

    def matched_formerly(self, names: Sequence[str]) -> bool:
        """Returns True if a name matches when ``*`` stands for any number of labels, as in earlier versions."""
        return any(self._former.fullmatch(name) for name in names)

    def pattern_for(self, names: Sequence[str]) -> str:
        """Returns a pattern that would accept a client. It extends a pattern that matched the client formerly."""
        for name in names:
            for pattern in self._patterns:
                missing = len(_labels(name)) - len(_labels(pattern))
                first, dot, _ = pattern.partition(".")
                if missing > 0 and first == "*" and _accepts(extended := "*." * missing + pattern, name):
                    return extended
                # ``gw-*`` matched ``gw-1.example``.
                whole = ".".join((pattern, *_labels(name)[-missing:]))
                if missing > 0 and not dot and _accepts(whole, name):
                    return whole
        return names[0] if names else ""


def _labels(name: str) -> list[str]:
    return [_as_ascii(label) for label in name.removesuffix(".").lower().split(".")]


def _as_ascii(label: str) -> str:
    """Returns a label that is not ASCII as an A-label, if it can be one."""
    if label.isascii() or _WILD.search(label):
        return label
    try:
        return label.encode("idna").decode("ascii")
    except UnicodeError:
        return label


def _expression(label: str) -> re.Pattern[str] | str:
    """Compiles a label with wildcards. A label without any is compared as it is."""
    if not _WILD.search(label):
        return label
    if label == "*":
        return re.compile(".+", re.DOTALL)
    wild = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", label))
    return re.compile(f"(?!{_A_LABEL}){wild}", re.DOTALL)


def _matches(pattern: Sequence[re.Pattern[str] | str], labels: Sequence[str]) -> bool:
    return len(pattern) == len(labels) and all(
        want == label if isinstance(want, str) else want.fullmatch(label)
        for want, label in zip(pattern, labels, strict=True)
    )


def _accepts(pattern: str, name: str) -> bool:
    return _matches(tuple(map(_expression, _labels(pattern))), _labels(name))


def _former_expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
