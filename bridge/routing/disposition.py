"""Defines the disposition: how the frames of one route are handled."""

from dataclasses import dataclass
from datetime import tzinfo


@dataclass(frozen=True, slots=True)
class Disposition:
    """The outcome of a route for a source: the intake, the payload form and the timestamp of its events."""

    kind: str
    "deliver | drop | hold (unrouted: held until a route matches)"
    route: str
    "The route's name; ``listener NAME`` or ``unrouted`` if no route was needed or found."
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
    copy_to: tuple[object, ...] = ()
    "Targets that the frames are mirrored to unchanged. Only the mirror knows their type."
    refined: bool = False
    "True if the format chooses the payload, so the format's rule is applied."
