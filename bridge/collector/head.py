"""Decides from the head of a request whether its body is read, and how.

A listener checks the head before it reads the body or sends ``100 Continue``.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from twisted.web.server import Request

from bridge.collector import formats
from bridge.collector.body import is_gzip
from bridge.collector.credentials import Keys
from bridge.collector.refusal import Refusal

TIMESTAMP_HEADER = "X-SEKOIAIO-EVENT-TIMESTAMP"

REGION_PATH = (b"api", b"v1", b"intake-http")
"""The path of the API in some regions; served in addition to the root."""

_ENDPOINTS: dict[tuple[bytes, ...], formats.Parser] = {
    (): formats.structured,
    (b"plain",): formats.plain,
    (b"plain", b"batch"): formats.plain_batch,
    (b"jsons",): formats.jsons,
    (b"batch",): formats.structured_batch,
    (b"array",): formats.array,
}
_SINGLE = {formats.plain, formats.structured}


@dataclass(frozen=True, slots=True)
class Head:
    """Holds what was decided from the head of a request."""

    parser: formats.Parser
    envelope: formats.Envelope = field(repr=False)
    success_status: int
    compressed: bool

    @property
    def is_single(self) -> bool:
        """Returns True if the endpoint takes one event."""
        return self.parser in _SINGLE


CheckHead = Callable[[Request], Head]


def read_head(request: Request, keys: Keys, max_events: int | None = None) -> Head:
    """Returns the head. Raises Refusal (404, 405, 400, 401 or 415, in this order)."""
    parser = _endpoint(request)
    status = _success_status(request)
    timestamp = request.getHeader(TIMESTAMP_HEADER)
    path = _query(request, b"path")
    envelope = formats.Envelope(
        keys=keys,
        event_timestamp=None if timestamp is None else formats.checked_timestamp(timestamp, TIMESTAMP_HEADER),
        intake_key=keys.of_request(request),
        path=None if path is None else path.decode("utf-8", "replace"),
        max_events=max_events,
    )
    return Head(parser, envelope, status, is_gzip(request))


def _endpoint(request: Request) -> formats.Parser:
    # Twisted finds the resource, and the path below it, after the body. Before, the whole path is used.
    below = request.postpath
    path = tuple(unquote_to_bytes(request.path[1:]).split(b"/") if below is None else below)
    if path[-1:] == (b"",):
        path = path[:-1]
    if path[: len(REGION_PATH)] == REGION_PATH:
        path = path[len(REGION_PATH) :]
    parser = _ENDPOINTS.get(path)
    if parser is None:
        known = ", ".join("/" + b"/".join(name).decode() for name in _ENDPOINTS)
        raise Refusal(404, f"unknown path; the paths are {known}")
    if request.method != b"POST":
        raise Refusal(405, "send events with POST", headers={"Allow": "POST"})
    return parser


def _success_status(request: Request) -> int:
    text = _query(request, b"status_code")
    if text is None:
        return 200
    if len(text) == 3 and text.isdigit() and text.startswith(b"2"):
        return int(text)
    raise Refusal(400, "status_code must be from 200 to 299")


def _query(request: Request, name: bytes) -> bytes | None:
    values: list[bytes] = (request.args or {}).get(name, [])
    return values[0] if values else None
