"""Describes the endpoints of the intake API and builds their JSON bodies.

============  ============================================================  =========  ====================
endpoint      body                                                          key        time
============  ============================================================  =========  ====================
/plain/batch  events separated by LF                                        header     header
/plain        one event                                                     header     header
/jsons        ``["event", ...]``                                            header     header
/batch        ``{"intake_key": KEY, "@timestamp"?: TIME, "jsons": [...]}``  body       body and header
/             ``{"intake_key": KEY, "@timestamp"?: TIME, "json": EVENT}``   body       body and header, exact
/array        ``[{"timestamp"?: TIME, "intake_key": KEY, "json": EVENT}]``  body       each event's own, exact
============  ============================================================  =========  ====================

The API documentation uses two names for the time in ``/array``. This module uses the name from its example. Endpoints
that take the time of the request in the body also get the header, because a server may read only one of them.

Events for JSON endpoints are stored as JSON in the spool, so that line ends inside an event are kept. Both spool
encodings still convert to every endpoint. Bytes that are not UTF-8 cannot be JSON. They are read as Windows-1252.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.batching.encoding import JSON, LINES, as_utf8, from_json_line, json_line
from bridge.syslog.timestamps import rfc3339

# Matches an escaped low surrogate in JSON text: the second half of a pair, or a byte that is not UTF-8 (DC80 to DCFF).
_LOW_SURROGATE = re.compile(rb"\\ud[c-f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Properties of the requests to one endpoint."""

    path: str
    json: bool
    single: bool = False
    "Each request carries exactly one event."
    exact: bool = False
    "Each event carries its own time, so events with distant times can share a request."
    key_in_body: bool = False

    @property
    def encoding(self) -> str:
        """Returns the spool encoding that converts to the body with the least cost and loss."""
        return JSON if self.json else LINES

    @property
    def content_type(self) -> str:
        """Returns the value of the Content-Type header."""
        return "application/json" if self.json else "text/plain; charset=utf-8"


PLAIN_BATCH = Endpoint("/plain/batch", json=False)
ENDPOINTS = {
    endpoint.path: endpoint
    for endpoint in (
        PLAIN_BATCH,
        Endpoint("/plain", json=False, single=True),
        Endpoint("/jsons", json=True),
        Endpoint("/batch", json=True, key_in_body=True),
        Endpoint("/", json=True, single=True, exact=True, key_in_body=True),
        Endpoint("/array", json=True, exact=True, key_in_body=True),
    )
}


def as_json_string(line: bytes, encoding: str) -> bytes:
    """Returns a spool line as a JSON string in valid UTF-8. Raises ValueError if a JSON line is not a JSON string."""
    if encoding == LINES:
        return json_line(as_utf8(line, "auto")[0])
    if _LOW_SURROGATE.search(line):
        return json_line(as_utf8(from_json_line(line), "auto")[0])
    return line


def json_body(endpoint: Endpoint, events: Sequence[bytes], times: Iterable[int], key: str) -> bytes:
    """Builds the body of a request to a JSON endpoint. ``events`` are JSON strings. ``times`` holds one value per
    event, in milliseconds since the epoch; 0 sends no time."""
    if endpoint.path == "/jsons":
        return b"[" + b",".join(events) + b"]"
    key_member = b'"intake_key":' + json.dumps(key).encode()
    if endpoint.path == "/array":
        return b"[" + b",".join(_rows(events, times, key_member)) + b"]"
    earliest = min(times, default=0)
    head = b"{" + key_member + (b',"@timestamp":"%s"' % rfc3339(earliest).encode() if earliest else b"")
    if endpoint.single:
        return head + b',"json":' + events[0] + b"}"
    return head + b',"jsons":[' + b",".join(events) + b"]}"


def _rows(events: Sequence[bytes], times: Iterable[int], key_member: bytes) -> Iterable[bytes]:
    heads: dict[int, bytes] = {0: b"{" + key_member + b',"json":'}
    for event, ms in zip(events, times, strict=True):
        head = heads.get(ms)
        if head is None:
            head = heads[ms] = b'{"timestamp":"%s",%s,"json":' % (rfc3339(ms).encode(), key_member)
        yield head + event + b"}"


def mask_key(body: bytes, key: str) -> bytes:
    """Masks the key in a JSON body, so that the body can be stored. Event text cannot match, because quotes inside
    an event are escaped."""
    return body.replace(b'"intake_key":' + json.dumps(key).encode(), b'"intake_key":"****"')
