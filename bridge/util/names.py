"""Finds names that are not taken yet."""

from collections.abc import Container
from itertools import count


def free_name(base: str, taken: Container[str], *, separator: str = "-") -> str:
    """Returns ``base``; with a number behind it if it is taken, such as ``base-2``."""
    if base not in taken:
        return base
    return next(name for number in count(2) if (name := f"{base}{separator}{number}") not in taken)
