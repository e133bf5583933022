"""Formats the suggested route of an unrouted source, so that it can be pasted from the terminal."""

from collections.abc import Mapping
from typing import Any

from bridge.config.faults import printable

_AFTERWARDS = "syslog-bridge check, syslog-bridge reload and syslog-bridge unrouted reroute"


def suggestion_text(suggestion: Mapping[str, Any]) -> str:
    """Returns where to paste the route and the intake of a suggestion, and their YAML as it is pasted."""
    if not suggestion.get("route"):
        return f"\n{printable(suggestion['paste_where'])}\n"
    parts = [(suggestion["paste_line"], f"{printable(suggestion['paste_where'])}:\n\n{suggestion['route']}")]
    if suggestion.get("new_intake"):
        text = f"No intake has this format. {printable(suggestion['new_intake_where'])}:\n\n{suggestion['new_intake']}"
        parts.append((suggestion["new_intake_line"], text))
    # From the bottom of the file to its top: what is pasted moves no line that is still needed.
    texts = [text for _, text in sorted(parts, key=lambda part: -part[0])]
    return "\n" + "\n".join([*texts, f"Then run {_AFTERWARDS}.\n"])
