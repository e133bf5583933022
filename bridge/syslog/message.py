"""Parses one frame into a ``Message``, for tools, tests and users of the library. The hot path uses columns instead."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from bridge.syslog import parser
from bridge.syslog import structured_data as structured
from bridge.syslog.timestamps import moment


@dataclass(frozen=True, slots=True)
class Message:
    """The fields of one frame, in RFC 5424's terms. None stands for a field that is absent or ``-``."""

    priority: int | None
    "PRI, 0 to 191 (RFC 5424 section 6.2.1)."
    facility: int | None
    severity: int | None
    timestamp: datetime | None
    "Time zone aware. A missing year or zone is filled in."
    hostname: str | None
    app_name: str | None
    procid: str | None
    msgid: str | None
    structured_data: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    msg: bytes = b""
    "MSG, byte for byte. Includes everything that could not be read as header."
    format: str = "none"
    "rfc5424, rfc3164 or none"
    shape: str = "none"
    "The name of the rule that matched."


def parse(frame: bytes, *, received: datetime, timezone: tzinfo = UTC) -> Message:
    """Parses one syslog frame. Never raises, whatever the bytes, and never loses text.

    ``received`` (aware) determines a missing year, ``timezone`` a missing zone. NULs and line ends at the end of the
    frame belong to the transport and are removed.
    """
    return of_header(parser.read(frame.rstrip(b"\r\n\0")), received=received, timezone=timezone)


def of_header(parts: parser.Header, *, received: datetime, timezone: tzinfo) -> Message:
    """Converts a parsed header to a ``Message``."""
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
