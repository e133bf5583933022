"""Selects problems of `/api/status`."""

from typing import Any


def current_problems(headline: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the problems of a headline that need action: no notices, and no losses that have ended."""
    return [one for one in headline["problems"] if one["state"] != "notice" and one["ended"] is None]
