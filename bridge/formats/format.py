"""Defines a text format: the events that an intake's parser expects, and how they are made from frames.

The collector accepts any text with a 2xx response, and a parser that cannot read an event reports nothing. A format
therefore has the payload form, the *rule* that refines it if one form is not enough, and the expression that the
beginning of a valid event matches. The expressions validate a chosen format and cannot identify one: ``foreign`` counts
how many of the 2,100 known inputs of other formats an expression matches as well.
"""

import re
from dataclasses import dataclass
from functools import cache

from bridge.formats.rule import FormatRule

MAX_EXAMINED = 1024
"""Number of bytes of an event that an expression examines. No known event needs more. Some expressions are quadratic
(two words around a T), so the limit holds a hostile text to about a millisecond. Only a few texts per read are
examined."""

WEAK = 100
"An expression that matches more foreign inputs than this is weak: a match proves little."

# Parts of the frame that a payload form leaves out of the event, unless the format has its own text (``loses``).
_LOST = {
    "message": "time, host and app-name of the header",
    "content": "time and host of the header",
    "device": "only the PRI and message counters",
    "line": "the PRI; time, host and tag stay before the message",
    "structured": "time, host and app-name of the header; message id and structured data stay",
    "raw": "nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A text format of an intake's parser: how to send it, and how to recognise it."""

    name: str
    product: str
    payload: str = "message"
    "Payload form of rows for which no choice of the rule applies."
    rule: FormatRule | None = None
    "Choices and edits beyond the payload form."
    also: str = ""
    "Other texts that the parser accepts."
    timestamp: str = "event"
    "event | received | none: source of the request's timestamp."
    own_time: str = ""
    "Time in the text that the parser prefers to the request's timestamp. Empty if it uses the request's timestamp."
    names_device: str = ""
    "Place in the text where the device is named. Empty if it is not named."
    loses: str = ""
    "Replaces the default text about what the payload form leaves out."
    begins: bytes
    "Expression that the beginning of a valid event matches."
    foreign: int = 0
    "Number of known inputs of other formats that the expression matches as well."
    setting: str
    "Configuration needed on the device."
    notes: tuple[str, ...] = ()
    example: bytes
    "A frame as the device sends it."
    aliases: tuple[str, ...] = ()
    "Shorter names that a configuration may use."

    @property
    def forms(self) -> frozenset[str]:
        """All payload forms that events of the format may have."""
        return frozenset((self.payload, *(choice.form for choice in (self.rule.choices if self.rule else ()))))

    @property
    def lost(self) -> str:
        """A text about the parts of the frame that the event leaves out, and about where the text names the device."""
        device = f"the text names the device: {self.names_device}" if self.names_device else ""
        lost = self.loses or _LOST[self.payload]
        if self.payload in ("message", "content", "structured") and not self.loses and not device:
            device = "the text does not name the device: use one intake per device if you must distinguish them"
        return "; ".join(part for part in (lost, device) if part)

    @property
    def weak(self) -> bool:
        """True if the expression matches so many other inputs that a match proves little."""
        return self.foreign > WEAK

    def fits(self, event: bytes) -> bool:
        """Returns True if an event looks like this format. Leading blanks and LFs are ignored."""
        return _compiled(self.begins).match(event[:MAX_EXAMINED].lstrip(b" \n")) is not None


@cache
def _compiled(begins: bytes) -> re.Pattern[bytes]:
    # Compiled at first use, because most bridges need only one or two formats.
    return re.compile(begins)
