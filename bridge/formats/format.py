"""One text format: what the parser behind an intake expects of an event, and what makes it of a frame.

The collector takes any text and answers 2xx; a parser that cannot read it says nothing. So a format knows the payload
form, the *rule* that refines it where one form is not enough, and the expression that an accepted event begins with.
The expressions validate a format that was chosen. They do not classify: ``foreign`` counts how many of the 2,100 known
inputs of other formats each of them takes as well.
"""

import re
from dataclasses import dataclass
from functools import cache

from bridge.formats.rule import FormatRule

LOOKED_AT = 1024
"""Bytes of an event that an expression sees: no known event needs more. Some expressions are quadratic (two words
around a T): a millisecond is what a hostile text gets of them, and a few texts of a read are looked at."""

WEAK = 100
"An expression that takes more foreign inputs than this says little."

# What a payload form leaves out of the text, where the format says nothing else.
_LOST = {
    "message": "the header's time, host and app-name",
    "content": "the header's time and host",
    "device": "nothing but the PRI and message counters",
    "line": "the PRI; time, host and tag stay in front of the message",
    "structured": "the header's time, host and app-name; the message id and the structured data stay",
    "raw": "nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What is known of one text format."""

    name: str
    product: str
    payload: str = "message"
    "The payload form, where no choice of the rule holds."
    rule: FormatRule | None = None
    "What is done beyond the payload form."
    also: str = ""
    "What else the parser takes."
    timestamp: str = "event"
    "event | received | none: where the time of a request comes from."
    own_time: str = ""
    "The time that the parser reads from the text, and prefers to ours; empty: it takes ours."
    names_device: str = ""
    "Where the text names the device; empty: nowhere."
    loses: str = ""
    "Said instead of what the payload form would lose."
    begins: bytes
    "The expression that an accepted event begins with."
    foreign: int = 0
    "Known inputs of other formats that the expression takes as well."
    setting: str
    "What to set on the device."
    notes: tuple[str, ...] = ()
    example: bytes
    "A frame as the device sends it."
    aliases: tuple[str, ...] = ()
    "Shorter names that a configuration may use."

    @property
    def forms(self) -> frozenset[str]:
        """Every payload form that events of the format may take."""
        return frozenset((self.payload, *(choice.form for choice in (self.rule.choices if self.rule else ()))))

    @property
    def lost(self) -> str:
        """What of the frame the event no longer shows, in words."""
        device = f"the text names the device: {self.names_device}" if self.names_device else ""
        lost = self.loses or _LOST[self.payload]
        if self.payload in ("message", "content", "structured") and not self.loses and not device:
            device = "the text does not name the device: give each of them its own intake if you must tell them apart"
        return "; ".join(part for part in (lost, device) if part)

    @property
    def weak(self) -> bool:
        """Whether the expression takes so much that a match says little."""
        return self.foreign > WEAK

    def fits(self, event: bytes) -> bool:
        """Whether an event looks like this format. Leading blanks and line ends are passed over."""
        return _compiled(self.begins).match(event[:LOOKED_AT].lstrip(b" \n")) is not None


@cache
def _compiled(begins: bytes) -> re.Pattern[bytes]:
    # At first use: most bridges need one or two of them.
    return re.compile(begins)
