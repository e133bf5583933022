"""Parses one frame into a ``Message``, for tools, tests and users of the library. The hot path uses columns instead."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from bridge.syslog import parser
from bridge.syslog.grammar import SD_ELEMENT, Header
from bridge.syslog.timestamps import moment

_ELEMENT = re.compile(SD_ELEMENT)
_ID = re.compile(rb'\[([^\s=\]"]++)')
_PARAM = re.compile(rb' ([^\s=\]"]++)="((?:[^"\\\]]++|\\[\x00-\xff])*+)"')
_ESCAPE = re.compile(rb'\\(["\\\]])')


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


def of_header(parts: Header, *, received: datetime, timezone: tzinfo) -> Message:
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
        structured_data=structured_data_of(parts.structured_data),
        msg=parts.msg,
        format=parts.format,
        shape=parts.shape,
    )


def structured_data_of(text: bytes) -> dict[str, list[tuple[str, str]]]:
    """Parses ``[id name="value"]...`` into id -> (name, value) pairs. Order and repeated names are kept.

    ``\\"``, ``\\\\`` and ``\\]`` are unescaped, other backslashes stay. ``text`` must be well formed or empty.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for element in _ELEMENT.finditer(text):
        name = _ID.match(element[0])
        pairs = found.setdefault(_decoded(name[1]) if name else "", [])
        for param in _PARAM.finditer(element[0]):
            pairs.append((_decoded(param[1]), _decoded(_ESCAPE.sub(rb"\1", param[2]))))
    return found


def _text(field: bytes) -> str | None:
    return _decoded(field) if field else None


def _decoded(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
