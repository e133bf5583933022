"""What is to be done with the frames of one route."""

from dataclasses import dataclass
from datetime import tzinfo


@dataclass(frozen=True, slots=True)
class Disposition:
    """The end of a route for a source: which intake, in which form, with which time."""

    kind: str
    "deliver | drop | hold (unrouted: kept for a route to come)"
    route: str
    "The route's name; ``listener NAME`` or ``unrouted`` where no route was needed or found."
    intake: str | None = None
    payload: str = "message"
    encoding: str = "auto"
    timestamp: str = "event"
    "event | received | none"
    zone: tzinfo | None = None
    "Of RFC 3164 times without a zone."
    format: str | None = None
    "The text format of the intake: a sample of its events is held against it."
    endpoint: str = "/plain/batch"
    "Of the intake's requests: what of an event's time and text the spool must keep."
    copy_to: tuple[object, ...] = ()
    "Where else its frames go as they came; what these are, the listener knows."
    refined: bool = False
    "Whether the format decides the payload, and so its rule is applied."
