"""Encodes one frame in every payload form and for every text format. Uses the grouping of the pipeline."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from bridge import batching
from bridge.batching import Grouped, GroupLimits
from bridge.batching.payload import FORMS
from bridge.formats import Format
from bridge.routing import Disposition
from bridge.routing.profile import needs_of
from bridge.syslog.columns import Columns
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds


@dataclass(frozen=True, slots=True)
class FrameContext:
    """Values of an event that are not in the frame itself."""

    received: datetime
    peer: bytes = b"192.0.2.1"
    zone: tzinfo = UTC
    listener: str = ""
    route: str = ""
    intake: str | None = None
    limits: GroupLimits = field(default_factory=GroupLimits)
    "Limits of the pipeline. A timestamp outside their time window is replaced by the time of reception."


def event_for(text_format: Format, frame: bytes, context: FrameContext) -> bytes:
    """Returns the event of a frame for an intake with a text format. Applies the format's payload form and rule."""
    disposition = Disposition(
        "deliver", context.route, context.intake, text_format.payload, timestamp=text_format.timestamp,
        zone=context.zone, format=text_format.name, refined=True,
    )  # fmt: skip
    return _event(disposition, frame, context)


def every_form(frame: bytes, context: FrameContext) -> dict[str, bytes]:
    """Returns the event of a frame in each payload form, as sent to ``/plain/batch``; ``b""`` if it is too long."""
    base = Disposition("deliver", context.route, context.intake, zone=context.zone)
    return {form: _event(replace(base, payload=form), frame, context) for form in FORMS}


def grouped(columns: Columns, disposition: Disposition, context: FrameContext) -> Grouped:
    """Groups the columns of a frame as the pipeline does."""
    return batching.group(
        columns, disposition, reader=TimeReader(), received_ms=milliseconds(context.received), peer=context.peer,
        listener=context.listener, limits=context.limits,
    )  # fmt: skip


def _event(disposition: Disposition, frame: bytes, context: FrameContext) -> bytes:
    columns = read_columns(block_of([frame]), needs_of(disposition))
    if not columns.count:
        return b""
    return b"".join(group.data for group in grouped(columns, disposition, context).groups).removesuffix(b"\n")
