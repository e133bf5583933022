"""From a body to events: one function an endpoint, bytes in, values out.

Rules for all of them (`https-log-collector.md`, `intake.md`):

- An event is at most `EVENT_LIMIT` bytes of UTF-8. In a batch, those beyond are refused one by one and named by their
  index; when nothing else is left the whole request is refused with 413.
- An empty line or empty string in a batch is no event. A request without any event is refused with 400.
- What is malformed refuses the whole request with 400, an unknown or missing key with 401: nothing of it is accepted.
- An index counts the events of a line batch (its empty lines are none), the members of a JSON array, from 0.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from bridge.collector.credentials import Keys, missing_key
from bridge.collector.delivery import EventLines, EventRow, EventRows
from bridge.collector.refusal import Refusal
from bridge.collector.timestamps import checked_timestamp

EVENT_LIMIT = 250 * 1024
"""Bytes of one event (`intake.md`: 250 KiB)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request says beside its body."""

    keys: Keys
    intake_key: str | None = None
    """From header, Basic password or query; already checked."""
    event_timestamp: str | None = None
    path: str | None = None
    """``?path=`` of ``/jsons``."""

    def key(self) -> str:
        if not self.intake_key and not self.keys.optional:
            raise missing_key()
        return self.intake_key or ""

    def key_in(self, record: dict[str, Any], where: str = "") -> str:
        """The key of a JSON object, else the request's own."""
        key = record.get("intake_key")
        if key is None or key == "":
            if not self.intake_key and not self.keys.optional:
                raise missing_key(where)
            return self.intake_key or ""
        if not isinstance(key, str):
            raise Refusal(400, f"{where}intake_key must be a string")
        return self.keys.checked(key, where)

    def timestamp_in(self, record: dict[str, Any], where: str = "") -> str | None:
        """The time of a JSON object, else the request's own. The API's page has both names of the field."""
        for name in ("@timestamp", "timestamp"):
            value = record.get(name)
            if value is not None:
                return checked_timestamp(value, where + name)
        return self.event_timestamp


@dataclass(frozen=True, slots=True)
class Parsed:
    """The accepted events and, for a batch, what was refused of it: ``{"index", "status", "message"}`` each."""

    content: EventLines | EventRows
    errors: list[dict[str, object]]


Parser = Callable[[bytes, Envelope], Parsed]


def plain(body: bytes, envelope: Envelope) -> Parsed:
    """``/plain``: the body is the event, every byte of it."""
    return _parsed([(0, EventRow(envelope.key(), envelope.event_timestamp, body))])


def plain_batch(body: bytes, envelope: Envelope) -> Parsed:
    """``/plain/batch``: events separated by LF. A CR is the event's own."""
    key = envelope.key()
    text = body.strip(b"\n")
    if b"\n\n" in text:
        text = re.sub(rb"\n{2,}", b"\n", text)
    if not text:
        raise _no_event()
    errors: list[dict[str, object]] = []
    if _has_long_line(text):
        kept, errors = _sift(enumerate(EventRow(key, None, line) for line in text.split(b"\n")))
        text = b"\n".join(row.event for row in kept)
    return Parsed(EventLines(key, envelope.event_timestamp, text, text.count(b"\n") + 1), errors)


def jsons(body: bytes, envelope: Envelope) -> Parsed:
    """``/jsons``: an array of strings or objects; an object's event is its compact JSON."""
    key = envelope.key()
    members = _picked(_loads(body), envelope.path)
    return _parsed((index, EventRow(key, envelope.event_timestamp, _text(member, index))) for index, member in members)


def structured(body: bytes, envelope: Envelope) -> Parsed:
    """``/``: ``{"intake_key", "json", "@timestamp"?}``."""
    record = _object(_loads(body))
    row = EventRow(envelope.key_in(record), envelope.timestamp_in(record), _utf8(_string(record.get("json"), "json")))
    return _parsed([(0, row)])


def structured_batch(body: bytes, envelope: Envelope) -> Parsed:
    """``/batch``: ``{"intake_key", "jsons": [...]}``."""
    record = _object(_loads(body))
    key, timestamp = envelope.key_in(record), envelope.timestamp_in(record)
    members = _list(record.get("jsons"), "jsons")
    return _parsed(
        (index, EventRow(key, timestamp, _utf8(_string(member, f"jsons[{index}]"))))
        for index, member in enumerate(members)
    )


def array(body: bytes, envelope: Envelope) -> Parsed:
    """``/array``: ``[{"@timestamp" or "timestamp"?, "intake_key", "json"}, ...]``, keys and times may differ."""

    def rows() -> Iterator[tuple[int, EventRow]]:
        for index, member in enumerate(_list(_loads(body), "the body")):
            where = f"event {index}: "
            record = _object(member, where)
            event = _utf8(_string(record.get("json"), where + "json"))
            yield index, EventRow(envelope.key_in(record, where), envelope.timestamp_in(record, where), event)

    return _parsed(rows())


def _parsed(rows: Iterable[tuple[int, EventRow]]) -> Parsed:
    kept, errors = _sift(rows)
    return Parsed(EventRows(kept), errors)


def _sift(rows: Iterable[tuple[int, EventRow]]) -> tuple[list[EventRow], list[dict[str, object]]]:
    """Part the events from the empty ones and those that are too large. Raises Refusal when none is left."""
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
    raise _no_event()


def _has_long_line(text: bytes) -> bool:
    """Whether a line exceeds `EVENT_LIMIT`, found by leaps: the last LF within each leap ends only short lines."""
    start = 0
    while len(text) - start > EVENT_LIMIT:
        end = text.rfind(b"\n", start, start + EVENT_LIMIT + 1)
        if end < 0:
            return True
        start = end + 1
    return False


# ?path=: a JSONPath of names only, `$.records` or `$.a.b[*]`.
_PATH = re.compile(r"\$((?:\.[^.\[\]*$]+)*)(?:\[\*\])?")


def _picked(value: object, path: str | None) -> Iterator[tuple[int, object]]:
    found = _PATH.fullmatch(path or "$")
    if found is None:
        raise Refusal(400, "path must be names from the top of the body, such as $.records or $.a.b")
    for name in found[1].split(".")[1:]:
        if not isinstance(value, dict) or name not in value:
            raise Refusal(400, "path leads nowhere in this body")
        value = value[name]
    return enumerate(_list(value, "what path leads to" if path else "the body"))


def _loads(body: bytes) -> Any:
    if not body.strip():
        raise Refusal(400, "the body is empty")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Refusal(400, "the body is no valid JSON: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        # Only the decoder's own words and the place: never the text around it, a key may stand there.
        place = f"line {error.lineno} column {error.colno}"
        raise Refusal(400, f"the body is no valid JSON: {error.msg}, {place}") from None
    except ValueError:
        raise Refusal(400, "the body is no valid JSON: a number is out of range") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _text(member: object, index: int) -> bytes:
    if isinstance(member, str):
        return _utf8(member)
    if isinstance(member, dict):
        try:
            return _utf8(json.dumps(member, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except (ValueError, RecursionError):  # 1e999 is read as infinity, which JSON cannot write
            raise Refusal(400, f"event {index}: a number is out of range") from None
    raise Refusal(400, f"event {index} must be a string or an object")


def _utf8(text: str) -> bytes:
    # JSON may escape a lone surrogate: it is kept, as the bytes UTF-8 would have for it.
    return text.encode("utf-8", "surrogatepass")


def _object(value: object, where: str = "") -> dict[str, Any]:
    return value if isinstance(value, dict) else _raise(Refusal(400, f"{where or 'the body '}must be a JSON object"))


def _list(value: object, name: str) -> list[Any]:
    return value if isinstance(value, list) else _raise(Refusal(400, f"{name} must be a JSON array"))


def _string(value: object, name: str) -> str:
    return value if isinstance(value, str) else _raise(Refusal(400, f"{name} must be a string"))


def _no_event() -> Refusal:
    return Refusal(400, "the body holds no event")


def _raise(refusal: Refusal) -> NoReturn:
    raise refusal
