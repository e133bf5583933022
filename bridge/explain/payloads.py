"""A frame in every payload form, and in the way of a text format: the road's own grouping, for one frame."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from bridge import batching
from bridge.batching import GroupLimits
from bridge.batching.payload import FORMS
from bridge.formats import FORMATS, Format
from bridge.routing import Disposition
from bridge.routing.router import needs_of
from bridge.syslog.fast.columns import parse_all
from bridge.syslog.frames import block_of
from bridge.syslog.timestamps import TimeReader, milliseconds


@dataclass(frozen=True, slots=True)
class FrameContext:
    """What the forms show beside the frame's own text."""

    received: datetime
    peer: bytes = b"192.0.2.1"
    zone: tzinfo = UTC
    listener: str = ""
    route: str = ""
    intake: str | None = None
    limits: GroupLimits = field(default_factory=GroupLimits)
    "Times that are not believed show as reception here too."


def event_in(form: str, frame: bytes, around: FrameContext) -> bytes:
    """The event of a frame in a payload form, as ``/plain/batch`` carries it; ``b""`` where it is too long for it."""
    return _event(Disposition("deliver", around.route, around.intake, form, zone=around.zone), frame, around)


def event_for(of_format: Format, frame: bytes, around: FrameContext) -> bytes:
    """The event of a frame in the way of a format, with its rule."""
    return _event(
        Disposition(
            "deliver", around.route, around.intake, of_format.payload, timestamp=of_format.timestamp, zone=around.zone,
            format=of_format.name, refined=True,
        ),
        frame,
        around,
    )  # fmt: skip


def every_form(frame: bytes, around: FrameContext) -> dict[str, bytes]:
    """The event of a frame by payload form."""
    return {form: event_in(form, frame, around) for form in FORMS}


def look_alikes(frame: bytes, around: FrameContext) -> list[Format]:
    """The formats whose own event of a frame looks like them, those that say most first. Hints, no more."""
    found: Iterable[Format] = (one for one in FORMATS.values() if one.fits(event_for(one, frame, around)))
    return sorted(found, key=lambda one: (one.foreign, one.name))


def _event(disposition: Disposition, frame: bytes, around: FrameContext) -> bytes:
    columns = parse_all(block_of([frame]), needs_of(disposition))
    if not columns.count:
        return b""
    grouped = batching.group(
        columns, disposition, reader=TimeReader(), received_ms=milliseconds(around.received), peer=around.peer,
        listener=around.listener, limits=around.limits,
    )  # fmt: skip
    return b"".join(group.data for group in grouped.groups).removesuffix(b"\n")
