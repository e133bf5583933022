"""Divides the frames of a peer by disposition, with the rules that are left for the peer.

A **profile** is what routing knows of a peer before its first frame: the rules that can still match, and the columns
that they need. Peers with the same residual rules share one profile, so a read of many peers is divided only as far
as the routes require. Most profiles are *constant*: no rule looks at the frame.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple, TypeVar

from bridge import formats
from bridge.redaction.redactor import Redactor
from bridge.routing.conditions import Conditions, Facts
from bridge.syslog.columns import Columns, TextBlock

_Read = TypeVar("_Read", Columns, Columns | TextBlock)

# Columns that each payload form is made of, besides the time.
PAYLOAD_NEEDS: Mapping[str, frozenset[str]] = {
    "message": frozenset(("text",)),
    "auto": frozenset(("auto",)),
    "content": frozenset(("content",)),
    "device": frozenset(("device",)),
    "line": frozenset(("hostname", "app_name", "procid", "text")),
    "structured": frozenset(("msgid", "structured_data", "text")),
    "raw": frozenset(("raw",)),
    "rfc5424": frozenset(("priority", "hostname", "app_name", "procid", "msgid", "structured_data", "msg")),
    "json": frozenset(("raw",)),
}
OF_BLOCK = ("message", "auto", "content", "device")
"Payload forms that are the texts of a ``TextBlock``."


@dataclass(frozen=True, slots=True)
class Disposition:
    """States where a route sends the events of a source, in which payload form and with which timestamp."""

    kind: str
    "deliver | drop | hold (unrouted: held until a route matches) | unredacted (held: a rule of ``redact:`` failed)"
    route: str
    "The route's name; ``listener NAME`` or ``unrouted`` if no route was needed or found; the rule that failed."
    intake: str | None = None
    payload: str = "message"
    encoding: str = "auto"
    timestamp: str = "event"
    "event | received | none"
    zone: tzinfo | None = None
    "Time zone of RFC 3164 timestamps."
    format: str | None = None
    "The text format of the intake. A sample of its events is checked against it."
    endpoint: str = "/plain/batch"
    "Endpoint of the intake's requests. It decides which time and text of an event the spool keeps."
    mirror_to: tuple[object, ...] = ()
    "Targets that the frames are mirrored to unchanged. Only the mirror knows their type."
    refined: bool = False
    "True if the format chooses the payload, so the format's rule is applied."
    chosen: bool = False
    "True if the configuration names the payload form."


def needs_of(disposition: Disposition) -> frozenset[str]:
    """Returns the columns that the events of a disposition are built from."""
    if disposition.format is None or not disposition.refined:
        return PAYLOAD_NEEDS[disposition.payload]
    text_format = formats.find(disposition.format)
    rule_needs = text_format.rule.needs if text_format.rule else frozenset()
    return rule_needs.union(*(PAYLOAD_NEEDS[form] for form in text_format.forms))


class Rule(NamedTuple):
    """Holds a residual rule of a profile."""

    disposition: Disposition
    conditions: Conditions | None = None
    "None: every frame matches."
    exception: Conditions | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The columns that the conditions read."""
        return frozenset().union(*(given.needs for given in (self.conditions, self.exception) if given is not None))

    def matches(self, facts: Facts) -> bool:
        """Returns True if a frame with these fields matches the rule."""
        if self.conditions is not None and not self.conditions.hold(facts):
            return False
        return self.exception is None or not self.exception.hold(facts)


class Profile:
    """Holds the residual rules of a peer; the last rule always matches."""

    __slots__ = ("_cache", "_facts", "constant", "needs", "not_counting", "redactor", "rules")

    CACHED = 10_000
    "Distinct combinations of header fields in the cache; bounded because host names can be forged."

    def __init__(
        self, rules: tuple[Rule, ...], redactor: Redactor | None = None,
        not_counting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:  # fmt: skip
        self.rules = rules
        self.not_counting = not_counting
        """Begins a block for messages that were assigned when they arrived and are only examined now: see
        ``Router.not_counting``."""
        self.redactor = redactor
        "Redacts the frames of the peer before they are parsed; None if no rule of ``redact:`` applies to it."
        self.constant = rules[0].disposition if len(rules) == 1 else None
        "The disposition of every frame if no rule looks at the frame, else None."
        needs = set().union(*(rule.needs for rule in rules))
        self._facts = frozenset(needs)
        "Columns that the rules read."
        for rule in rules:
            if rule.disposition.kind == "deliver":
                needs |= needs_of(rule.disposition)
            if rule.disposition.kind == "hold" or rule.disposition.mirror_to:
                needs.add("raw")
        self.needs = frozenset(needs)
        "The columns that must be read."
        self._cache: dict[tuple[bytes, ...], Disposition] = {}

    def find(self, facts: Facts) -> Disposition:
        """Returns the disposition of a frame: that of the first matching rule."""
        return next(rule.disposition for rule in self.rules if rule.matches(facts))

    def assign(self, read: _Read) -> list[tuple[Disposition, _Read | Columns]]:
        """Divides a read by disposition. The order within each part is kept."""
        if self.constant is not None:
            return [(self.constant, read)]
        columns = read.rows()
        blank: Sequence[bytes] = (b"",) * columns.count
        fact_columns = [columns.fields[name] if name in self._facts else blank for name in Facts._fields]
        rows: dict[Disposition, list[int]] = {}
        if len(self._cache) > self.CACHED:
            self._cache.clear()
        # If no rule looks at the message, equal headers are decided once.
        cached = None if "text" in self._facts else self._cache.get
        for i, values in enumerate(zip(*fact_columns, strict=True)):
            disposition = cached(values) if cached else None
            if disposition is None:
                disposition = self.find(Facts._make(values))
                if cached:
                    self._cache[values] = disposition
            rows.setdefault(disposition, []).append(i)
        if len(rows) == 1:
            return [(disposition, columns) for disposition in rows]
        return [(disposition, columns.take(numbers)) for disposition, numbers in rows.items()]
