"""Defines the sections `routes` and `unrouted`: conditions, destinations, and the handling of unmatched messages."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bridge.config import fields
from bridge.config.faults import shown
from bridge.config.fields import Section
from bridge.config.yaml_tree import Entries, Scalar

MB = 1000**2


class MessageMatch(Section):
    """A condition on the message text: it has one of `contains`, one of `starts_with` and a match of one of `matches`,
    if these are given. `matches` are regular expressions of PCRE2, applied to bytes, with a match limit.
    """

    contains: fields.Texts = ()
    starts_with: fields.Texts = ()
    matches: fields.Regexes = ()


class RouteConditions(Section):
    """The conditions of a route. They are ANDed, the members of each are ORed, and an empty condition always holds.

    `hostname`, `app_name`, `procid`, `msgid` and `client_name` (from a TLS client's certificate) may be globs.
    Severities are 0 (emergency) to 7 (debug): `min_severity` matches this one or worse, `max_severity` this one or
    milder. `facility` is a name or a number from 0 to 23.
    """

    source: fields.Networks = ()
    listener: fields.Texts = ()
    client_name: fields.Texts = ()
    hostname: fields.Texts = ()
    app_name: fields.Texts = ()
    procid: fields.Texts = ()
    msgid: fields.Texts = ()
    facility: fields.Facilities = ()
    min_severity: fields.Severity | None = None
    max_severity: fields.Severity | None = None
    message: MessageMatch | None = None


class Route(RouteConditions):
    """An entry of `routes`; exactly one of `intake` and `drop` is given."""

    name: fields.Name = ""  # default: its position, such as route-1
    intake: fields.IntakeName | None = None
    drop: fields.Flag = False
    except_: RouteConditions | None = Field(default=None, alias="except")
    payload: fields.Payload | None = None
    timestamp: fields.Timestamp | None = None
    timezone: fields.Zone | None = None
    mirror_to: fields.MirrorTargets = ()


class Hold(Section):
    """The limits of held unrouted messages, in bytes and age (None: no limit)."""

    max_size: fields.Size = 500 * MB
    max_age: fields.DurationOrNever = timedelta(days=7)


class Unrouted(Section):
    """The section `unrouted`: the handling of messages that no route matches."""

    hold: Hold | None = None
    intake: fields.IntakeName | None = None

    @property
    def kind(self) -> Literal["hold", "drop", "intake"]:
        """Returns how unrouted messages are handled."""
        return "intake" if self.intake is not None else "hold" if self.hold is not None else "drop"

    @property
    def limits(self) -> Hold:
        """Returns the limits of held messages."""
        return self.hold or Hold()


def _unrouted(value: object) -> object:
    forms = "Write hold, drop, {hold: {max_size: 500MB, max_age: 7d}} or {intake: NAME}."
    if value == "hold":
        return {"hold": {}}
    if value == "drop":
        return Unrouted()
    if isinstance(value, Scalar):
        raise ValueError(f"unknown value{f' {shown(value)}' if value.islower() else ''}. {forms}")
    if isinstance(value, Entries) and not value.pruned:
        if len(value) != 1 and set(value) <= {"hold", "intake", "drop"}:
            raise ValueError(f"expected exactly one key here. {forms}")
        if set(value) == {"drop"}:
            raise ValueError("drop is not a key here. Write unrouted: drop.")
        if set(value) == {"hold"} and value["hold"] is None:
            raise ValueError("the value of hold is missing. Write unrouted: hold.")
    return value


UnroutedChoice = Annotated[Unrouted, BeforeValidator(_unrouted)]
