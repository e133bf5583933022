"""Parses request bodies into events: one function per endpoint, bytes in, values out.

Rules for all endpoints (`https-log-collector.md`, `intake.md`):

- An event has at most `EVENT_LIMIT` bytes of UTF-8. In a batch, longer events are refused one by one and named by their
  index. If no event remains, the whole request is refused with 413.
- An empty line or empty string in a batch is not an event. A request without any event is refused with 400.
- A malformed request is refused with 400 and an unknown or missing key with 401; then no event of it is accepted.
- An index counts from 0: the events of a line batch (without empty lines) or the members of a JSON array.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from bridge.collector.credentials import Keys, missing_key
from bridge.collector.delivery import EventLines, EventRow, EventRows
from bridge.collector.refusal import Refusal

EVENT_LIMIT = 250 * 1024
"""Maximum bytes of one event (`intake.md`: 250 KiB)."""

_NO_EVENT = "the body contains no event"

T = TypeVar("T")

# RFC 3339 section 5.6: date-time = full-date "T" full-time; T and Z may be lower case, and its note allows a space.
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def checked_timestamp(value: object, name: str) -> str:
    """Returns the text if it is a date and time of RFC 3339. ``name``: the header or field, for the error text.

    Raises Refusal (400) if it is not.
    """
    found = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refusal(400, f"{name} must be a date and time of RFC 3339, such as 2026-11-23T07:24:00.250Z")
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        # Second 60 is a leap second (section 5.7), which datetime does not support.
        datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    except ValueError as error:
        raise Refusal(400, f"{name} is not a valid date and time: {error}") from None
    return found[0]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Key, timestamp and path of a request, from its headers and query."""

    keys: Keys
    intake_key: str | None = None
    """The checked key of header, Basic password or query."""
    event_timestamp: str | None = None
    path: str | None = None
    """The query ``?path=`` of ``/jsons``."""

    def key(self, where: str = "") -> str:
        """Returns the key of the request; empty if it has none and needs none."""
        if not self.intake_key and not self.keys.optional:
            raise missing_key(where)
        return self.intake_key or ""

    def key_in(self, record: dict[str, Any], where: str = "") -> str:
        """Returns the key of a JSON object, or that of the request if the object has none."""
        key = record.get("intake_key")
        if key is None or key == "":
            return self.key(where)
        if not isinstance(key, str):
            raise Refusal(400, f"{where}intake_key must be a string")
        return self.keys.checked(key, where)

    def timestamp_in(self, record: dict[str, Any], where: str = "") -> str | None:
        """Returns the timestamp of a JSON object, or that of the request. The API page documents both field names."""
        for name in ("@timestamp", "timestamp"):
            value = record.get(name)
            if value is not None:
                return checked_timestamp(value, where + name)
        return self.event_timestamp


@dataclass(frozen=True, slots=True)
class Parsed:
    """The accepted events and the refused events of a batch, each as ``{"index", "status", "message"}``."""

    content: EventLines | EventRows
    errors: list[dict[str, object]]


Parser = Callable[[bytes, Envelope], Parsed]


def plain(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/plain``: the whole body is one event."""
    return _parsed([(0, EventRow(envelope.key(), envelope.event_timestamp, body))])


def plain_batch(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/plain/batch``: events separated by LF. A CR belongs to the event."""
    key = envelope.key()
    text = body.strip(b"\n")
    if b"\n\n" in text:
        text = re.sub(rb"\n{2,}", b"\n", text)
    if not text:
        raise Refusal(400, _NO_EVENT)
    errors: list[dict[str, object]] = []
    if _has_long_line(text):
        kept, errors = _sift(enumerate(EventRow(key, None, line) for line in text.split(b"\n")))
        text = b"\n".join(row.event for row in kept)
    return Parsed(EventLines(key, envelope.event_timestamp, text, text.count(b"\n") + 1), errors)


def jsons(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/jsons``: an array of strings or objects. The event of an object is its compact JSON."""
    key = envelope.key()
    members = _select(_loads(body), envelope.path)
    return _parsed((index, EventRow(key, envelope.event_timestamp, _text(member, index))) for index, member in members)


def structured(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/``: ``{"intake_key", "json", "@timestamp"?}``."""
    record = _object(_loads(body))
    row = EventRow(envelope.key_in(record), envelope.timestamp_in(record), _event(record.get("json"), "json"))
    return _parsed([(0, row)])


def structured_batch(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/batch``: ``{"intake_key", "jsons": [...]}``."""
    record = _object(_loads(body))
    key, timestamp = envelope.key_in(record), envelope.timestamp_in(record)
    members = _list(record.get("jsons"), "jsons")
    return _parsed(
        (index, EventRow(key, timestamp, _event(member, f"jsons[{index}]"))) for index, member in enumerate(members)
    )


def array(body: bytes, envelope: Envelope) -> Parsed:
    """Parses ``/array``: ``[{"@timestamp" or "timestamp"?, "intake_key", "json"}, ...]``; keys and times may differ."""

    def rows() -> Iterator[tuple[int, EventRow]]:
        for index, member in enumerate(_list(_loads(body), "the body")):
            where = f"event {index}: "
            record = _object(member, where)
            event = _event(record.get("json"), where + "json")
            yield index, EventRow(envelope.key_in(record, where), envelope.timestamp_in(record, where), event)

    return _parsed(rows())


def _parsed(rows: Iterable[tuple[int, EventRow]]) -> Parsed:
    kept, errors = _sift(rows)
    return Parsed(EventRows(kept), errors)


def _sift(rows: Iterable[tuple[int, EventRow]]) -> tuple[list[EventRow], list[dict[str, object]]]:
    """Returns the valid events and the errors of those that are too large; drops empty ones. Raises Refusal if no event
    is left."""
    kept: list[EventRow] = []
    errors: list[dict[str, object]] = []
    message = f"the event is larger than {EVENT_LIMIT} bytes"
    for index, row in rows:
        if len(row.event) > EVENT_LIMIT:
            errors.append({"index": index, "status": 413, "message": message})
        elif row.event:
            kept.append(row)
    if kept:
        return kept, errors
    if errors:
        raise Refusal(413, message if len(errors) == 1 else "every event is too large", errors=errors)
    raise Refusal(400, _NO_EVENT)


def _has_long_line(text: bytes) -> bool:
    """Returns True if a line exceeds `EVENT_LIMIT`.

    Searches the last LF within `EVENT_LIMIT` + 1 bytes and continues after it: all lines before it are short enough.
    """
    start = 0
    while len(text) - start > EVENT_LIMIT:
        end = text.rfind(b"\n", start, start + EVENT_LIMIT + 1)
        if end < 0:
            return True
        start = end + 1
    return False


# ?path= is a JSONPath that has only names, such as `$.records` or `$.a.b[*]`.
_PATH = re.compile(r"\$((?:\.[^.\[\]*$]+)*)(?:\[\*\])?")


def _select(value: object, path: str | None) -> Iterator[tuple[int, object]]:
    found = _PATH.fullmatch(path or "$")
    if found is None:
        raise Refusal(400, "path must consist of names from the top level of the body, such as $.records or $.a.b")
    for name in found[1].split(".")[1:]:
        if not isinstance(value, dict) or name not in value:
            raise Refusal(400, "path does not exist in this body")
        value = value[name]
    return enumerate(_list(value, "the value at path" if path else "the body"))


def _loads(body: bytes) -> Any:
    if not body.strip():
        raise Refusal(400, "the body is empty")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not valid JSON: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        # The error has only the decoder's message and the position, never the text there, which may be a key.
        place = f"line {error.lineno} column {error.colno}"
        raise Refusal(400, f"the body is not valid JSON: {error.msg}, {place}") from None
    except ValueError:
        raise Refusal(400, "the body is not valid JSON: a number is out of range") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _text(member: object, index: int) -> bytes:
    if isinstance(member, str):
        return _utf8(member)
    if isinstance(member, dict):
        try:
            return _utf8(json.dumps(member, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except (ValueError, RecursionError):  # 1e999 is parsed as infinity, which JSON cannot represent
            raise Refusal(400, f"event {index}: a number is out of range") from None
    raise Refusal(400, f"event {index} must be a string or an object")


def _utf8(text: str) -> bytes:
    # JSON may escape a lone surrogate. It is encoded as if it were a valid character, so it is not lost.
    return text.encode("utf-8", "surrogatepass")


def _object(value: object, where: str = "") -> dict[str, Any]:
    return _checked(value, dict, f"{where or 'the body '}must be a JSON object")


def _list(value: object, name: str) -> list[Any]:
    return _checked(value, list, f"{name} must be a JSON array")


def _event(value: object, name: str) -> bytes:
    return _utf8(_checked(value, str, f"{name} must be a string"))


def _checked(value: object, kind: type[T], error: str) -> T:
    if not isinstance(value, kind):
        raise Refusal(400, error)
    return value
