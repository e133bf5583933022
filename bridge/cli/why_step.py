"""Defines a step of ``syslog-bridge why``: where a message is, and with which result."""

from dataclasses import dataclass

OK, WRONG, NOTE = "ok", "problem", "note"
"Marks of a step: it is fine; the messages stop here; a fact or a hint."


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a message through the bridge, with its result."""

    mark: str
    name: str
    text: str
    verdict: str = ""
    "The problem in a few words, for the first line. By default the name of the step."
