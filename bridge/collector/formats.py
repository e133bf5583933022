"""Parses request bodies into events: one function per endpoint, bytes in, values out.

Rules for all endpoints (`https-log-collector.md`, `intake.md`):

- An event has at most `EVENT_LIMIT` bytes of UTF-8. In a batch, longer events are refused one by one and named by their
  index. If no event remains, the whole request is refused with 413.
- An empty line or empty string in a batch is not an event. A request without any event is refused with 400.
- A malformed request is refused with 400 and an unknown or missing key with 401; then no event of it is accepted.
- An index counts from 0: the events of a line batch (without empty lines) or the members of a JSON array.
- A request with more events than ``Envelope.max_events`` is refused with 413 before the first one too many is made.

The parsers of batches are iterators, so that their caller can divide the work among reactor turns.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from bridge.collector.credentials import Keys, missing_key
from bridge.collector.delivery import EventLines, EventRow, EventRows
from bridge.collector.json_reader import JsonReader
from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import Pace

EVENT_LIMIT = 250 * 1024
"""Maximum bytes of one event (`intake.md`: 250 KiB)."""

_NO_EVENT = "the body contains no event"
_ROWS_PER_PAUSE = 16
_LARGE = 4096
"""Characters of a value after which the next one may have to wait."""
_SKIPPED = object()
"""Stands for a value beside the events."""
_FIELDS = ("intake_key", "@timestamp", "timestamp")
"""Fields of ``/batch`` besides the events."""

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
    max_events: int | None = None
    """Events of one request, at most; None: no limit."""

    def key(self, where: str = "") -> str:
        """Returns the key of the request; empty if it has none and needs none."""
        if not self.intake_key and not self.keys.optional:
            raise missing_key(where)
        return self.intake_key or ""

    def key_in(self, record: dict[str, Any], where: str = "") -> str:
        """Returns the key of a JSON object, or that of the request if the object has none."""
        key = record.get("intake_key")
        if key == "" and not self.intake_key:
            raise missing_key(where)
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

    def check_count(self, events: int) -> None:
        """Raises Refusal (413) if a request has too many events."""
        if self.max_events is not None and events > self.max_events:
            text = f"the request has more than {self.max_events} events (max_events_per_request)"
            raise Refusal(413, f"{text}; no event was taken, send them in smaller requests", reason="request_too_large")

    def numbered(self, members: Iterable[T]) -> Iterator[tuple[int, T]]:
        """Numbers the members of an array. Raises Refusal (413) if there are too many."""
        for index, member in enumerate(members):
            self.check_count(index + 1)
            yield index, member


@dataclass(frozen=True, slots=True)
class Parsed:
    """The accepted events and the refused events of a batch, each as ``{"index", "status", "message"}``."""

    content: EventLines | EventRows
    errors: list[dict[str, object]]


Rows = Iterator[tuple[int, EventRow] | None]
"""Events with their index. None: it is a good time to pause, because much was read since the event before."""
Parser = Callable[[bytes, Envelope], "EventLines | Rows"]


def plain(body: bytes, envelope: Envelope) -> Rows:
    """Parses ``/plain``: the whole body is one event."""
    yield 0, EventRow(envelope.key(), envelope.event_timestamp, body)


def plain_batch(body: bytes, envelope: Envelope) -> EventLines | Rows:
    """Parses ``/plain/batch``: events separated by LF. A CR belongs to the event."""
    key = envelope.key()
    text = body.strip(b"\n")
    while b"\n\n" in text:
        # Halves each run of LF, so a body of LF only takes a few passes.
        text = text.replace(b"\n\n", b"\n")
    if not text:
        raise Refusal(400, _NO_EVENT)
    count = text.count(b"\n") + 1
    envelope.check_count(count)
    if not _has_long_line(text):
        return EventLines(key, envelope.event_timestamp, text, count)
    return enumerate(EventRow(key, envelope.event_timestamp, line) for line in text.split(b"\n"))


def jsons(body: bytes, envelope: Envelope) -> Rows:
    """Parses ``/jsons``: an array of strings or objects. The event of an object is its compact JSON."""
    key = envelope.key()
    found = _PATH.fullmatch(envelope.path or "$")
    names = [] if found is None else found[1].split(".")[1:]
    if found is None or len(names) > _MAX_PATH:
        text = f"path must consist of at most {_MAX_PATH} names from the top level of the body"
        raise Refusal(400, f"{text}, such as $.records or $.a.b")
    reader = JsonReader(body)
    members = _select(reader, names, "the value at path" if envelope.path else "the body")
    index = 0
    for member in members:
        if member is not _SKIPPED:
            envelope.check_count(index + 1)
            yield index, EventRow(key, envelope.event_timestamp, _text(member, index))
            index += 1
        if reader.last_size > _LARGE:
            yield None
    reader.end()


def structured(body: bytes, envelope: Envelope) -> Rows:
    """Parses ``/``: ``{"intake_key", "json", "@timestamp"?}``."""
    reader = JsonReader(body)
    record = _object(reader.value())
    reader.end()
    yield 0, EventRow(envelope.key_in(record), envelope.timestamp_in(record), _event(record.get("json"), "json"))


def structured_batch(body: bytes, envelope: Envelope) -> Rows:
    """Parses ``/batch``: ``{"intake_key", "jsons": [...]}``. The key may follow the events."""
    reader = JsonReader(body)
    _check_next(reader, "{", "the body must be a JSON object")
    record: dict[str, Any] = {}
    events: list[bytes] | None = None
    for name in reader.names():
        if name != "jsons":
            value = reader.value()
            if name in _FIELDS:
                record[name] = value
            if reader.last_size > _LARGE:
                yield None
            continue
        events = []
        for index, member in envelope.numbered(_members(reader, "jsons")):
            events.append(_event(member, f"jsons[{index}]"))
            if index % _ROWS_PER_PAUSE == 0 or reader.last_size > _LARGE:
                yield None
    reader.end()
    key, timestamp = envelope.key_in(record), envelope.timestamp_in(record)
    for index, event in enumerate(_checked(events, list, "jsons must be a JSON array")):
        yield index, EventRow(key, timestamp, event)


def array(body: bytes, envelope: Envelope) -> Rows:
    """Parses ``/array``: ``[{"@timestamp" or "timestamp"?, "intake_key", "json"}, ...]``; keys and times may differ."""
    reader = JsonReader(body)
    for index, member in envelope.numbered(_members(reader, "the body")):
        where = f"event {index}: "
        record = _object(member, where)
        event = _event(record.get("json"), where + "json")
        yield index, EventRow(envelope.key_in(record, where), envelope.timestamp_in(record, where), event)
        if reader.last_size > _LARGE:
            yield None
    reader.end()


async def sift(rows: Rows, pace: Pace) -> Parsed:
    """Keeps the valid events and the errors of those that are too large; drops empty ones. Raises Refusal if no event
    is left."""
    kept: list[EventRow] = []
    errors: list[dict[str, object]] = []
    message = f"the event is larger than {EVENT_LIMIT} bytes"
    for number, found in enumerate(rows):
        if found is None or number % _ROWS_PER_PAUSE == 0:
            await pace.pause()
        if found is None:
            continue
        index, row = found
        if len(row.event) > EVENT_LIMIT:
            errors.append({"index": index, "status": 413, "message": message})
        elif row.event:
            kept.append(row)
    if kept:
        return Parsed(EventRows(kept), errors)
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
_MAX_PATH = 20
"""Names in a path."""


def _select(reader: JsonReader, names: list[str], what: str) -> Iterator[object]:
    """Yields the members of the array that is found by the names of objects in each other, and ``_SKIPPED`` for each
    value beside it."""
    if not names:
        yield from _members(reader, what)
        return
    missing = "path does not exist in this body"
    _check_next(reader, "{", missing)
    found = False
    for name in reader.names():
        if name == names[0]:
            found = True
            yield from _select(reader, names[1:], what)
        else:
            reader.value()
            yield _SKIPPED
    if not found:
        raise Refusal(400, missing)


def _members(reader: JsonReader, what: str) -> Iterator[object]:
    _check_next(reader, "[", f"{what} must be a JSON array")
    return reader.members()


def _check_next(reader: JsonReader, first: str, error: str) -> None:
    if reader.peek() != first:
        # Text that is not JSON at all is reported as such.
        reader.value()
        raise Refusal(400, error)


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


def _event(value: object, name: str) -> bytes:
    return _utf8(_checked(value, str, f"{name} must be a string"))


def _checked(value: object, kind: type[T], error: str) -> T:
    if not isinstance(value, kind):
        raise Refusal(400, error)
    return value
