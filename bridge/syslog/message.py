"""One frame as a value, for tools, tests and the library's users; the hot path reads columns instead."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from bridge.syslog import parser
from bridge.syslog import structured_data as structured
from bridge.syslog.timestamps import moment


@dataclass(frozen=True, slots=True)
class Message:
    """What one frame says, in RFC 5424's terms; None is a field that is absent or ``-``."""

    priority: int | None
    "PRI, 0 to 191 (RFC 5424 section 6.2.1)."
    facility: int | None
    severity: int | None
    timestamp: datetime | None
    "Aware; a missing year and zone are resolved."
    hostname: str | None
    app_name: str | None
    procid: str | None
    msgid: str | None
    structured_data: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    msg: bytes = b""
    "MSG, byte for byte; what could not be read as header is here too."
    format: str = "none"
    "rfc5424, rfc3164 or none"
    shape: str = "none"
    "The name of the rule that matched."


def parse(frame: bytes, *, received: datetime, timezone: tzinfo = UTC) -> Message:
    """Read one syslog frame. Never raises on any bytes, never loses text.

    ``received`` (aware) decides a missing year, ``timezone`` a missing zone. A NUL or line end at the end of the frame
    is the transport's and is removed.
    """
    return of_header(parser.read(frame.rstrip(b"\r\n\0")), received=received, timezone=timezone)


def of_header(parts: parser.Header, *, received: datetime, timezone: tzinfo) -> Message:
    """The message of a frame that has been taken apart already."""
    priority = int(parts.priority) if parts.priority else None
    return Message(
        priority=priority,
        facility=None if priority is None else priority >> 3,
        severity=None if priority is None else priority & 7,
        timestamp=moment(parts.second, parts.fraction, parts.offset, zone=timezone, received=received)
        if parts.second
        else None,
        hostname=_text(parts.hostname),
        app_name=_text(parts.app_name),
        procid=_text(parts.procid),
        msgid=_text(parts.msgid),
        structured_data=structured.values(parts.structured_data),
        msg=parts.msg,
        format=parts.format,
        shape=parts.shape,
    )


def _text(field: bytes) -> str | None:
    return field.decode("utf-8", "surrogateescape") if field else None
