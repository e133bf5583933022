"""Formats the suggested route of an unrouted source, so that it can be pasted from the terminal."""

from collections.abc import Mapping
from typing import Any

from bridge.config.faults import printable

_AFTERWARDS = "syslog-bridge check, syslog-bridge reload and syslog-bridge unrouted reroute"


def suggestion_text(suggestion: Mapping[str, Any]) -> str:
    """Returns where to paste the route and the intake of a suggestion, and their YAML as it is pasted."""
    parts = []
    if suggestion.get("new_intake"):
        parts.append(f"No intake has this format. {printable(suggestion['new_intake_where'])}:\n")
        parts.append(suggestion["new_intake"])
    if suggestion.get("route"):
        parts.append(f"{printable(suggestion['paste_where'])}. Then run {_AFTERWARDS}:\n")
        parts.append(suggestion["route"])
    else:
        parts.append(f"{printable(suggestion['paste_where'])}\n")
    return "\n" + "\n".join(parts).rstrip("\n") + "\n"
