"""The endpoints of the intake API, and the body that each one takes of a batch's events.

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

The API's page has both names of the time in ``/array``; the one of its example is used. Where it says the time in the
body, the header is there too: whoever does not read the one reads the other.

What goes into JSON is in the spool as JSON, so that line ends inside an event arrive as they are; but both encodings of
the spool convert to every endpoint. Bytes that are no UTF-8 cannot be JSON: they are read as Windows-1252.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.batching.encoding import (
    JSON,
    LINES,
    as_utf8,
    from_json_line,
    json_line,
)
from bridge.syslog.timestamps import rfc3339

# Of a JSON text, the second half of a pair of surrogates, or a byte that is no UTF-8 (DC80 to DCFF).
_LOW_SURROGATE = re.compile(rb"\\ud[c-f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How requests to one endpoint are made."""

    path: str
    json: bool
    single: bool = False
    "One event a request."
    exact: bool = False
    "Each event has its own time, so they need not be near each other."
    key_in_body: bool = False

    @property
    def encoding(self) -> str:
        """The spool's, from which the body is made at the least cost and loss."""
        return JSON if self.json else LINES

    @property
    def content_type(self) -> str:
        """For the header."""
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
    """A line of the spool as a JSON string that is valid UTF-8. Raises ValueError where a JSON line is none."""
    if encoding == LINES:
        return json_line(as_utf8(line, "auto")[0])
    if _LOW_SURROGATE.search(line):
        return json_line(as_utf8(from_json_line(line), "auto")[0])
    return line


def wrapped(endpoint: Endpoint, events: Sequence[bytes], times: Iterable[int], key: str) -> bytes:
    """The body of a request to an endpoint that takes JSON. ``events`` are JSON strings, ``times`` are milliseconds
    since the epoch, one for each; 0: none is sent."""
    if endpoint.path == "/jsons":
        return b"[" + b",".join(events) + b"]"
    named = b'"intake_key":' + json.dumps(key).encode()
    if endpoint.path == "/array":
        return b"[" + b",".join(_rows(events, times, named)) + b"]"
    earliest = min(times, default=0)
    head = b"{" + named + (b',"@timestamp":"%s"' % rfc3339(earliest).encode() if earliest else b"")
    if endpoint.single:
        return head + b',"json":' + events[0] + b"}"
    return head + b',"jsons":[' + b",".join(events) + b"]}"


def _rows(events: Sequence[bytes], times: Iterable[int], named: bytes) -> Iterable[bytes]:
    heads: dict[int, bytes] = {0: b"{" + named + b',"json":'}
    for event, ms in zip(events, times, strict=True):
        head = heads.get(ms)
        if head is None:
            head = heads[ms] = b'{"timestamp":"%s",%s,"json":' % (rfc3339(ms).encode(), named)
        yield head + event + b"}"


def without_key(body: bytes, key: str) -> bytes:
    """A wrapped body that may be kept: its key is masked. Inside an event the quotes around it would be escaped."""
    return body.replace(b'"intake_key":' + json.dumps(key).encode(), b'"intake_key":"****"')
