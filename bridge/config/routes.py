"""Which messages go where: routes, their conditions, and what becomes of the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bridge.config import fields
from bridge.config.faults import shown
from bridge.config.section import Section
from bridge.config.yaml_tree import Entries, Scalar

MB = 1000**2


class MessageMatch(Section):
    """What the text of a message must have: one of `contains` and one of `starts_with`, as far as given."""

    contains: fields.Texts = ()
    starts_with: fields.Texts = ()


class RouteConditions(Section):
    """Conditions, ANDed; the members of each are ORed; an empty one is not asked.

    `hostname`, `app_name` and `client_name` (of a TLS client's certificate) may be globs;
    `min_severity` 0 (emergency) to 7 (debug), this severe or worse.
    """

    source: fields.Networks = ()
    listener: fields.Texts = ()
    client_name: fields.Texts = ()
    hostname: fields.Texts = ()
    app_name: fields.Texts = ()
    min_severity: fields.Severity | None = None
    message: MessageMatch | None = None


class Route(RouteConditions):
    """One of `routes:`; exactly one of `intake` and `drop` is given."""

    name: fields.Name = ""  # by default its position: route-1
    intake: fields.IntakeName | None = None
    drop: fields.Flag = False
    except_: RouteConditions | None = Field(default=None, alias="except")
    payload: fields.Payload | None = None
    timestamp: fields.Timestamp | None = None
    timezone: fields.Zone | None = None
    copy_to: fields.CopyTargets = ()


class Hold(Section):
    """Bounds of what is kept of unrouted messages: bytes, and age (None: never too old)."""

    max_size: fields.Size = 500 * MB
    max_age: fields.DurationOrNever = timedelta(days=7)


class Unrouted(Section):
    """What becomes of messages that no route takes."""

    hold: Hold | None = None
    intake: fields.IntakeName | None = None

    @property
    def kind(self) -> Literal["hold", "drop", "intake"]:
        """What is done with them."""
        return "intake" if self.intake is not None else "hold" if self.hold is not None else "drop"

    @property
    def max_size(self) -> int:
        """Bytes that are held at most."""
        return (self.hold or Hold()).max_size

    @property
    def max_age(self) -> timedelta | None:
        """How long they are held; None for ever."""
        return (self.hold or Hold()).max_age


def _unrouted(value: object) -> object:
    forms = "write hold, drop, {hold: {max_size: 500MB, max_age: 7d}} or {intake: NAME}"
    if value == "hold":
        return {"hold": {}}
    if value == "drop":
        return Unrouted()
    if isinstance(value, Scalar):
        raise ValueError(f"{shown(value) if value.islower() else 'this'} is not known here: {forms}")
    if isinstance(value, Entries) and not value.pruned:
        if len(value) != 1 and set(value) <= {"hold", "intake", "drop"}:
            raise ValueError(forms)
        if set(value) == {"drop"}:
            raise ValueError("it has no keys: write unrouted: drop")
        if set(value) == {"hold"} and value["hold"] is None:
            raise ValueError("it has no value: write unrouted: hold")
    return value


UnroutedChoice = Annotated[Unrouted, BeforeValidator(_unrouted)]
