"""Defines the rule that gave one field of a frame, as ``explain`` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from bridge.explain.decisions import DECISIONS


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Names the decision that gave a field, and how it applies to this frame."""

    decision: int
    "Number of the decision."
    shape: str
    "Name of the parser's shape. For the timestamp, name of its format."
    text: str
    guess: bool = False
    "True if RFC 5424 and RFC 3164 alone do not give this value."
    outside: Mapping[str, str] = field(default_factory=dict)
    "The parts of the value that are not in the frame (year, zone, source, ...), each with its value and origin."

    def as_json(self) -> dict[str, object]:
        """Returns the JSON object of the rule."""
        decision = DECISIONS[self.decision]
        return {
            "decision": self.decision, "name": decision.name, "source": decision.source or None, "shape": self.shape,
            "text": self.text, "guess": self.guess, "outside": dict(self.outside),
        }  # fmt: skip


class Reception(NamedTuple):
    """Holds what is known about a frame that is not in the frame."""

    sender: str
    "Address of the sender, or the host behind a relay."
    zone: str
    "Zone of a time that has none, and the setting that gives it."
    received: datetime
    peer: str = ""
    "The host that an event names if the frame has none."
    payload: str = ""
    "Payload form of the event, if there is one."


FieldRules = Mapping[str, FieldRule]
"A rule for each field, by its name."
