"""Defines what an imported forwarder sends of a message: the fields that its rules test, the text, and the time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.routing import Facts

KEY = "INTAKE-KEY"
"Stands in a template for the intake key, so that templates can be shown."


class NotComputed(Exception):
    """Raised for a template whose result cannot be computed; the text says why."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """Describes the event of a message, without blanks at its ends."""

    text: bytes
    time: bytes = b""
    "The time of the message that is sent with it, as written. Empty if it is that of reception."
    note: str = ""
    "What is wrong with it."


class ReadMessage(Protocol):
    """Declares a message as the forwarder's parser reads it."""

    @property
    def facts(self) -> Facts:
        """The fields that the forwarder's rules test."""

    def sent(self, template: str) -> SentEvent:
        """Returns the event that a template makes. Raises NotComputed."""


Reader = Callable[[bytes, str, bool], ReadMessage]
"Reads a frame from the address of its sender. The last argument: the listener reads RFC 5424 (of syslog-ng only)."


def behind_key(template: str) -> tuple[str, str]:
    """Divides a template into what is before the intake key, and what follows the structured data with the key.

    Everything follows if the template has no key, because a header of HTTP has it.
    """
    before, key, rest = template.partition(KEY)
    return (before, rest.partition("]")[2]) if key else ("", template)
